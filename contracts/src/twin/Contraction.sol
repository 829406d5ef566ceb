// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {leadingZeros} from "./LeadingZeros.sol";
import {SoftFloat32} from "./SoftFloat32.sol";

/// @title S1: sums of products in the one order of LS1 (spec NUM-9)
/// @notice k ascends in blocks of 256; inside a block acc = fma(a_k, w_k, acc) from +0; blocks are added in order.
/// @dev Operands whose exponents lie in a window are decoded to integers: a = A * 2^-74, w = W * 2^-75 with W even. A
/// product and any sum of one block are then integers in units of 2^-149 below 2^254, and each fused multiply-add is one
/// MUL, one ADD and a rounding to 24 bits. Nothing overflows binary32, nothing is subnormal by rounding, and a zero is +0,
/// as in the general path, because every sum is an exact multiple of 2^-148. Rows in which another operand meets one that is
/// not zero take the general path. (Finite weights that only ever meet zeros do not matter: trained networks have many.)
library Contraction {
    /// @dev Exponent fields 76 to 173 (2^-51 to 2^47) and zeros have integers.
    uint256 private constant LOWEST = 76;
    uint256 private constant WINDOW = 97;

    /// @notice Integers of the values of `x` in units of 2^(-74 - extra); `inside` says whether all of them have one.
    function decode(uint256[] memory x, uint256 extra) internal pure returns (uint256[] memory y, bool inside) {
        uint256 bad;
        assembly ("memory-safe") {
            let length := shl(5, mload(x))
            y := mload(0x40)
            mstore(0x40, add(y, add(length, 32)))
            mstore(y, mload(x))
            let d := sub(y, x)
            let from := add(x, 32)
            for { let end := add(from, length) } lt(from, end) { from := add(from, 32) } {
                let v := mload(from)
                // Of a zero e is negative, and a shift by so much leaves 0.
                let n := and(v, 0x7fffffff)
                let e := sub(shr(23, n), LOWEST)
                bad := or(bad, mul(n, gt(e, WINDOW)))
                n := sub(0, shr(31, v))
                mstore(add(from, d), sub(xor(shl(add(e, extra), or(and(v, 0x7fffff), 0x800000)), n), n))
            }
        }
        inside = bad == 0;
    }

    /// @notice S1 of decoded operands: `length` words from `a` on and every `step` bytes from `w` on, both addresses in
    /// memory, a decoded with extra 0 and w with extra 1.
    function s1Decoded(uint256 a, uint256 w, uint256 step, uint256 length) internal pure returns (uint256 total) {
        unchecked {
            uint256 n = length < 256 ? length : 256;
            total = _encode(_block(a, w, step, n));
            for (uint256 k = n; k < length; k += n) {
                n = length - k < 256 ? length - k : 256;
                total = SoftFloat32.add(total, _encode(_block(a + (k << 5), w + k * step, step, n)));
            }
        }
    }

    /// @notice S1 of any operands, which are bit patterns.
    function s1General(uint256 a, uint256 w, uint256 step, uint256 length) internal pure returns (uint256 total) {
        unchecked {
            for (uint256 k; k < length;) {
                uint256 end = length - k < 256 ? length : k + 256;
                uint256 acc;
                uint256 start = k;
                for (; k < end; ++k) {
                    uint256 x;
                    uint256 y;
                    assembly ("memory-safe") {
                        x := mload(add(a, shl(5, k)))
                        y := mload(add(w, mul(k, step)))
                    }
                    acc = SoftFloat32.fma(x, y, acc);
                }
                total = start == 0 ? acc : SoftFloat32.add(total, acc);
            }
        }
    }

    /// @notice The indices of values that have no integer; their integers become 0. `finite` is false where one is infinite
    /// or NaN.
    function outside(uint256[] memory x, uint256[] memory y)
        internal
        pure
        returns (uint256[] memory indices, bool finite)
    {
        assembly ("memory-safe") {
            finite := 1
            indices := mload(0x40)
            let to := add(indices, 32)
            let d := sub(y, x)
            let from := add(x, 32)
            for { let end := add(from, shl(5, mload(x))) } lt(from, end) { from := add(from, 32) } {
                let v := and(mload(from), 0x7fffffff)
                if mul(v, gt(sub(shr(23, v), LOWEST), WINDOW)) {
                    mstore(add(from, d), 0)
                    mstore(to, shr(5, sub(sub(from, x), 32)))
                    to := add(to, 32)
                    finite := and(finite, lt(v, 0x7f800000))
                }
            }
            mstore(indices, shr(5, sub(sub(to, indices), 32)))
            mstore(0x40, to)
        }
    }

    /// @notice Matrices as they lie in memory: bit patterns, integers (where `decoded` is true), the indices of
    /// those that have none; where they start, and how many words apart rows and columns are.
    struct Operands {
        uint256[] a;
        uint256[] w;
        uint256[] aDecoded;
        uint256[] wDecoded;
        uint256[] aOutside;
        uint256[] wOutside;
        bool decoded;
        uint256 aStart;
        uint256 aRow;
        uint256 wStart;
        uint256 wDepth;
        uint256 wColumn;
    }

    /// @notice The product of an (m, k) and a (k, n) matrix, written to out[first], out[first + 1], ...; a's rows are
    /// contiguous.
    function product(Operands memory o, uint256 m, uint256 k, uint256 n, uint256[] memory out, uint256 first)
        internal
        pure
    {
        unchecked {
            for (uint256 i; i < m; ++i) {
                uint256 start = o.aStart + i * o.aRow;
                if (o.decoded && _meetsZeros(o, start, k, n)) {
                    uint256 a = _address(o.aDecoded, start);
                    for (uint256 j; j < n; ++j) {
                        uint256 w = _address(o.wDecoded, o.wStart + j * o.wColumn);
                        out[first++] = s1Decoded(a, w, o.wDepth << 5, k);
                    }
                } else {
                    uint256 a = _address(o.a, start);
                    for (uint256 j; j < n; ++j) {
                        uint256 w = _address(o.w, o.wStart + j * o.wColumn);
                        out[first++] = s1General(a, w, o.wDepth << 5, k);
                    }
                }
            }
        }
    }

    /// @dev Whether every value of the row has an integer, and those that meet a weight without one are zero.
    function _meetsZeros(Operands memory o, uint256 start, uint256 k, uint256 n) private pure returns (bool) {
        unchecked {
            uint256[] memory list = o.aOutside;
            for (uint256 i; i < list.length; ++i) {
                if (list[i] - start < k) return false;
            }
            list = o.wOutside;
            (uint256[] memory a, uint256 from, uint256 step) = (o.aDecoded, o.wStart, o.wDepth);
            bool inRows = o.wColumn == 1 && step != 1;
            for (uint256 i; i < list.length; ++i) {
                uint256 p = list[i] - from;
                if (p < k * n && a[start + (inRows ? p / step : p % k)] != 0) return false;
            }
            return true;
        }
    }

    function _address(uint256[] memory x, uint256 index) private pure returns (uint256 p) {
        assembly ("memory-safe") {
            p := add(add(x, 32), shl(5, index))
        }
    }

    /// @dev acc is a multiple of 2^-149 with at most 24 significant bits: no rounding happens here.
    function _encode(int256 acc) private pure returns (uint256) {
        unchecked {
            // forge-lint: disable-next-line(unsafe-typecast)
            return acc < 0 ? SoftFloat32.pack(1, uint256(-acc), -149) : SoftFloat32.pack(0, uint256(acc), -149);
        }
    }

    /// @dev Rounding of s: h is the weight of the last bit that stays (at least 2), clz of one's complement magnitude
    /// gives its place; to add half of h, less one where that bit is even, and to clear what is below rounds to nearest,
    /// ties to even, for both signs of two's complement.
    function _block(uint256 a, uint256 w, uint256 step, uint256 length) private pure returns (int256 acc) {
        unchecked {
            uint256 z;
            uint256 end = a + (length << 5);
            for (uint256 whole = a + ((length & ~uint256(3)) << 5); a < whole; a += 128) {
                assembly ("memory-safe") {
                    acc := add(acc, mul(mload(a), mload(w)))
                    z := or(xor(acc, sar(255, acc)), 0x1000000)
                }
                z = leadingZeros(z);
                assembly ("memory-safe") {
                    let h := shr(z, shl(232, 1))
                    acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                    w := add(w, step)
                }
                assembly ("memory-safe") {
                    acc := add(acc, mul(mload(add(a, 32)), mload(w)))
                    z := or(xor(acc, sar(255, acc)), 0x1000000)
                }
                z = leadingZeros(z);
                assembly ("memory-safe") {
                    let h := shr(z, shl(232, 1))
                    acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                    w := add(w, step)
                }
                assembly ("memory-safe") {
                    acc := add(acc, mul(mload(add(a, 64)), mload(w)))
                    z := or(xor(acc, sar(255, acc)), 0x1000000)
                }
                z = leadingZeros(z);
                assembly ("memory-safe") {
                    let h := shr(z, shl(232, 1))
                    acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                    w := add(w, step)
                }
                assembly ("memory-safe") {
                    acc := add(acc, mul(mload(add(a, 96)), mload(w)))
                    z := or(xor(acc, sar(255, acc)), 0x1000000)
                }
                z = leadingZeros(z);
                assembly ("memory-safe") {
                    let h := shr(z, shl(232, 1))
                    acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                    w := add(w, step)
                }
            }
            for (; a < end; a += 32) {
                assembly ("memory-safe") {
                    acc := add(acc, mul(mload(a), mload(w)))
                    z := or(xor(acc, sar(255, acc)), 0x1000000)
                }
                z = leadingZeros(z);
                assembly ("memory-safe") {
                    let h := shr(z, shl(232, 1))
                    acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                    w := add(w, step)
                }
            }
        }
    }
}
