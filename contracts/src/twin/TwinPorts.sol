// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {Request} from "./TwinProgram.sol";
import {TwinReader} from "./TwinReader.sol";
import {TwinValues, Value} from "./TwinValues.sol";

/// @title Symbols and inputs of a graph section, and how a call binds them (spec ABI-3, ABI-8, MOD-8)
/// @notice The order of the checks is the precompile's: rows, or count and types; then ranks, dimensions and symbols.
library TwinPorts {
    using TwinReader for TwinReader.Reader;

    /// @dev A symbol as a dimension: SYMBOL + its number.
    uint256 private constant SYMBOL = 1 << 128;

    /// @notice Reads symbols and inputs, and binds the symbols. `rows` and `features` are 0 for a call with tensors.
    function read(TwinReader.Reader memory r, Request memory q)
        internal
        pure
        returns (Value[] memory ports, uint256 rows, uint256 features)
    {
        uint256[] memory names = new uint256[](r.u8());
        for (uint256 i; i < names.length; ++i) {
            names[i] = r.position;
            r.skipString();
        }
        r.symbols = new uint256[](names.length);
        ports = _ports(r, names.length);
        if (q.any) {
            _ones(r, ports);
        } else if (q.rows) {
            (rows, features) = _rows(ports, q);
            for (uint256 i; i < ports.length; ++i) {
                ports[i].shape[0] = rows;
            }
            // The one symbol that such inputs can have is their first dimension.
            if (names.length > 0) r.symbols[0] = rows;
        } else {
            _bind(r, ports, q, names);
        }
    }

    function _ones(TwinReader.Reader memory r, Value[] memory ports) private pure {
        for (uint256 i; i < r.symbols.length; ++i) {
            r.symbols[i] = 1;
        }
        for (uint256 i; i < ports.length; ++i) {
            uint256[] memory shape = ports[i].shape;
            for (uint256 k; k < shape.length; ++k) {
                if (shape[k] >= SYMBOL) shape[k] = 1;
            }
        }
    }

    /// @dev Types and shapes; symbols are plain, numbered in the order of their first use, and all used.
    function _ports(TwinReader.Reader memory r, uint256 symbols) private pure returns (Value[] memory ports) {
        ports = new Value[](r.u16());
        uint256 seen;
        for (uint256 i; i < ports.length; ++i) {
            r.skipString();
            ports[i].dtype = r.dtype();
            uint256 rank = r.u8();
            if (rank > 8) TwinReader.fail("a rank is above 8");
            uint256[] memory shape = new uint256[](rank);
            ports[i].shape = shape;
            for (uint256 k; k < rank; ++k) {
                uint256 kind = r.u8();
                if (kind == 0) {
                    shape[k] = r.uintOf(8);
                    continue;
                }
                // One term, 1 times one symbol.
                if (kind != 1 || r.u8() != 1 || r.i64() != 1 || r.u8() != 1 || r.u8() != 0) _plain();
                uint256 symbol = r.u16();
                if (symbol > seen || symbol >= symbols) _plain();
                if (symbol == seen) ++seen;
                shape[k] = SYMBOL + symbol;
            }
        }
        if (seen != symbols) TwinReader.fail("a symbol is not used by any input");
    }

    function _plain() private pure {
        TwinReader.fail("symbols are plain and numbered in order of use");
    }

    /// @dev How many rows `q.count` values are, and how many values a row has.
    function _rows(Value[] memory ports, Request memory q) private pure returns (uint256 rows, uint256 features) {
        if (ports.length == 0 || ports[0].shape.length == 0) revert IInference.NotTabular(q.modelId);
        uint256 first = ports[0].shape[0];
        for (uint256 i; i < ports.length; ++i) {
            uint256[] memory shape = ports[i].shape;
            if (shape.length == 0 || shape[0] != first) revert IInference.NotTabular(q.modelId);
            uint256 width = 1;
            for (uint256 k = 1; k < shape.length; ++k) {
                width = shape[k] >= SYMBOL ? SYMBOL : width * shape[k];
                if (width > type(uint64).max) revert IInference.NotTabular(q.modelId);
            }
            features += width;
        }
        if (features == 0 || features > type(uint64).max) revert IInference.NotTabular(q.modelId);
        bool fixed_ = first < SYMBOL;
        uint256 expected = fixed_ ? first * features : features;
        if (q.count == 0 || (fixed_ ? q.count != expected : q.count % features != 0)) {
            revert IInference.WrongLength(0, 0, expected, q.count);
        }
        rows = q.count / features;
    }

    function _bind(TwinReader.Reader memory r, Value[] memory ports, Request memory q, uint256[] memory names)
        private
        pure
    {
        if (ports.length != q.dtypes.length) revert IInference.WrongInputCount(ports.length, q.dtypes.length);
        for (uint256 i; i < ports.length; ++i) {
            (uint256 want, uint256 given) = (ports[i].dtype, q.dtypes[i]);
            // u8 and i8 widen to f32.
            if (want != given && (want != TwinValues.F32 || (given != TwinValues.U8 && given != TwinValues.I8))) {
                // forge-lint: disable-next-line(unsafe-typecast)
                revert IInference.WrongType(0, i, uint8(want), uint8(given));
            }
        }
        uint256 bound;
        for (uint256 i; i < ports.length; ++i) {
            uint256[] memory shape = ports[i].shape;
            uint256[] memory given = q.shapes[i];
            if (shape.length != given.length) {
                revert IInference.WrongShape(0, i, type(uint256).max, shape.length, given.length);
            }
            for (uint256 k; k < shape.length; ++k) {
                uint256 actual = given[k];
                if (shape[k] < SYMBOL) {
                    if (shape[k] != actual) revert IInference.WrongShape(0, i, k, shape[k], actual);
                    continue;
                }
                uint256 symbol = shape[k] - SYMBOL;
                if (symbol == bound) {
                    r.symbols[bound++] = actual;
                } else if (r.symbols[symbol] != actual) {
                    revert IInference.DimensionConflict(_text(r, names[symbol]), r.symbols[symbol], actual);
                }
                shape[k] = actual;
            }
        }
    }

    function _text(TwinReader.Reader memory r, uint256 position) private pure returns (string memory) {
        r.position = position;
        bytes memory text = new bytes(r.u16());
        for (uint256 i; i < text.length; ++i) {
            text[i] = r.data[position + 2 + i];
        }
        return string(text);
    }
}
