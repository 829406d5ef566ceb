// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {NO_VALUE} from "./TwinProgram.sol";

/// @title Reads the items of a graph section (spec MOD-1 to MOD-3)
/// @notice Little-endian, nothing optional, one encoding: what is not canonical reverts InvalidGraph.
library TwinReader {
    uint256 private constant MAX_NAME = 256;

    /// @dev Stands for a floor division in the key of a term: after every symbol.
    uint256 private constant FLOOR = 0xffffff;

    /// @notice A graph section, the position of the next byte, and what the symbols stand for in this call.
    struct Reader {
        bytes data;
        uint256 position;
        uint256[] symbols;
    }

    /// @dev A polynomial or one of its terms: its value where it has one, how many atoms there are, whether it depends on
    /// symbols, whether it has a floor division.
    struct Sum {
        int256 value;
        bool ok;
        uint256 atoms;
        bool symbolic;
        bool divides;
    }

    /// @notice Reverts InvalidGraph.
    function fail(string memory reason) internal pure {
        revert IInference.InvalidGraph(reason);
    }

    /// @notice The next `n` (1 to 8) bytes as an unsigned integer.
    function uintOf(Reader memory r, uint256 n) internal pure returns (uint256 v) {
        unchecked {
            uint256 p = r.position;
            bytes memory data = r.data;
            if (n > data.length - p) fail("the section ends early");
            r.position = p + n;
            for (uint256 i = n; i > 0; --i) {
                v = v << 8 | uint8(data[p + i - 1]);
            }
        }
    }

    /// @notice An unsigned integer of 1 byte.
    function u8(Reader memory r) internal pure returns (uint256) {
        return uintOf(r, 1);
    }

    /// @notice An unsigned integer of 2 bytes.
    function u16(Reader memory r) internal pure returns (uint256) {
        return uintOf(r, 2);
    }

    /// @notice An unsigned integer of 4 bytes.
    function u32(Reader memory r) internal pure returns (uint256) {
        return uintOf(r, 4);
    }

    /// @notice A signed integer of 64 bits.
    function i64(Reader memory r) internal pure returns (int256 v) {
        uint256 bits = uintOf(r, 8);
        assembly ("memory-safe") {
            v := signextend(7, bits)
        }
    }

    /// @notice A float that is no NaN other than the canonical one.
    function f32(Reader memory r) internal pure returns (uint256 bits) {
        bits = uintOf(r, 4);
        if (SoftFloat32.canonical(bits) != bits) fail("a NaN is written 0x7fc00000");
    }

    /// @notice A flag.
    function flag(Reader memory r) internal pure returns (uint256 v) {
        v = uintOf(r, 1);
        if (v > 1) fail("a flag is 0 or 1");
    }

    /// @notice The code of a data type.
    function dtype(Reader memory r) internal pure returns (uint256 v) {
        v = uintOf(r, 1);
        // 1, 2, 3, 6, 7, 9
        if (v > 9 || (0x2ce >> v) & 1 == 0) fail("a data type is 1, 2, 3, 6, 7 or 9");
    }

    /// @notice A list of bytes.
    function bytesOf(Reader memory r) internal pure returns (uint256[] memory) {
        return integers(r, 1, false);
    }

    /// @notice A list of integers of `n` bytes, the signed ones in two's complement of 256 bits.
    function integers(Reader memory r, uint256 n, bool signed) internal pure returns (uint256[] memory v) {
        v = new uint256[](uintOf(r, 1));
        for (uint256 i; i < v.length; ++i) {
            uint256 bits = uintOf(r, n);
            assembly ("memory-safe") {
                if signed { bits := signextend(sub(n, 1), bits) }
                mstore(add(add(v, 32), shl(5, i)), bits)
            }
        }
    }

    /// @notice Skips a string of at most 256 bytes of UTF-8 without control characters.
    function skipString(Reader memory r) internal pure {
        unchecked {
            uint256 n = uintOf(r, 2);
            if (n > MAX_NAME) fail("a name is longer than 256 bytes");
            if (n > r.data.length - r.position) fail("the section ends early");
            bytes memory data = r.data;
            uint256 p = r.position;
            uint256 end = p + n;
            r.position = end;
            if (_plain(data, p, n)) return;
            while (p < end) {
                uint256 lead = uint8(data[p++]);
                if (lead < 0x80) {
                    if (lead < 0x20 || lead == 0x7f) fail("a name has no control characters");
                    continue;
                }
                // Bytes that follow, and the least code point that needs them.
                (uint256 more, uint256 least) =
                    lead < 0xe0 ? (uint256(1), uint256(0x80)) : lead < 0xf0 ? (2, 0x800) : (3, 0x10000);
                if (lead < 0xc0 || lead > 0xf7 || p + more > end) fail("a name is UTF-8");
                uint256 code = lead & (0x3f >> more);
                for (; more > 0; --more) {
                    uint256 next = uint8(data[p++]);
                    if (next & 0xc0 != 0x80) fail("a name is UTF-8");
                    code = code << 6 | (next & 0x3f);
                }
                if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) fail("a name is UTF-8");
                if (code < 0xa0) fail("a name has no control characters");
            }
        }
    }

    /// @dev Whether all of `n` bytes are 0x20 to 0x7e: no byte has its top bit, is below 0x20 or is 0x7f.
    function _plain(bytes memory data, uint256 p, uint256 n) private pure returns (bool plain) {
        assembly ("memory-safe") {
            let ones := 0x0101010101010101010101010101010101010101010101010101010101010101
            let from := add(add(data, 32), p)
            let found := 0
            for { let end := add(from, n) } lt(from, end) { from := add(from, 32) } {
                let w := mload(from)
                // Spaces take the place of what follows.
                let rest := sub(end, from)
                if lt(rest, 32) {
                    let keep := not(shr(shl(3, rest), not(0)))
                    w := or(and(w, keep), and(mul(ones, 0x20), not(keep)))
                }
                let del := xor(w, mul(ones, 0x7f))
                found := or(found, or(w, or(and(sub(w, mul(ones, 0x20)), not(w)), and(sub(del, ones), not(del)))))
            }
            plain := iszero(and(found, shl(7, ones)))
        }
    }

    /// @notice A list of dimensions, as `dimension` reads each.
    function dimensions(Reader memory r) internal pure returns (uint256[] memory v) {
        v = new uint256[](uintOf(r, 1));
        for (uint256 i; i < v.length; ++i) {
            v[i] = dimension(r);
        }
    }

    /// @notice A dimension, its symbols replaced by their values in this call; NO_VALUE where it has none.
    function dimension(Reader memory r) internal pure returns (uint256) {
        uint256 kind = uintOf(r, 1);
        if (kind == 0) return uintOf(r, 8);
        if (kind != 1) fail("a dimension is a number (0) or a polynomial (1)");
        Sum memory sum;
        _polynomial(r, sum, 0);
        if (!sum.symbolic || sum.atoms > 64) fail("a dimension is written in its simplest form");
        // forge-lint: disable-next-line(unsafe-typecast)
        return sum.ok && sum.value >= 0 ? uint256(sum.value) : NO_VALUE;
    }

    /// @dev Terms ascend, and so do the atoms of each, symbols before floor divisions; a constant alone is written as a
    /// number. Every step fits i64, as in the engine, or the polynomial has no value. Of floor divisions among themselves
    /// the order is not checked: that takes comparing polynomials, and an active graph passed the precompile's decoder.
    function _polynomial(Reader memory r, Sum memory sum, uint256 depth) private pure {
        uint256 terms = uintOf(r, 1);
        if (terms > 16 || depth > 4) fail("a dimension is too complex");
        uint256 last;
        (sum.value, sum.ok) = (0, true);
        for (uint256 t; t < terms; ++t) {
            Sum memory term;
            uint256 key = _term(r, term, depth);
            if (t > 0 && key <= last && (!term.divides || key < last)) fail("terms and atoms ascend");
            last = key;
            sum.atoms += term.atoms;
            if (key > 0) sum.symbolic = true;
            sum.value += term.value;
            sum.ok = sum.ok && term.ok && _fits(sum.value);
            if (!sum.ok) sum.value = 0;
        }
    }

    /// @dev A term. Its key is a byte triple for each atom, so that keys ascend as terms do; it does not tell floor
    /// divisions apart.
    function _term(Reader memory r, Sum memory term, uint256 depth) private pure returns (uint256 key) {
        (term.value, term.ok) = (i64(r), true);
        uint256 n = uintOf(r, 1);
        if (n > 8 || term.value == 0) fail("a term has a non-zero coefficient and a degree of at most 8");
        term.atoms = n;
        uint256 before;
        for (uint256 i; i < n; ++i) {
            uint256 kind = uintOf(r, 1);
            uint256 atom = FLOOR;
            if (kind == 0) {
                uint256 symbol = uintOf(r, 2);
                if (symbol >= r.symbols.length) fail("a dimension mentions a symbol that the graph does not have");
                atom = symbol + 1;
                // forge-lint: disable-next-line(unsafe-typecast)
                _multiply(term, int256(r.symbols[symbol]));
            } else {
                if (kind != 1) fail("an atom is a symbol (0) or a floor division (1)");
                uint256 divisor = uintOf(r, 8);
                if (divisor < 2) fail("a divisor is at least 2");
                term.divides = true;
                Sum memory numerator;
                _polynomial(r, numerator, depth + 1);
                term.atoms += numerator.atoms;
                term.ok = term.ok && numerator.ok && numerator.value >= 0 && divisor >> 63 == 0;
                // forge-lint: disable-next-line(unsafe-typecast)
                if (term.ok) _multiply(term, numerator.value / int256(divisor));
            }
            if (atom < before) fail("terms and atoms ascend");
            before = atom;
            key |= atom << (24 * (7 - i));
        }
    }

    function _multiply(Sum memory term, int256 factor) private pure {
        term.ok = term.ok && _fits(factor) && _fits(term.value * factor);
        term.value = term.ok ? term.value * factor : int256(1);
    }

    function _fits(int256 v) private pure returns (bool) {
        return v >= type(int64).min && v <= type(int64).max;
    }
}
