// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Elementary32} from "./Elementary32.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinValues} from "./TwinValues.sol";

/// @title Module: functions of single elements: Unary, Binary, Compare and Cast (spec NUM-4 to NUM-8, OP-1)
/// @notice `accepts…` says which types a kind takes; `has…` which kinds of these this interpreter computes.
library TwinElementwise {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    /// @notice Division by zero in integers.
    error DivisionByZero();

    /// @notice Whether a function of one operand exists.
    function isUnary(uint256 kind) internal pure returns (bool) {
        return kind > 0 && (kind < 16 || (kind >= 32 && kind <= 48));
    }

    /// @notice Whether it is computed here: all up to 15, and Exp to Erf.
    function hasUnary(uint256 kind) internal pure returns (bool) {
        return kind < 38;
    }

    /// @notice Whether it takes this type.
    function acceptsUnary(uint256 kind, uint256 dtype) internal pure returns (bool) {
        if (kind == 12) return dtype == TwinValues.BOOL;
        if (kind == 15) return dtype != TwinValues.BOOL && dtype != TwinValues.F32;
        if (kind == 2 || kind == 3) return dtype != TwinValues.BOOL;
        if (kind == 1 || kind == 9) return dtype != TwinValues.BOOL && dtype != TwinValues.U8;
        return dtype == TwinValues.F32;
    }

    /// @notice f(x) of each element. Arrays of words come and go as bytes.
    function unary(uint256 kind, uint256 dtype, bytes memory elements) public pure returns (bytes memory) {
        uint256[] memory x = TwinValues.asWords(elements);
        bool f32 = dtype == TwinValues.F32;
        if (f32 && kind == 9) {
            _relu(x);
        } else {
            unchecked {
                for (uint256 i; i < x.length; ++i) {
                    x[i] = f32 ? _unaryF32(kind, x[i]) : _unaryInt(kind, dtype, x[i]);
                }
            }
        }
        return TwinValues.asBytes(x);
    }

    /// @dev max(x, 0): +0 for -0, NaN for NaN.
    function _relu(uint256[] memory x) private pure {
        assembly ("memory-safe") {
            let p := add(x, 32)
            for { let end := add(p, shl(5, mload(x))) } lt(p, end) { p := add(p, 32) } {
                let v := mload(p)
                switch gt(and(v, 0x7fffffff), 0x7f800000)
                case 0 { mstore(p, mul(v, lt(v, 0x80000000))) }
                default { mstore(p, 0x7fc00000) }
            }
        }
    }

    function _unaryF32(uint256 kind, uint256 x) private pure returns (uint256) {
        if (kind == 1) return x ^ SoftFloat32.SIGN;
        if (kind == 2) return x & 0x7fffffff;
        if (kind == 3) return x & 0x7fffffff == 0 ? 0 : x.isNaN() ? x : SoftFloat32.ONE | x & SoftFloat32.SIGN;
        if (kind == 4) return SoftFloat32.ONE.div(x);
        if (kind == 5) return x.sqrt();
        if (kind <= 8) return x.integral(kind - 6);
        if (kind == 10) return Elementary32.sigmoid(x);
        if (kind == 11) return Elementary32.softplus(x);
        if (kind == 13) return x.isNaN() ? 1 : 0;
        if (kind == 14) return x & 0x7fffffff == SoftFloat32.INF ? 1 : 0;
        if (kind == 32) return Elementary32.exp(x);
        if (kind == 33) return Elementary32.expm1(x);
        if (kind == 34) return Elementary32.log(x);
        if (kind == 35) return Elementary32.log1p(x);
        if (kind == 36) return Elementary32.tanh(x);
        return Elementary32.erf(x);
    }

    function _unaryInt(uint256 kind, uint256 dtype, uint256 x) private pure returns (uint256) {
        unchecked {
            if (kind == 12) return x ^ 1;
            if (kind == 15) return TwinValues.wrap(dtype, ~x);
            int256 v = int256(x);
            if (kind == 3) return uint256(v > 0 ? int256(1) : v < 0 ? -1 : int256(0));
            if (kind == 9) return v < 0 ? 0 : x;
            return kind == 1 || v < 0 ? TwinValues.wrap(dtype, 0 - x) : x;
        }
    }

    /// @notice Whether a function of two operands exists.
    function isBinary(uint256 kind) internal pure returns (bool) {
        return kind > 0 && kind < 18;
    }

    /// @notice Whether it is computed here: all but powers of f32.
    function hasBinary(uint256 kind, uint256 dtype) internal pure returns (bool) {
        return kind != 9 || dtype != TwinValues.F32;
    }

    /// @notice Whether it takes this type.
    function acceptsBinary(uint256 kind, uint256 dtype) internal pure returns (bool) {
        if (kind >= 10 && kind <= 12) return dtype == TwinValues.BOOL;
        if (kind > 12 || kind == 6) return dtype != TwinValues.BOOL && dtype != TwinValues.F32;
        return dtype != TwinValues.BOOL;
    }

    /// @notice f(a, b) of each pair.
    function binary(uint256 kind, uint256 dtype, bytes memory left, bytes memory right)
        public
        pure
        returns (bytes memory)
    {
        (uint256[] memory a, uint256[] memory b) = (TwinValues.asWords(left), TwinValues.asWords(right));
        unchecked {
            for (uint256 i; i < a.length; ++i) {
                a[i] = dtype == TwinValues.F32 ? _binaryF32(kind, a[i], b[i]) : _binaryInt(kind, dtype, a[i], b[i]);
            }
        }
        return TwinValues.asBytes(a);
    }

    function _binaryF32(uint256 kind, uint256 a, uint256 b) private pure returns (uint256) {
        if (kind == 1) return a.add(b);
        if (kind == 2) return a.sub(b);
        if (kind == 3) return a.mul(b);
        if (kind == 4) return a.div(b);
        if (kind == 5) return a.remainder(b);
        return kind == 7 ? a.min(b) : a.max(b);
    }

    function _binaryInt(uint256 kind, uint256 dtype, uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            if (kind == 1) return TwinValues.wrap(dtype, a + b);
            if (kind == 2) return TwinValues.wrap(dtype, a - b);
            if (kind == 3) return TwinValues.wrap(dtype, a * b);
            (int256 x, int256 y) = (int256(a), int256(b));
            if (kind <= 6) {
                if (y == 0) revert DivisionByZero();
                if (kind == 4) return TwinValues.wrap(dtype, uint256(x / y));
                int256 r = x % y;
                return uint256(kind == 6 && r != 0 && (r < 0) != (y < 0) ? r + y : r);
            }
            if (kind == 7) return x < y ? a : b;
            if (kind == 8) return x > y ? a : b;
            if (kind == 9) return TwinValues.wrap(dtype, _power(a, b));
            if (kind == 10 || kind == 13) return a & b;
            if (kind == 11 || kind == 14) return a | b;
            if (kind == 12 || kind == 15) return a ^ b;
            // A negative distance is a great one.
            bool inside = b < 8 * TwinValues.size(dtype);
            if (kind == 16) return inside ? TwinValues.wrap(dtype, a << b) : 0;
            return inside ? uint256(x >> b) : x < 0 ? type(uint256).max : 0;
        }
    }

    /// @dev a^n modulo 2^256, which holds every type's.
    function _power(uint256 a, uint256 n) private pure returns (uint256 y) {
        unchecked {
            y = 1;
            for (; n > 0; n >>= 1) {
                if (n & 1 == 1) y *= a;
                a *= a;
            }
        }
    }

    /// @notice Whether a comparison exists.
    function isCompare(uint256 kind) internal pure returns (bool) {
        return kind > 0 && kind < 6;
    }

    /// @notice a ? b of each pair.
    function compare(uint256 kind, uint256 dtype, bytes memory left, bytes memory right)
        public
        pure
        returns (bytes memory)
    {
        (uint256[] memory a, uint256[] memory b) = (TwinValues.asWords(left), TwinValues.asWords(right));
        unchecked {
            for (uint256 i; i < a.length; ++i) {
                (uint256 p, uint256 q) = (a[i], b[i]);
                a[i] = 0;
                if (dtype == TwinValues.F32) {
                    if (p.isNaN() || q.isNaN()) continue;
                    (p, q) = (uint256(p.key()), uint256(q.key()));
                }
                if (holds(kind, int256(p), int256(q))) a[i] = 1;
            }
        }
        return TwinValues.asBytes(a);
    }

    /// @notice Whether a ? b holds.
    function holds(uint256 kind, int256 a, int256 b) internal pure returns (bool) {
        if (kind == 1) return a == b;
        if (kind == 2) return a < b;
        if (kind == 3) return a <= b;
        return kind == 4 ? a > b : a >= b;
    }

    /// @notice Each element in another type.
    function cast(uint256 from, uint256 to, bytes memory elements) public pure returns (bytes memory) {
        uint256[] memory x = TwinValues.asWords(elements);
        for (uint256 i; i < x.length; ++i) {
            uint256 v = x[i];
            if (to == TwinValues.BOOL) {
                // Of a float both zeros are false, NaN is true.
                x[i] = (from == TwinValues.F32 ? v & 0x7fffffff : v) == 0 ? 0 : 1;
            } else if (to == TwinValues.F32) {
                x[i] = SoftFloat32.fromInt(int256(v));
            } else if (from == TwinValues.F32) {
                (int256 low, int256 high) = TwinValues.range(to);
                x[i] = uint256(v.toInt(low, high));
            } else {
                x[i] = TwinValues.wrap(to, v);
            }
        }
        return TwinValues.asBytes(x);
    }

    // forge-lint: disable-end(unsafe-typecast)
}
