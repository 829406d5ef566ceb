// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {CodeData} from "./CodeData.sol";

/// @title A logistic regression without the precompile
/// @notice What a careful engineer would write, as a measure of what pure Solidity costs. Fixed point, 18 decimals: close to
/// the library's answer, not equal to it.
/// @dev The scaler is folded into the weights before deployment: (x - mean) / scale * w = x * (w / scale) + constant.
contract PureSolidityLogReg {
    int256 private constant ONE = 1e18;
    int256 private constant LN2 = 693147180559945309;
    /// @dev Beyond this the probability is 0 or 1 to 18 decimals.
    int256 private constant SATURATED = 42e18;

    /// @notice How many features a row has.
    uint256 public immutable features;
    int256 private immutable _bias;
    address private immutable _weights;

    /// @notice A row has `expected` features.
    error WrongLength(uint256 expected, uint256 actual);

    /// @param weights Folded weights, 18 decimals each; one for each feature.
    /// @param bias Folded intercept, 18 decimals.
    constructor(int128[] memory weights, int256 bias) {
        bytes memory packed;
        for (uint256 i; i < weights.length; ++i) {
            packed = bytes.concat(packed, bytes16(uint128(weights[i])));
        }
        (features, _bias, _weights) = (weights.length, bias, CodeData.store(packed));
    }

    /// @notice The class, and the margin (log odds) that decides it, 18 decimals.
    function classify(int256[] calldata x) public view returns (uint256 class, int256 margin) {
        if (x.length != features) revert WrongLength(features, x.length);
        bytes memory weights = CodeData.load(_weights);
        int256 sum;
        assembly ("memory-safe") {
            // The high 16 bytes of each read are one weight. Products of two 18-decimal numbers are summed before the one
            // division; |x| < 2^120 keeps them in range.
            let w := add(weights, 32)
            let end := add(x.offset, shl(5, x.length))
            for { let at_ := x.offset } lt(at_, end) { at_ := add(at_, 32) } {
                sum := add(sum, mul(calldataload(at_), sar(128, mload(w))))
                w := add(w, 16)
            }
        }
        margin = sum / ONE + _bias;
        class = margin > 0 ? 1 : 0;
    }

    /// @notice The probability of class 1, 18 decimals.
    function probability(int256[] calldata x) external view returns (int256) {
        (, int256 margin) = classify(x);
        if (margin >= SATURATED) return ONE;
        if (margin <= -SATURATED) return 0;
        int256 e = _exp(margin < 0 ? margin : -margin);
        return margin < 0 ? e * ONE / (ONE + e) : ONE * ONE / (ONE + e);
    }

    /// @dev e^x for -42 < x <= 0: 2^-k times a Taylor series on [-ln 2 / 2, ln 2 / 2].
    function _exp(int256 x) private pure returns (int256 sum) {
        int256 k = (LN2 / 2 - x) / LN2;
        int256 r = x + k * LN2;
        int256 term = ONE;
        sum = ONE;
        for (int256 n = 1; n <= 16; ++n) {
            term = term * r / (ONE * n);
            sum += term;
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        sum >>= uint256(k); // 0 <= k <= 61
    }
}
