// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Tensor} from "./IInference.sol";

/// @title Builds and reads the tensors of `run`
/// @notice `from…` builds a tensor out of values in row-major order, `to…` reads one. Both check that the shape holds
/// exactly the values given, `to…` also the type.
library Tensors {
    // Casts here repack bits; each takes the low bits that it wants.
    // forge-lint: disable-start(unsafe-typecast)

    uint8 internal constant F32 = 1;
    uint8 internal constant U8 = 2;
    uint8 internal constant I8 = 3;
    uint8 internal constant I32 = 6;
    uint8 internal constant I64 = 7;
    uint8 internal constant BOOL = 9;

    /// @notice The shape holds `expected` bytes of this type.
    error ShapeAndDataDiffer(uint256 expected, uint256 actual);
    /// @notice The tensor holds another type than the one asked for.
    error WrongDtype(uint8 expected, uint8 actual);
    /// @notice The number is too large for f32.
    error ExceedsF32(int256 value);
    /// @notice The bits stand for an infinity or a NaN.
    error NotFinite(uint32 bits);

    /// @notice f32 from numbers with 18 decimals, each rounded once to the nearest f32 (ties to even).
    function fromWad(int256[] memory wad, uint32[] memory shape) internal pure returns (Tensor memory t) {
        t = _new(F32, shape, wad.length, 4);
        for (uint256 i; i < wad.length; ++i) {
            _put(t.data, i, 4, wadToF32(wad[i]));
        }
    }

    /// @notice f32 from bit patterns.
    function fromF32Bits(uint32[] memory bits, uint32[] memory shape) internal pure returns (Tensor memory t) {
        t = _new(F32, shape, bits.length, 4);
        for (uint256 i; i < bits.length; ++i) {
            _put(t.data, i, 4, bits[i]);
        }
    }

    /// @notice u8 from bytes, one value a byte: the cheapest way to hand over an image.
    function fromUint8(bytes memory values, uint32[] memory shape) internal pure returns (Tensor memory) {
        return _wrap(U8, values, shape);
    }

    /// @notice i8 from bytes, one value a byte in two's complement.
    function fromInt8(bytes memory values, uint32[] memory shape) internal pure returns (Tensor memory) {
        return _wrap(I8, values, shape);
    }

    /// @notice i32 from integers.
    function fromInt32Array(int32[] memory values, uint32[] memory shape) internal pure returns (Tensor memory t) {
        t = _new(I32, shape, values.length, 4);
        for (uint256 i; i < values.length; ++i) {
            _put(t.data, i, 4, uint32(values[i]));
        }
    }

    /// @notice i64 from integers: token ids, categories.
    function fromInt64Array(int64[] memory values, uint32[] memory shape) internal pure returns (Tensor memory t) {
        t = _new(I64, shape, values.length, 8);
        for (uint256 i; i < values.length; ++i) {
            _put(t.data, i, 8, uint64(values[i]));
        }
    }

    /// @notice bool from booleans.
    function fromBoolArray(bool[] memory values, uint32[] memory shape) internal pure returns (Tensor memory t) {
        t = _new(BOOL, shape, values.length, 1);
        for (uint256 i; i < values.length; ++i) {
            if (values[i]) t.data[i] = 0x01;
        }
    }

    /// @notice The values of an f32 tensor with 18 decimals (nearest, ties to even). Reverts at an infinity or a NaN.
    function toWad(Tensor memory t) internal pure returns (int256[] memory wad) {
        wad = new int256[](_count(t, F32, 4));
        for (uint256 i; i < wad.length; ++i) {
            wad[i] = f32ToWad(uint32(_get(t.data, i, 4)));
        }
    }

    /// @notice The bit patterns of an f32 tensor.
    function toF32Bits(Tensor memory t) internal pure returns (uint32[] memory bits) {
        bits = new uint32[](_count(t, F32, 4));
        for (uint256 i; i < bits.length; ++i) {
            bits[i] = uint32(_get(t.data, i, 4));
        }
    }

    /// @notice The values of an i32 tensor.
    function toInt32Array(Tensor memory t) internal pure returns (int32[] memory values) {
        values = new int32[](_count(t, I32, 4));
        for (uint256 i; i < values.length; ++i) {
            values[i] = int32(uint32(_get(t.data, i, 4)));
        }
    }

    /// @notice The values of an i64 tensor.
    function toInt64Array(Tensor memory t) internal pure returns (int64[] memory values) {
        values = new int64[](_count(t, I64, 8));
        for (uint256 i; i < values.length; ++i) {
            values[i] = int64(uint64(_get(t.data, i, 8)));
        }
    }

    /// @notice The values of a bool tensor.
    function toBoolArray(Tensor memory t) internal pure returns (bool[] memory values) {
        values = new bool[](_count(t, BOOL, 1));
        for (uint256 i; i < values.length; ++i) {
            values[i] = t.data[i] != 0;
        }
    }

    /// @notice A shape of one dimension.
    function shape1(uint32 a) internal pure returns (uint32[] memory s) {
        s = new uint32[](1);
        s[0] = a;
    }

    /// @notice A shape of two dimensions.
    function shape2(uint32 a, uint32 b) internal pure returns (uint32[] memory s) {
        s = new uint32[](2);
        (s[0], s[1]) = (a, b);
    }

    /// @notice A shape of four dimensions: batch, channels, height, width.
    function shape4(uint32 a, uint32 b, uint32 c, uint32 d) internal pure returns (uint32[] memory s) {
        s = new uint32[](4);
        (s[0], s[1], s[2], s[3]) = (a, b, c, d);
    }

    /// @notice The f32 nearest to wad / 10^18 (ties to even), as a bit pattern.
    /// @dev 10^-18 is far above the smallest normal f32, so that the result is zero or normal.
    function wadToF32(int256 wad) internal pure returns (uint32 bits) {
        if (wad == 0) return 0;
        uint256 sign = wad < 0 ? 1 << 31 : 0;
        uint256 magnitude = wad < 0 ? uint256(-(wad + 1)) + 1 : uint256(wad);

        // Find e with 2^23 <= magnitude / (10^18 * 2^e) < 2^24. The first guess is at most one too small.
        int256 e = int256(_log2(magnitude)) - 59 - 23 - 1;
        (uint256 n, uint256 d) = _scaled(magnitude, e);
        if (n / d >= 1 << 24) (n, d) = _scaled(magnitude, ++e);

        uint256 mantissa = n / d;
        uint256 rest = (n % d) * 2;
        if (rest > d || (rest == d && mantissa & 1 == 1)) ++mantissa;
        // A mantissa that rounds up to 2^24 carries into the exponent by this addition.
        uint256 biased = uint256(e + 150 - 1) << 23;
        uint256 packed = biased + mantissa;
        if (packed >= 0x7f800000) revert ExceedsF32(wad);
        return uint32(sign | packed);
    }

    /// @notice The f32 with these bits, times 10^18, to the nearest integer (ties to even).
    function f32ToWad(uint32 bits) internal pure returns (int256 wad) {
        uint256 exponent = (bits >> 23) & 0xff;
        if (exponent == 0xff) revert NotFinite(bits);
        uint256 mantissa = bits & 0x7fffff;
        if (exponent == 0) exponent = 1;
        else mantissa |= 1 << 23;

        uint256 value = mantissa * 1e18; // below 2^84
        if (exponent >= 150) {
            value <<= exponent - 150; // below 2^188
        } else {
            uint256 shift = 150 - exponent;
            uint256 rest = value & ((1 << shift) - 1);
            uint256 half = 1 << (shift - 1);
            value >>= shift;
            if (rest > half || (rest == half && value & 1 == 1)) ++value;
        }
        return bits >> 31 == 1 ? -int256(value) : int256(value);
    }

    /// @dev magnitude / (10^18 * 2^e) as a fraction.
    function _scaled(uint256 magnitude, int256 e) private pure returns (uint256 n, uint256 d) {
        return e < 0 ? (magnitude << uint256(-e), 1e18) : (magnitude, 1e18 << uint256(e));
    }

    function _log2(uint256 v) private pure returns (uint256 log) {
        for (uint256 step = 128; step > 0; step >>= 1) {
            if (v >> step != 0) {
                v >>= step;
                log += step;
            }
        }
    }

    function _wrap(uint8 dtype, bytes memory data, uint32[] memory shape) private pure returns (Tensor memory) {
        uint256 expected = _product(shape);
        if (expected != data.length) revert ShapeAndDataDiffer(expected, data.length);
        return Tensor({dtype: dtype, shape: shape, data: data});
    }

    function _new(uint8 dtype, uint32[] memory shape, uint256 count, uint256 width)
        private
        pure
        returns (Tensor memory)
    {
        uint256 expected = _product(shape);
        if (expected != count) revert ShapeAndDataDiffer(expected * width, count * width);
        return Tensor({dtype: dtype, shape: shape, data: new bytes(count * width)});
    }

    function _count(Tensor memory t, uint8 dtype, uint256 width) private pure returns (uint256 count) {
        if (t.dtype != dtype) revert WrongDtype(dtype, t.dtype);
        count = _product(t.shape);
        if (count * width != t.data.length) revert ShapeAndDataDiffer(count * width, t.data.length);
    }

    function _product(uint32[] memory shape) private pure returns (uint256 product) {
        product = 1;
        for (uint256 i; i < shape.length; ++i) {
            product *= shape[i];
        }
    }

    /// @dev Writes the `width` low bytes of `value`, lowest first, as the index-th value. Callers stay inside `data`.
    function _put(bytes memory data, uint256 index, uint256 width, uint256 value) private pure {
        assembly ("memory-safe") {
            let at := add(add(data, 32), mul(index, width))
            for { let end := add(at, width) } lt(at, end) { at := add(at, 1) } {
                mstore8(at, value)
                value := shr(8, value)
            }
        }
    }

    /// @dev Reads what _put writes.
    function _get(bytes memory data, uint256 index, uint256 width) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            let first := add(add(data, 32), mul(index, width))
            for { let at := add(first, width) } gt(at, first) {} {
                at := sub(at, 1)
                value := or(shl(8, value), byte(0, mload(at)))
            }
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
