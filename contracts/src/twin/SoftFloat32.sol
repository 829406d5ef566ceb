// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {leadingZeros} from "./LeadingZeros.sol";

/// @title binary32 arithmetic of LS1 (spec section 1)
/// @notice A value is its bit pattern in a uint256 below 2^32. Every operation rounds once, to nearest, ties to even;
/// subnormals are kept; every NaN that comes out is 0x7fc00000.
/// @dev A finite value is m * 2^(e - 150): e is the exponent field, 1 for subnormals and zeros. Sums are aligned exactly
/// in 256 bits, or by so much that the smaller operand can only be sticky; `pack` rounds.
library SoftFloat32 {
    uint256 internal constant NAN = 0x7fc00000;
    uint256 internal constant INF = 0x7f800000;
    uint256 internal constant NEG_INF = 0xff800000;
    uint256 internal constant ONE = 0x3f800000;
    uint256 internal constant SIGN = 0x80000000;

    /// @notice Rounds (-1)^sign * n * 2^exponent to binary32. n is below 2^255; where it is 0 the result is a zero.
    function pack(uint256 sign, uint256 n, int256 exponent) internal pure returns (uint256 r) {
        uint256 zeros = leadingZeros(n);
        assembly ("memory-safe") {
            if n {
                // The exponent of the result's last bit: 24 bits from the top, or that of subnormals.
                let q := sub(add(exponent, 232), zeros)
                if slt(q, not(148)) { q := not(148) }
                let shift := sub(q, exponent)
                switch sgt(shift, 0)
                case 0 { n := shl(sub(0, shift), n) }
                default {
                    // Adds half, less one unit unless the last bit that stays is odd.
                    n := shr(shift, add(n, add(sub(shl(sub(shift, 1), 1), 1), and(shr(shift, n), 1))))
                }
                // A carry out of the significand moves into the exponent.
                r := add(shl(23, add(q, 149)), n)
                if gt(r, 0x7f7fffff) { r := 0x7f800000 }
            }
            r := or(r, shl(31, sign))
        }
    }

    /// @notice a * b + c, rounded once.
    function fma(uint256 a, uint256 b, uint256 c) internal pure returns (uint256 r) {
        uint256 sign;
        uint256 n; // n * 2^(q - 300) where no operand is infinite or NaN
        uint256 q;
        assembly ("memory-safe") {
            let ea := and(shr(23, a), 0xff)
            let eb := and(shr(23, b), 0xff)
            let ec := and(shr(23, c), 0xff)
            sign := shr(31, xor(a, b))
            switch or(or(eq(ea, 0xff), eq(eb, 0xff)), eq(ec, 0xff))
            case 0 {
                n := mul(
                    or(and(a, 0x7fffff), shl(23, iszero(iszero(ea)))),
                    or(and(b, 0x7fffff), shl(23, iszero(iszero(eb))))
                )
                let m := or(and(c, 0x7fffff), shl(23, iszero(iszero(ec))))
                ec := add(ec, iszero(ec))
                // Exponents of the last bits: q of the product, less 300, and ec of c, less 150.
                q := add(add(ea, iszero(ea)), add(eb, iszero(eb)))
                let d := sub(q, add(ec, 150))
                // A shift of 160 leaves the other operand sticky only; where it is cut the shifted one is not zero.
                switch slt(d, 0)
                case 0 {
                    if gt(d, 160) { d := 160 }
                    n := shl(d, n)
                    q := sub(q, d)
                }
                default {
                    d := sub(0, d)
                    if gt(d, 160) { d := 160 }
                    m := shl(d, m)
                    q := sub(add(ec, 150), d)
                }
                switch xor(sign, shr(31, c))
                case 0 { n := add(n, m) }
                default {
                    switch lt(n, m)
                    case 0 {
                        n := sub(n, m)
                        sign := and(sign, iszero(iszero(n))) // an exact difference of zero is +0
                    }
                    default {
                        n := sub(m, n)
                        sign := xor(sign, 1)
                    }
                }
                r := shl(31, sign)
            }
            default {
                a := and(a, 0x7fffffff)
                b := and(b, 0x7fffffff)
                let m := and(c, 0x7fffffff)
                r := 0x7fc00000
                // No operand is NaN and the product is not 0 * infinity.
                if iszero(or(or(gt(a, 0x7f800000), gt(b, 0x7f800000)), or(gt(m, 0x7f800000), iszero(mul(a, b))))) {
                    switch eq(m, 0x7f800000)
                    case 0 { r := or(0x7f800000, shl(31, sign)) }
                    default {
                        if iszero(and(or(eq(ea, 0xff), eq(eb, 0xff)), xor(sign, shr(31, c)))) { r := c }
                    }
                }
                // A finite product that is zero leaves c's infinity.
                if iszero(or(or(eq(ea, 0xff), eq(eb, 0xff)), gt(m, 0x7f800000))) { r := c }
            }
        }
        // A zero, or not finite.
        if (n == 0) return r;
        uint256 zeros = leadingZeros(n);
        assembly ("memory-safe") {
            // As pack, with 25 more bits below, so that there is always something to shift out.
            let shift := sub(257, zeros) // to 24 bits
            if slt(add(q, shift), 176) { shift := sub(176, q) } // the unit is 2^(q - 325): 2^-149 is 176
            n := shl(25, n)
            n := shr(shift, add(n, add(sub(shl(sub(shift, 1), 1), 1), and(shr(shift, n), 1))))
            n := add(shl(23, sub(add(q, shift), 176)), n)
            if gt(n, 0x7f7fffff) { n := 0x7f800000 }
            r := or(r, n)
        }
    }

    /// @notice a + b.
    function add(uint256 a, uint256 b) internal pure returns (uint256 r) {
        uint256 sign;
        uint256 n;
        int256 exponent;
        assembly ("memory-safe") {
            let ea := and(shr(23, a), 0xff)
            let eb := and(shr(23, b), 0xff)
            switch or(eq(ea, 0xff), eq(eb, 0xff))
            case 0 {
                n := or(and(a, 0x7fffff), shl(23, iszero(iszero(ea))))
                let m := or(and(b, 0x7fffff), shl(23, iszero(iszero(eb))))
                ea := add(ea, iszero(ea))
                eb := add(eb, iszero(eb))
                switch gt(ea, eb)
                case 0 {
                    let d := sub(eb, ea)
                    if gt(d, 64) { d := 64 }
                    m := shl(d, m)
                    exponent := sub(eb, add(d, 150))
                }
                default {
                    let d := sub(ea, eb)
                    if gt(d, 64) { d := 64 }
                    n := shl(d, n)
                    exponent := sub(ea, add(d, 150))
                }
                sign := shr(31, a)
                switch eq(sign, shr(31, b))
                case 1 { n := add(n, m) }
                default {
                    switch lt(n, m)
                    case 0 {
                        n := sub(n, m)
                        sign := and(sign, iszero(iszero(n)))
                    }
                    default {
                        n := sub(m, n)
                        sign := xor(sign, 1)
                    }
                }
            }
            default {
                let x := and(a, 0x7fffffff)
                let y := and(b, 0x7fffffff)
                r := 0x7fc00000
                if iszero(or(gt(x, 0x7f800000), gt(y, 0x7f800000))) {
                    switch eq(x, 0x7f800000)
                    case 0 { r := b }
                    default { if or(eq(a, b), lt(y, 0x7f800000)) { r := a } }
                }
            }
        }
        if (r == 0) return pack(sign, n, exponent);
    }

    /// @notice a - b.
    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        return add(a, b ^ SIGN);
    }

    /// @notice a * b.
    function mul(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) >> 31;
            (uint256 x, uint256 y) = (a & 0x7fffffff, b & 0x7fffffff);
            if (x >= INF || y >= INF) {
                return x > INF || y > INF || x * y == 0 ? NAN : INF | sign << 31;
            }
            (uint256 m, int256 e) = decode(x);
            (uint256 n, int256 f) = decode(y);
            return pack(sign, m * n, e + f);
        }
    }

    /// @notice a / b.
    function div(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) >> 31;
            (uint256 x, uint256 y) = (a & 0x7fffffff, b & 0x7fffffff);
            if (x > INF || y > INF || (x == INF && y == INF) || (x == 0 && y == 0)) return NAN;
            if (x == INF || y == 0) return INF | sign << 31;
            if (y == INF) return sign << 31;
            (uint256 m, int256 e) = decode(x);
            (uint256 n, int256 f) = decode(y);
            // More bits than rounding looks at, and a sticky one.
            m <<= 64;
            uint256 q = m / n << 1;
            if (m % n != 0) q |= 1;
            return pack(sign, q, e - f - 65);
        }
    }

    /// @notice a - b * n for the n that truncates a / b: exact, with the sign of a.
    function remainder(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            (uint256 x, uint256 y) = (a & 0x7fffffff, b & 0x7fffffff);
            if (x >= INF || y > INF || y == 0) return NAN;
            if (x < y) return a;
            (uint256 m, int256 e) = decode(x);
            (uint256 n, int256 f) = decode(y);
            // x is at least y, so that e is at least f.
            // forge-lint: disable-next-line(unsafe-typecast)
            uint256 left = uint256(e - f);
            for (m %= n; left > 0;) {
                uint256 step = left < 200 ? left : 200;
                m = (m << step) % n;
                left -= step;
            }
            return pack(a >> 31, m, f);
        }
    }

    /// @notice The square root.
    function sqrt(uint256 a) internal pure returns (uint256) {
        unchecked {
            if (a & 0x7fffffff == 0) return a;
            if (a >= INF) return a == INF ? INF : NAN;
            (uint256 m, int256 e) = decode(a);
            if (e & 1 == 1) (m, e) = (m << 1, e - 1);
            m <<= 64;
            uint256 root = leadingZeros(m);
            assembly ("memory-safe") {
                // Newton from above.
                root := shl(shr(1, sub(257, root)), 1)
                for {} 1 {} {
                    let next := shr(1, add(root, div(m, root)))
                    if iszero(lt(next, root)) { break }
                    root := next
                }
            }
            return pack(0, root << 1 | (root * root == m ? 0 : 1), e / 2 - 33);
        }
    }

    /// @notice The magnitude of a finite value: m * 2^exponent.
    function decode(uint256 a) internal pure returns (uint256 m, int256 exponent) {
        assembly ("memory-safe") {
            let e := and(shr(23, a), 0xff)
            m := or(and(a, 0x7fffff), shl(23, iszero(iszero(e))))
            exponent := sub(add(e, iszero(e)), 150)
        }
    }

    /// @notice Whether a is NaN.
    function isNaN(uint256 a) internal pure returns (bool) {
        return a & 0x7fffffff > INF;
    }

    /// @notice a, or the canonical NaN.
    function canonical(uint256 a) internal pure returns (uint256) {
        return isNaN(a) ? NAN : a;
    }

    /// @notice Integers in the order of values that are no NaN; both zeros are 0.
    function key(uint256 a) internal pure returns (int256 k) {
        assembly ("memory-safe") {
            k := and(a, 0x7fffffff)
            if shr(31, a) { k := sub(0, k) }
        }
    }

    /// @notice a == b; false with a NaN.
    function eq(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNaN(a) && !isNaN(b) && key(a) == key(b);
    }

    /// @notice a < b; false with a NaN.
    function lt(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNaN(a) && !isNaN(b) && key(a) < key(b);
    }

    /// @notice a <= b; false with a NaN.
    function le(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNaN(a) && !isNaN(b) && key(a) <= key(b);
    }

    /// @notice The greater; NaN if either is; +0 above -0.
    function max(uint256 a, uint256 b) internal pure returns (uint256) {
        if (isNaN(a) || isNaN(b)) return NAN;
        (int256 x, int256 y) = (key(a), key(b));
        return x == y ? a & b : x > y ? a : b;
    }

    /// @notice The lesser; NaN if either is; -0 below +0.
    function min(uint256 a, uint256 b) internal pure returns (uint256) {
        if (isNaN(a) || isNaN(b)) return NAN;
        (int256 x, int256 y) = (key(a), key(b));
        return x == y ? a | b : x < y ? a : b;
    }

    /// @notice An order for max and arg-max: both zeros are equal, NaN is greatest and equal to NaN.
    function totalKey(uint256 a) internal pure returns (int256) {
        return isNaN(a) ? int256(0x7fc00000) : key(a);
    }

    /// @notice An integer (below 2^254 in magnitude), rounded once.
    function fromInt(int256 v) internal pure returns (uint256) {
        unchecked {
            // forge-lint: disable-next-line(unsafe-typecast)
            return v < 0 ? pack(1, uint256(-v), 0) : pack(0, uint256(v), 0);
        }
    }

    /// @notice Truncated and saturated to [low, high], which contains 0; of NaN 0.
    function toInt(uint256 a, int256 low, int256 high) internal pure returns (int256 v) {
        unchecked {
            uint256 x = a & 0x7fffffff;
            if (x > INF) return 0;
            bool negative = a >> 31 == 1;
            if (x >= 0x5f800000) return negative ? low : high; // 2^64 and above
            (uint256 m, int256 e) = decode(x);
            // forge-lint: disable-next-line(unsafe-typecast)
            v = int256(e < 0 ? m >> uint256(-e) : m << uint256(e));
            if (negative) v = -v;
            if (v < low) return low;
            if (v > high) return high;
        }
    }

    /// @notice To an integral value: mode 0 towards -infinity, 1 towards +infinity, 2 to nearest, ties to even.
    function integral(uint256 a, uint256 mode) internal pure returns (uint256) {
        unchecked {
            if (isNaN(a)) return NAN;
            (uint256 m, int256 e) = decode(a);
            if (e >= 0 || a & 0x7fffffff == 0) return a;
            uint256 sign = a >> 31;
            // forge-lint: disable-next-line(unsafe-typecast)
            uint256 shift = uint256(-e);
            uint256 n = m >> shift;
            uint256 rest = m & ((1 << shift) - 1);
            if (mode == 2) {
                uint256 half = 1 << (shift - 1);
                if (rest > half || (rest == half && n & 1 == 1)) ++n;
            } else if (rest != 0 && mode != sign) {
                ++n; // away from zero: the sign is the direction's
            }
            return pack(sign, n, 0);
        }
    }
}
