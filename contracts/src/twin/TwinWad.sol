// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinValues} from "./TwinValues.sol";

/// @title Numbers with 18 decimals to elements and back, each rounded once (spec ABI-4, ABI-5)
library TwinWad {
    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    /// @notice The element that v stands for; `ok` is false where the type does not hold it.
    function toWord(int256 v, uint256 dtype) internal pure returns (uint256 word, bool ok) {
        unchecked {
            if (dtype == TwinValues.F32) {
                if (v == 0) return (0, true);
                word = v < 0 ? _toF32(1, uint256(-v)) : _toF32(0, uint256(v));
                return (word, word & 0x7fffffff < SoftFloat32.INF);
            }
            int256 n = v / 1e18;
            (int256 low, int256 high) = dtype == TwinValues.BOOL ? (int256(0), int256(1)) : TwinValues.range(dtype);
            return (uint256(n), n * 1e18 == v && n >= low && n <= high);
        }
    }

    /// @dev magnitude / 10^18: a quotient of at least 2^60 and a sticky bit are rounded.
    function _toF32(uint256 sign, uint256 magnitude) private pure returns (uint256) {
        unchecked {
            // 10^18 is below 2^60: shifted to 2^120 and above, the quotient has more bits than rounding looks at.
            uint256 shift = magnitude >> 120 == 0 ? 120 : 0;
            uint256 n = magnitude << shift;
            uint256 q = n / 1e18 << 1;
            if (n % 1e18 != 0) q |= 1;
            return SoftFloat32.pack(sign, q, -int256(shift) - 1);
        }
    }

    /// @notice The f32 of these bits, which is finite, times 10^18, rounded to the nearest integer, ties to even.
    function fromF32(uint256 bits) internal pure returns (int256 v) {
        unchecked {
            (uint256 m, int256 e) = SoftFloat32.decode(bits & 0x7fffffff);
            m *= 1e18;
            if (e >= 0) {
                m <<= uint256(e);
            } else {
                uint256 shift = uint256(-e);
                uint256 rest = m & ((1 << shift) - 1);
                uint256 half = 1 << (shift - 1);
                m >>= shift;
                if (rest > half || (rest == half && m & 1 == 1)) ++m;
            }
            v = bits >> 31 == 1 ? -int256(m) : int256(m);
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
