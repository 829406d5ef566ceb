// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference} from "../IInference.sol";
import {SoftFloat32} from "./SoftFloat32.sol";

/// @title Reads the items of a graph section (spec MOD-1 to MOD-3)
/// @notice Little-endian, nothing optional, one encoding: what is not canonical reverts InvalidGraph.
library TwinReader {
    uint256 private constant MAX_NAME = 256;
    uint256 private constant MAX_RANK = 8;

    /// @notice A graph section, the position of the next byte, and what the symbols stand for in this call.
    struct Reader {
        bytes data;
        uint256 position;
        uint256[] symbols;
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

    function u8(Reader memory r) internal pure returns (uint256) {
        return uintOf(r, 1);
    }

    function u16(Reader memory r) internal pure returns (uint256) {
        return uintOf(r, 2);
    }

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

    /// @notice Bytes, each one an axis.
    function axes(Reader memory r) internal pure returns (uint256[] memory v) {
        v = new uint256[](uintOf(r, 1));
        for (uint256 i; i < v.length; ++i) {
            v[i] = uintOf(r, 1);
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

    /// @notice A shape, its symbols replaced by their values in this call.
    function shape(Reader memory r) internal pure returns (uint256[] memory v) {
        uint256 rank = uintOf(r, 1);
        if (rank > MAX_RANK) fail("a rank is above 8");
        v = new uint256[](rank);
        for (uint256 i; i < rank; ++i) {
            v[i] = dimension(r);
        }
    }

    /// @notice A dimension: a number, or the value of a polynomial.
    function dimension(Reader memory r) internal pure returns (uint256) {
        uint256 kind = uintOf(r, 1);
        if (kind == 0) return uintOf(r, 8);
        if (kind != 1) fail("a dimension is a number (0) or a polynomial (1)");
        int256 value = _polynomial(r);
        if (value < 0 || value > type(int64).max) fail("a dimension has no value in this call");
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint256(value);
    }

    /// @dev Terms and the atoms of each ascend; a constant alone is written as a number. Every step fits i64, as in the
    /// engine, or the dimension has no value.
    function _polynomial(Reader memory r) private pure returns (int256 sum) {
        uint256 terms = uintOf(r, 1);
        if (terms > 16) fail("a dimension is too complex");
        uint256 last;
        uint256 atoms;
        for (uint256 t; t < terms; ++t) {
            int256 product = i64(r);
            uint256 n = uintOf(r, 1);
            if (n > 8 || product == 0) fail("a term has a non-zero coefficient and a degree of at most 8");
            uint256 key;
            uint256 before;
            for (uint256 i; i < n; ++i) {
                uint256 kind = uintOf(r, 1);
                if (kind == 1) revert IInference.TwinCannotRun("a dimension with a floor division");
                if (kind != 0) fail("an atom is a symbol (0) or a floor division (1)");
                uint256 symbol = uintOf(r, 2);
                if (symbol >= r.symbols.length) fail("a dimension mentions a symbol that the graph does not have");
                if (symbol + 1 < before) fail("terms and atoms ascend");
                before = symbol + 1;
                key |= before << (24 * (7 - i));
                // forge-lint: disable-next-line(unsafe-typecast)
                product = _i64(product * int256(r.symbols[symbol]));
            }
            if (t > 0 && key <= last) fail("terms and atoms ascend");
            last = key;
            atoms += n;
            sum = _i64(sum + product);
        }
        if (last == 0 || atoms > 64) fail("a dimension is written in its simplest form");
    }

    function _i64(int256 v) private pure returns (int256) {
        if (v < type(int64).min || v > type(int64).max) fail("a dimension has no value in this call");
        return v;
    }
}
