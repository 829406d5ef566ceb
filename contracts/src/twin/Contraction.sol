// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {SoftFloat32} from "./SoftFloat32.sol";

/// @title S1: sums of products in the one order of LS1 (spec NUM-9)
/// @notice k ascends in blocks of 256; inside a block acc = fma(a_k, w_k, acc) from +0; blocks are added in order.
/// @dev Operands whose exponents lie in a window are decoded to integers: a = A * 2^-74, w = W * 2^-75 with W even. A
/// product and any sum of one block are then integers in units of 2^-149 below 2^254, and each fused multiply-add is one
/// MUL, one ADD and a rounding to 24 bits. Nothing overflows binary32, nothing is subnormal by rounding, and a zero is +0,
/// as in the general path, because every sum is an exact multiple of 2^-148. Other operands take the general path.
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

    /// @notice Matrices as they lie in memory: where they start, and how many words apart rows and columns are.
    struct Operands {
        uint256[] a;
        uint256[] w;
        bool decoded;
        uint256 aStart;
        uint256 aRow;
        uint256 wStart;
        uint256 wDepth;
        uint256 wColumn;
    }

    /// @notice The product of an (m, k) and a (k, n) matrix, written to out[first], out[first + 1], ...; a's rows are contiguous.
    function product(Operands memory o, uint256 m, uint256 k, uint256 n, uint256[] memory out, uint256 first)
        internal
        pure
    {
        unchecked {
            (uint256 a, uint256 w) = (_address(o.a, o.aStart), _address(o.w, o.wStart));
            (uint256 step, uint256 column, bool decoded) = (o.wDepth << 5, o.wColumn << 5, o.decoded);
            for (uint256 i; i < m; ++i) {
                for (uint256 j; j < n; ++j) {
                    out[first++] =
                        decoded ? s1Decoded(a, w + j * column, step, k) : s1General(a, w + j * column, step, k);
                }
                a += o.aRow << 5;
            }
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
        assembly ("memory-safe") {
            let end := add(a, shl(5, length))
            for { let whole := add(a, shl(5, and(length, not(3)))) } lt(a, whole) { a := add(a, 128) } {
                acc := add(acc, mul(mload(a), mload(w)))
                let z := clz(or(xor(acc, sar(255, acc)), 0x1000000))
                let h := shr(z, shl(232, 1))
                acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                w := add(w, step)

                acc := add(acc, mul(mload(add(a, 32)), mload(w)))
                z := clz(or(xor(acc, sar(255, acc)), 0x1000000))
                h := shr(z, shl(232, 1))
                acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                w := add(w, step)

                acc := add(acc, mul(mload(add(a, 64)), mload(w)))
                z := clz(or(xor(acc, sar(255, acc)), 0x1000000))
                h := shr(z, shl(232, 1))
                acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                w := add(w, step)

                acc := add(acc, mul(mload(add(a, 96)), mload(w)))
                z := clz(or(xor(acc, sar(255, acc)), 0x1000000))
                h := shr(z, shl(232, 1))
                acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                w := add(w, step)
            }
            for {} lt(a, end) { a := add(a, 32) } {
                acc := add(acc, mul(mload(a), mload(w)))
                let h := shr(clz(or(xor(acc, sar(255, acc)), 0x1000000)), shl(232, 1))
                acc := and(sub(add(acc, shr(1, h)), iszero(and(acc, h))), sub(0, h))
                w := add(w, step)
            }
        }
    }
}
