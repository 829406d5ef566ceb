// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title Numbers with 18 decimals, the units of `infer` and `classify`
/// @notice A token amount or a price feed's answer becomes a feature by `Wad.fromDecimals(answer, 8)`.
library Wad {
    int256 internal constant ONE = 1e18;

    /// @notice `decimals` above this one have no power of ten in int256.
    uint8 internal constant MAX_DECIMALS = 76;

    /// @notice The number has more than MAX_DECIMALS decimals.
    error TooManyDecimals(uint8 maximum, uint8 actual);
    /// @notice The unsigned number exceeds int256.
    error TooLarge(uint256 value);

    /// @notice The integer v, as a feature. Reverts (panic 0x11) where v * 10^18 exceeds int256.
    function fromInteger(int256 v) internal pure returns (int256) {
        return v * ONE;
    }

    /// @notice v / 10^decimals, as a feature. Beyond 18 decimals the rest is cut off (towards zero).
    function fromDecimals(int256 v, uint8 decimals) internal pure returns (int256) {
        return rescale(v, decimals, 18);
    }

    /// @notice v / 10^decimals, as a feature, of an unsigned number such as a token balance.
    function fromDecimals(uint256 v, uint8 decimals) internal pure returns (int256) {
        if (v > uint256(type(int256).max)) revert TooLarge(v);
        // forge-lint: disable-next-line(unsafe-typecast)
        return rescale(int256(v), decimals, 18);
    }

    /// @notice A result in units of 10^-decimals; what is finer is cut off (towards zero).
    function toDecimals(int256 wad, uint8 decimals) internal pure returns (int256) {
        return rescale(wad, 18, decimals);
    }

    /// @notice A result as an integer, rounded to the nearest (halves away from zero).
    function round(int256 wad) internal pure returns (int256) {
        int256 half = wad < 0 ? -ONE / 2 : ONE / 2;
        return wad / ONE + (wad % ONE + half) / ONE;
    }

    /// @notice v with `from` decimals, as a number with `to` decimals; what is finer is cut off (towards zero).
    function rescale(int256 v, uint8 from, uint8 to) internal pure returns (int256) {
        if (from > MAX_DECIMALS) revert TooManyDecimals(MAX_DECIMALS, from);
        if (to > MAX_DECIMALS) revert TooManyDecimals(MAX_DECIMALS, to);
        return from <= to ? v * int256(10 ** (to - from)) : v / int256(10 ** (from - to));
    }

    /// @notice Each integer as a feature.
    function fromIntegers(int256[] memory v) internal pure returns (int256[] memory x) {
        x = new int256[](v.length);
        for (uint256 i; i < v.length; ++i) {
            x[i] = fromInteger(v[i]);
        }
    }
}
