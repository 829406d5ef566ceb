// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Vm} from "./Vm.sol";

/// @notice Base of our tests: the cheatcodes, and the two helpers that fuzz tests need.
abstract contract Test {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    /// @dev Maps any x into [low, high].
    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        if (x >= low && x <= high) return x;
        uint256 span = high - low + 1;
        return span == 0 ? x : low + x % span;
    }

    /// @dev Maps any x into [low, high].
    function bound(int256 x, int256 low, int256 high) internal pure returns (int256) {
        uint256 offset = 1 << 255;
        unchecked {
            uint256 mapped = bound(uint256(x) + offset, uint256(low) + offset, uint256(high) + offset);
            return int256(mapped - offset);
        }
    }

    /// @dev An array literal of three, for readable tests.
    function ints(int256 a, int256 b, int256 c) internal pure returns (int256[] memory x) {
        x = new int256[](3);
        (x[0], x[1], x[2]) = (a, b, c);
    }
}
