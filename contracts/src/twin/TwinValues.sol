// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {SoftFloat32} from "./SoftFloat32.sol";

/// @notice The weights do not fit the graph (spec MOD-7): no call of this model can succeed.
error InvalidWeights(string reason);

/// @notice A tensor while a graph runs: one word for each element, row-major. f32 by its bits, signed integers in two's
/// complement of 256 bits, u8 and bool as they are.
struct Value {
    uint256 dtype;
    uint256[] shape;
    uint256[] data;
    bool constant_;
}

/// @title Values: between packed bytes and words, and how shapes lie in memory
library TwinValues {
    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    uint256 internal constant F32 = 1;
    uint256 internal constant U8 = 2;
    uint256 internal constant I8 = 3;
    uint256 internal constant I32 = 6;
    uint256 internal constant I64 = 7;
    uint256 internal constant BOOL = 9;

    /// @notice Bytes of one element.
    function size(uint256 dtype) internal pure returns (uint256) {
        return dtype == I64 ? 8 : dtype == F32 || dtype == I32 ? 4 : 1;
    }

    /// @notice The low bits of v that this integer type has, as a word.
    function wrap(uint256 dtype, uint256 v) internal pure returns (uint256 w) {
        assembly ("memory-safe") {
            switch dtype
            case 7 { w := signextend(7, v) }
            case 6 { w := signextend(3, v) }
            case 3 { w := signextend(0, v) }
            case 2 { w := and(v, 0xff) }
            default { w := v }
        }
    }

    /// @notice The least and the greatest integer of a type.
    function range(uint256 dtype) internal pure returns (int256 low, int256 high) {
        if (dtype == U8) return (0, 255);
        uint256 bits = 8 * size(dtype) - 1;
        return (-int256(1 << bits), int256((1 << bits) - 1));
    }

    /// @notice Number of elements; reverts where it reaches 2^62.
    function count(uint256[] memory shape) internal pure returns (uint256 n) {
        n = 1;
        bool large;
        for (uint256 i; i < shape.length; ++i) {
            if (shape[i] == 0) return 0;
            if (shape[i] >> 62 != 0 || n >> 62 != 0) large = true;
            else n *= shape[i];
        }
        if (large || n >> 62 != 0) revert IInference.TwinCannotRun("a tensor of 2^62 elements or more");
    }

    /// @notice A value of this shape without elements yet.
    function empty(uint256 dtype, uint256[] memory shape) internal pure returns (Value memory v) {
        v.dtype = dtype;
        v.shape = shape;
        v.data = new uint256[](count(shape));
    }

    /// @notice An array of words as bytes, in place: calls of modules copy bytes at once and words one by one.
    function asBytes(uint256[] memory v) internal pure returns (bytes memory b) {
        assembly ("memory-safe") {
            b := v
            mstore(v, shl(5, mload(v)))
        }
    }

    /// @notice The array of words that `asBytes` took.
    function asWords(bytes memory b) internal pure returns (uint256[] memory v) {
        assembly ("memory-safe") {
            v := b
            mstore(b, shr(5, mload(b)))
        }
    }

    /// @notice Reads `n` packed elements from `start` on. Every NaN becomes the canonical one; `clean` says that none had
    /// to, and that every bool is 0 or 1. The caller knows that the bytes are there.
    function unpack(bytes memory packed, uint256 start, uint256 n, uint256 dtype)
        internal
        pure
        returns (uint256[] memory words, bool clean)
    {
        if (size(dtype) == 4) return _unpack4(packed, start, n, dtype);
        unchecked {
            uint256 bad;
            words = new uint256[](n);
            assembly ("memory-safe") {
                let from := add(add(packed, 32), start)
                let to := add(words, 32)
                let end := add(to, shl(5, n))
                switch dtype
                case 7 {
                    for {} lt(to, end) { to := add(to, 32) } {
                        let v := 0
                        for { let i := 8 } i {} {
                            i := sub(i, 1)
                            v := or(shl(8, v), byte(i, mload(from)))
                        }
                        mstore(to, signextend(7, v))
                        from := add(from, 8)
                    }
                }
                default {
                    for {} lt(to, end) { to := add(to, 32) } {
                        let v := byte(0, mload(from))
                        switch dtype
                        case 3 { v := signextend(0, v) }
                        case 9 { bad := or(bad, gt(v, 1)) }
                        mstore(to, v)
                        from := add(from, 1)
                    }
                }
            }
            clean = bad == 0;
        }
    }

    /// @dev f32 and i32: eight elements at once.
    function _unpack4(bytes memory packed, uint256 start, uint256 n, uint256 dtype)
        private
        pure
        returns (uint256[] memory words, bool clean)
    {
        unchecked {
            uint256 special;
            uint256 mask = dtype == I32 ? type(uint256).max : type(uint32).max;
            assembly ("memory-safe") {
                // Room for up to seven elements too many.
                words := mload(0x40)
                mstore(words, n)
                let to := add(words, 32)
                let end := add(to, shl(5, n))
                mstore(0x40, add(end, 224))
                for { let from := add(add(packed, 32), start) } lt(to, end) { from := add(from, 32) } {
                    // Bytes are swapped in pairs, then pairs in each element.
                    let v := mload(from)
                    let m := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                    v := or(and(shr(8, v), m), shl(8, and(v, m)))
                    m := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
                    v := or(and(shr(16, v), m), shl(16, and(v, m)))
                    // A lane whose exponent is full carries into its top bit.
                    m := 0x7f8000007f8000007f8000007f8000007f8000007f8000007f8000007f800000
                    special := or(
                        special,
                        and(
                            add(and(v, m), 0x0080000000800000008000000080000000800000008000000080000000800000),
                            0x8000000080000000800000008000000080000000800000008000000080000000
                        )
                    )
                    for { let last := add(to, 256) } lt(to, last) { to := add(to, 32) } {
                        mstore(to, and(sar(224, v), mask))
                        v := shl(32, v)
                    }
                }
            }
            clean = true;
            if (dtype == I32 || special == 0) return (words, clean);
            for (uint256 i; i < n; ++i) {
                uint256 w = SoftFloat32.canonical(words[i]);
                if (w != words[i]) clean = false;
                words[i] = w;
            }
        }
    }

    /// @notice The packed bytes of a value; every NaN as 0x7fc00000 (spec NUM-3).
    function pack(Value memory v) internal pure returns (bytes memory packed) {
        unchecked {
            uint256 width = size(v.dtype);
            uint256[] memory data = v.data;
            packed = new bytes(data.length * width);
            for (uint256 i; i < data.length; ++i) {
                uint256 w = v.dtype == F32 ? SoftFloat32.canonical(data[i]) : data[i];
                assembly ("memory-safe") {
                    let to := add(add(packed, 32), mul(i, width))
                    for { let end := add(to, width) } lt(to, end) { to := add(to, 1) } {
                        mstore8(to, w)
                        w := shr(8, w)
                    }
                }
            }
        }
    }

    /// @notice Row-major strides.
    function strides(uint256[] memory shape) internal pure returns (uint256[] memory s) {
        s = new uint256[](shape.length);
        uint256 step = 1;
        unchecked {
            // Beside an axis of length 0 the others may multiply to anything; such strides are not used.
            for (uint256 i = shape.length; i > 0; --i) {
                s[i - 1] = step;
                step *= shape[i - 1];
            }
        }
    }

    /// @notice Strides that read a tensor of `shape` as if it were broadcast to `to`: 0 where it repeats.
    function broadcastStrides(uint256[] memory shape, uint256[] memory to) internal pure returns (uint256[] memory s) {
        uint256[] memory own = strides(shape);
        s = new uint256[](to.length);
        uint256 lead = to.length - shape.length;
        for (uint256 i = lead; i < to.length; ++i) {
            if (shape[i - lead] != 1) s[i] = own[i - lead];
        }
    }

    /// @notice The offset under `step` of each position of `shape`, row-major.
    function offsets(uint256[] memory shape, uint256[] memory step) internal pure returns (uint256[] memory o) {
        o = new uint256[](count(shape));
        if (o.length == 0) return o;
        uint256 n = 1;
        unchecked {
            // From the last axis: each further axis repeats what is there, moved by its stride.
            for (uint256 axis = shape.length; axis > 0; --axis) {
                uint256 filled = n;
                for (uint256 k = 1; k < shape[axis - 1]; ++k) {
                    uint256 shift = k * step[axis - 1];
                    for (uint256 i; i < filled; ++i) {
                        o[n++] = o[i] + shift;
                    }
                }
            }
        }
    }

    /// @notice Numpy's broadcast of two shapes; `ok` is false where they have none.
    function broadcast(uint256[] memory a, uint256[] memory b) internal pure returns (uint256[] memory c, bool ok) {
        (uint256[] memory long, uint256[] memory short) = a.length >= b.length ? (a, b) : (b, a);
        c = new uint256[](long.length);
        uint256 lead = long.length - short.length;
        for (uint256 i; i < c.length; ++i) {
            uint256 x = long[i];
            uint256 y = i < lead ? 1 : short[i - lead];
            if (x != y && x != 1 && y != 1) return (c, false);
            c[i] = x == 1 ? y : x;
        }
        ok = true;
    }

    /// @notice The elements of x broadcast to `shape`.
    function expand(Value memory x, uint256[] memory shape) internal pure returns (uint256[] memory y) {
        uint256 n = count(shape);
        if (x.data.length == n) return x.data;
        y = offsets(shape, broadcastStrides(x.shape, shape));
        uint256[] memory data = x.data;
        for (uint256 i; i < n; ++i) {
            y[i] = data[y[i]];
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
