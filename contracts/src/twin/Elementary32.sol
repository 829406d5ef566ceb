// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {leadingZeros} from "./LeadingZeros.sol";
import {SoftFloat32} from "./SoftFloat32.sol";

/// @title Elementary functions of LS1, correctly rounded (spec NUM-7)
/// @notice Each returns the binary32 nearest to the true value.
/// @dev A value is first computed as an integer with 126 fractional bits and a proven bound of its error; then both ends
/// of the interval are rounded. Where they differ the call reverts `Undecided`; it never answers on a guess. Results that
/// are representable, or closer to a representable value than the bound, are decided before: at 0, at 1 for log, and for
/// small arguments, where f(x) = x (1 + d) with |d| below a quarter of the last bit.
///
/// Bounds, in units of 2^-126. exp: the reduction x - k ln2 errs by at most |k| <= 186 and one for the constant, the
/// series by 16, each of 8 squarings doubles what there is and adds 2: less than 2^16 altogether. log: 26 terms and a
/// quotient, each truncated, times 2, plus |k| <= 150 for ln2: less than 2^9.
library Elementary32 {
    using SoftFloat32 for uint256;

    // Bit patterns and fixed-point numbers change their type at will here; all are below 2^255.
    // forge-lint: disable-start(unsafe-typecast)

    /// @notice The precision does not decide to which side this argument rounds.
    error Undecided(uint256 x);

    /// @dev 1, ln 2 and the square root of 2, with 126 fractional bits; 2 / sqrt(pi) with 110.
    int256 private constant ONE = 1 << 126;
    int256 private constant LN2 = 0x2c5c85fdf473de6af278ece600fcbdac;
    int256 private constant SQRT2 = 0x5a827999fcef32422cbec4d9baa55f50;
    uint256 private constant TWO_BY_SQRT_PI = 0x48375d410a6db446b8ea453fb5ff;

    /// @dev Bounds of the error, in the last place of the fixed-point value.
    uint256 private constant EXP_ERROR = 1 << 16;
    uint256 private constant LOG_ERROR = 1 << 10;

    /// @notice e^x.
    function exp(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 magnitude = x & 0x7fffffff;
            if (magnitude > SoftFloat32.INF) return SoftFloat32.NAN;
            if (magnitude >= 0x43000000) return x >> 31 == 1 ? 0 : SoftFloat32.INF; // 128
            if (magnitude < 0x32800000) return SoftFloat32.ONE; // 2^-26
            (int256 y, int256 k) = _exp(_fixed(x));
            return _decide(x, 0, uint256(y), k - 126, EXP_ERROR);
        }
    }

    /// @notice e^x - 1.
    function expm1(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 magnitude = x & 0x7fffffff;
            if (magnitude > SoftFloat32.INF) return SoftFloat32.NAN;
            bool negative = x >> 31 == 1;
            if (magnitude >= 0x43000000) return negative ? 0xbf800000 : SoftFloat32.INF;
            if (magnitude < 0x32800000) return x;
            (int256 y, int256 k) = _exp(_fixed(x));
            // Beyond 2^80 the 1 is far below the bound; down to there it is subtracted in the unit of y.
            if (k > 80) return _decide(x, 0, uint256(y), k - 126, EXP_ERROR + (1 << 46));
            if (k >= 0) return _decideSigned(x, y - (ONE >> uint256(k)), k - 126, EXP_ERROR);
            // y * 2^k is below 1: in the unit 2^-126 the error shrinks by 2^k, and truncation adds 1.
            return _decideSigned(x, (k < -126 ? int256(0) : y >> uint256(-k)) - ONE, -126, EXP_ERROR + 1);
        }
    }

    /// @notice The natural logarithm.
    function log(uint256 x) internal pure returns (uint256) {
        unchecked {
            if (x & 0x7fffffff > SoftFloat32.INF) return SoftFloat32.NAN;
            if (x & 0x7fffffff == 0) return SoftFloat32.NEG_INF;
            if (x >> 31 == 1) return SoftFloat32.NAN;
            if (x == SoftFloat32.INF) return x;
            if (x == SoftFloat32.ONE) return 0;
            (uint256 m, int256 e) = SoftFloat32.decode(x);
            return _decideSigned(x, _log(m, e), -126, LOG_ERROR);
        }
    }

    /// @notice ln(1 + x).
    function log1p(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 magnitude = x & 0x7fffffff;
            if (magnitude > SoftFloat32.INF) return SoftFloat32.NAN;
            if (magnitude < 0x32800000) return x; // 2^-26
            bool negative = x >> 31 == 1;
            if (negative && magnitude >= SoftFloat32.ONE) {
                return magnitude == SoftFloat32.ONE ? SoftFloat32.NEG_INF : SoftFloat32.NAN;
            }
            if (x == SoftFloat32.INF) return x;
            (uint256 m, int256 e) = SoftFloat32.decode(x);
            // From 2^77 on ln(1 + x) exceeds ln(x) by less than 2^-77.
            if (magnitude >= 0x66000000) return _decideSigned(x, _log(m, e), -126, 1 << 50);
            // 1 + x is an integer of units 2^-49: the last bit of 2^-26 is there.
            m <<= uint256(e + 49);
            return _decideSigned(x, _log(negative ? (1 << 49) - m : (1 << 49) + m, -49), -126, LOG_ERROR);
        }
    }

    /// @notice The hyperbolic tangent.
    function tanh(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 magnitude = x & 0x7fffffff;
            if (magnitude > SoftFloat32.INF) return SoftFloat32.NAN;
            if (magnitude < 0x39000000) return x; // 2^-13: x^2 / 3 is below 2^-27
            if (magnitude >= 0x41800000) return SoftFloat32.ONE | x & SoftFloat32.SIGN; // 16: 1 - 2^-45
            // (1 - t) / (1 + t) with t = exp(-2|x|) < 1.
            (int256 y, int256 k) = _exp(-2 * _fixed(magnitude));
            y = y >> uint256(-k);
            // The numerator's error is at most doubled by the denominator's, and 2 are added by truncation.
            return _decide(x, x >> 31, uint256((ONE - y) << 126) / uint256(ONE + y), -126, 4 * EXP_ERROR);
        }
    }

    /// @notice The error function.
    /// @dev m * 2^e * g with g = erf(x) / x = 2 / sqrt(pi) * sum of (-1)^n x^2n / (n! (2n + 1)), 110 fractional bits. The
    /// terms stay below 2^20 (x < 4); each carries the relative error of n truncations, 2^-110 each against at least 1
    /// where they grow: the sum errs by less than 2^-80, which is 2^30 units.
    function erf(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 magnitude = x & 0x7fffffff;
            if (magnitude > SoftFloat32.INF) return SoftFloat32.NAN;
            if (magnitude == 0) return x;
            if (magnitude >= 0x40800000) return SoftFloat32.ONE | x & SoftFloat32.SIGN; // 4: 1 - 2^-25.9
            (uint256 m, int256 e) = SoftFloat32.decode(magnitude);
            uint256 sum;
            assembly ("memory-safe") {
                // x^2 with 110 fractional bits.
                let s := mul(m, m)
                let shift := add(add(e, e), 110)
                switch slt(shift, 0)
                case 0 { s := shl(shift, s) }
                default { s := shr(sub(0, shift), s) }
                let t := shl(110, 1)
                sum := t
                for { let n := 1 } t { n := add(n, 1) } {
                    t := div(shr(110, mul(t, s)), n)
                    let term := div(t, add(add(n, n), 1))
                    switch and(n, 1)
                    case 0 { sum := add(sum, term) }
                    default { sum := sub(sum, term) }
                }
                sum := shr(110, mul(sum, TWO_BY_SQRT_PI))
            }
            return _decide(x, x >> 31, m * sum, e - 110, m << 32);
        }
    }

    /// @notice 1 / (1 + exp(-x)): each operation rounded once (spec NUM-8).
    function sigmoid(uint256 x) internal pure returns (uint256) {
        return SoftFloat32.ONE.div(SoftFloat32.ONE.add(exp(x ^ SoftFloat32.SIGN)));
    }

    /// @notice max(x, 0) + log1p(exp(-|x|)) (spec NUM-8).
    function softplus(uint256 x) internal pure returns (uint256) {
        return x.max(0).add(log1p(exp(x | SoftFloat32.SIGN)));
    }

    /// @dev x with 126 fractional bits, exactly: 2^-26 <= |x| < 128.
    function _fixed(uint256 x) private pure returns (int256 v) {
        unchecked {
            (uint256 m, int256 e) = SoftFloat32.decode(x);
            v = int256(m << uint256(e + 126));
            if (x >> 31 == 1) v = -v;
        }
    }

    /// @dev e^x = y * 2^k with y between 0.7 and 1.42; both x and y with 126 fractional bits.
    function _exp(int256 x) private pure returns (int256 y, int256 k) {
        assembly ("memory-safe") {
            let half := shr(1, LN2)
            k := sdiv(add(x, sub(half, mul(LN2, slt(x, 0)))), LN2)
            // r / 256, |r| <= ln2 / 2; the rest of a sum of 14 terms is below 2^-160.
            let r := sar(8, sub(x, mul(k, LN2)))
            y := ONE
            for { let n := 14 } n { n := sub(n, 1) } {
                y := add(ONE, sdiv(sar(126, mul(r, y)), n))
            }
            for { let n := 8 } n { n := sub(n, 1) } { y := shr(126, mul(y, y)) }
        }
    }

    /// @dev ln(n * 2^e) with 126 fractional bits; n is not 0 and below 2^127.
    function _log(uint256 n, int256 e) private pure returns (int256 v) {
        uint256 zeros = leadingZeros(n);
        assembly ("memory-safe") {
            // n * 2^e = m * 2^k with m between sqrt(1/2) and sqrt(2).
            let shift := sub(zeros, 129)
            let m := shl(shift, n)
            // ln m = 2 artanh z, z = (m - 1) / (m + 1); where m exceeds sqrt(2) it is halved: (m - 2) / (m + 2).
            let up := gt(m, SQRT2)
            let k := add(add(sub(e, shift), 126), up)
            let one := shl(up, ONE)
            let z := sdiv(shl(126, sub(m, one)), add(m, one))
            let s := sar(126, mul(z, z))
            v := z
            for { let i := 3 } z { i := add(i, 2) } {
                z := sar(126, mul(z, s))
                if eq(z, not(0)) { z := 0 }
                v := add(v, sdiv(z, i))
            }
            v := add(add(v, v), mul(k, LN2))
        }
    }

    /// @dev Rounds n * 2^exponent, known to within `bound`.
    function _decide(uint256 x, uint256 sign, uint256 n, int256 exponent, uint256 bound)
        private
        pure
        returns (uint256 r)
    {
        r = SoftFloat32.pack(sign, n - bound, exponent);
        if (r != SoftFloat32.pack(sign, n + bound, exponent)) revert Undecided(x);
    }

    function _decideSigned(uint256 x, int256 v, int256 exponent, uint256 bound) private pure returns (uint256) {
        unchecked {
            return v < 0 ? _decide(x, 1, uint256(-v), exponent, bound) : _decide(x, 0, uint256(v), exponent, bound);
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
