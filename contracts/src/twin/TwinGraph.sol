// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference, Tensor} from "../IInference.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinElementwise} from "./TwinElementwise.sol";
import {TwinNames} from "./TwinNames.sol";
import {TwinReader} from "./TwinReader.sol";
import {TwinValues, Value} from "./TwinValues.sol";

/// @notice A node: operator, its kind where the family has kinds, other attributes in the order of the file, operands.
struct Node {
    uint256 opcode;
    uint256 kind;
    uint256[] attributes;
    uint256[] axes;
    uint256[] operands;
}

/// @notice A graph at the shapes of one call. Values are numbered: inputs, constants, outputs of nodes.
struct Program {
    Value[] values;
    Node[] nodes;
    uint256 inputCount;
    uint256 constantCount;
    uint256 weightsLength;
    uint256[] outputs;
}

/// @title Module: strict decoding of the graph section (spec MOD-1 to MOD-3)
/// @notice What the precompile's `validate` accepts and this interpreter can run decodes; operators that it cannot run
/// revert TwinCannotRun. Of the checks MOD-6 it makes those on which running relies: order of nodes, operands, symbols.
library TwinGraph {
    using TwinReader for TwinReader.Reader;

    /// @notice An operand that is left out.
    uint256 internal constant ABSENT = type(uint32).max;

    /// @notice Decodes a graph; its symbols are bound by the inputs, whose types and shapes are checked.
    function decode(bytes memory graph, Tensor[] memory inputs) public pure returns (Program memory p) {
        TwinReader.Reader memory r;
        r.data = graph;
        if (r.u32() != 1) TwinReader.fail("graph format version 1");
        if (r.u32() != 1) TwinReader.fail("LS1 version 1");
        p.weightsLength = r.uintOf(8);
        Value[] memory ports = _inputs(r, inputs);
        Value[] memory constants = _constants(r, p.weightsLength);
        (p.inputCount, p.constantCount) = (ports.length, constants.length);
        uint256 first = ports.length + constants.length;
        uint256 n = _count(r, r.u32());
        p.nodes = new Node[](n);
        for (uint256 i; i < n; ++i) {
            p.nodes[i] = _node(r, first + i);
        }
        p.values = new Value[](first + n);
        for (uint256 i; i < first; ++i) {
            p.values[i] = i < ports.length ? ports[i] : constants[i - ports.length];
        }
        p.outputs = new uint256[](_count(r, r.u16()));
        for (uint256 i; i < p.outputs.length; ++i) {
            r.skipString();
            p.outputs[i] = r.u32();
            if (p.outputs[i] >= p.values.length) TwinReader.fail("an output is no value of the graph");
        }
        _tables(r, p.outputs.length);
    }

    /// @dev A count of items of at least one byte each: memory grows with the bytes read.
    function _count(TwinReader.Reader memory r, uint256 n) private pure returns (uint256) {
        if (n > r.data.length - r.position) TwinReader.fail("the section ends early");
        return n;
    }

    /// @dev Symbols and inputs.
    function _inputs(TwinReader.Reader memory r, Tensor[] memory given) private pure returns (Value[] memory ports) {
        uint256 symbols = r.u8();
        uint256[] memory names = new uint256[](symbols);
        for (uint256 i; i < symbols; ++i) {
            names[i] = r.position;
            r.skipString();
        }
        r.symbols = new uint256[](symbols);
        uint256 n = r.u16();
        if (n != given.length) revert IInference.WrongInputCount(n, given.length);
        ports = new Value[](n);
        uint256 seen;
        for (uint256 i; i < n; ++i) {
            r.skipString();
            (ports[i], seen) = _input(r, i, given[i], names, seen);
        }
        if (seen != symbols) TwinReader.fail("a symbol is not used by any input");
    }

    function _input(
        TwinReader.Reader memory r,
        uint256 index,
        Tensor memory given,
        uint256[] memory names,
        uint256 seen
    ) private pure returns (Value memory v, uint256) {
        v.dtype = r.dtype();
        // forge-lint: disable-next-line(unsafe-typecast)
        if (v.dtype != given.dtype) revert IInference.WrongType(0, index, uint8(v.dtype), given.dtype);
        uint256 rank = r.u8();
        if (rank > 8) TwinReader.fail("a rank is above 8");
        if (rank != given.shape.length) {
            revert IInference.WrongShape(0, index, type(uint256).max, rank, given.shape.length);
        }
        v.shape = new uint256[](rank);
        for (uint256 i; i < rank; ++i) {
            uint256 actual = given.shape[i];
            v.shape[i] = actual;
            uint256 kind = r.u8();
            if (kind == 0) {
                uint256 expected = r.uintOf(8);
                if (expected != actual) revert IInference.WrongShape(0, index, i, expected, actual);
                continue;
            }
            // One term, 1 times one symbol.
            if (kind != 1 || r.u8() != 1 || r.i64() != 1 || r.u8() != 1 || r.u8() != 0) _plain();
            uint256 symbol = r.u16();
            if (symbol > seen || symbol >= names.length) _plain();
            if (symbol == seen) {
                r.symbols[seen++] = actual;
            } else if (r.symbols[symbol] != actual) {
                revert IInference.DimensionConflict(_text(r, names[symbol]), r.symbols[symbol], actual);
            }
        }
        uint256 length = TwinValues.count(v.shape) * TwinValues.size(v.dtype);
        if (length != given.data.length) revert IInference.WrongLength(0, index, length, given.data.length);
        return (v, seen);
    }

    function _plain() private pure {
        TwinReader.fail("symbols are plain and numbered in order of use");
    }

    function _text(TwinReader.Reader memory r, uint256 position) private pure returns (string memory) {
        r.position = position;
        bytes memory text = new bytes(r.u16());
        for (uint256 i; i < text.length; ++i) {
            text[i] = r.data[position + 2 + i];
        }
        return string(text);
    }

    /// @dev Types and shapes of the constants; their elements are read later.
    function _constants(TwinReader.Reader memory r, uint256 weightsLength)
        private
        pure
        returns (Value[] memory values)
    {
        values = new Value[](_count(r, r.u32()));
        uint256 end;
        for (uint256 i; i < values.length; ++i) {
            Value memory v = values[i];
            v.dtype = r.dtype();
            uint256 rank = r.u8();
            if (rank > 8) TwinReader.fail("a rank is above 8");
            v.shape = new uint256[](rank);
            for (uint256 k; k < rank; ++k) {
                v.shape[k] = r.u32();
            }
            v.constant_ = true;
            end += (TwinValues.count(v.shape) * TwinValues.size(v.dtype) + 63) / 64 * 64;
        }
        if (end != weightsLength) TwinReader.fail("the constants take other bytes than are stated");
    }

    function _node(TwinReader.Reader memory r, uint256 defined) private pure returns (Node memory node) {
        node.opcode = r.u16();
        (uint256 least, uint256 most) = _attributes(r, node);
        uint256 n = r.u16();
        if (n < least || n > most) TwinReader.fail("a node has another number of operands");
        node.operands = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            uint256 v = r.u32();
            if (v == ABSENT ? i + 1 == n || i < least : v >= defined) {
                TwinReader.fail("an operand is defined later or never");
            }
            node.operands[i] = v;
        }
    }

    /// @dev Reads the attributes; gives the least and greatest number of operands.
    function _attributes(TwinReader.Reader memory r, Node memory node) private pure returns (uint256, uint256) {
        uint256 op = node.opcode;
        if (op == TwinNames.UNARY) {
            node.kind = r.u8();
            if (!TwinElementwise.isUnary(node.kind)) TwinReader.fail("an unknown UnaryKind");
            if (!TwinElementwise.hasUnary(node.kind)) cannotRun(op, node.kind);
            return (1, 1);
        }
        if (op == TwinNames.BINARY) {
            node.kind = r.u8();
            if (!TwinElementwise.isBinary(node.kind)) TwinReader.fail("an unknown BinaryKind");
            return (2, 2);
        }
        if (op == TwinNames.COMPARE) {
            node.kind = r.u8();
            if (!TwinElementwise.isCompare(node.kind)) TwinReader.fail("an unknown CompareKind");
            return (2, 2);
        }
        if (op == TwinNames.SELECT) return (3, 3);
        if (op == TwinNames.MATMUL) return (2, 2);
        if (op == TwinNames.CAST) {
            node.kind = r.dtype();
            return (1, 1);
        }
        if (op == TwinNames.RESHAPE) {
            node.attributes = r.shape();
            return (1, 1);
        }
        if (op == TwinNames.CONCAT || op == TwinNames.GATHER) {
            node.kind = r.u8();
            return op == TwinNames.CONCAT ? (1, 1024) : (2, 2);
        }
        if (op == TwinNames.SOFTMAX) {
            node.axes = new uint256[](1);
            node.axes[0] = r.u8();
            node.kind = r.flag();
            return (1, 1);
        }
        if (op == TwinNames.REDUCE) {
            node.kind = r.u8();
            if (node.kind == 0 || node.kind > 10) TwinReader.fail("an unknown ReduceKind");
            node.axes = r.axes();
            node.attributes = new uint256[](1);
            node.attributes[0] = r.flag();
            return (1, 1);
        }
        return _longAttributes(r, node);
    }

    function _longAttributes(TwinReader.Reader memory r, Node memory node) private pure returns (uint256, uint256) {
        uint256 op = node.opcode;
        if (op == TwinNames.ARG_REDUCE) {
            node.kind = r.flag();
            node.axes = new uint256[](1);
            node.axes[0] = r.u8();
            node.attributes = new uint256[](2);
            (node.attributes[0], node.attributes[1]) = (r.flag(), r.flag());
            return (1, 1);
        }
        if (op == TwinNames.GEMM) {
            uint256[] memory a = new uint256[](4);
            (a[0], a[1], a[2], a[3]) = (r.f32(), r.f32(), r.flag(), r.flag());
            if (a[0] & 0x7fffffff >= SoftFloat32.INF || a[1] & 0x7fffffff >= SoftFloat32.INF) {
                TwinReader.fail("alpha and beta are finite");
            }
            node.attributes = a;
            return (2, 3);
        }
        if (op == TwinNames.TREE_ENSEMBLE) {
            uint256[] memory a = new uint256[](5);
            (a[0], a[1], a[2], a[3], a[4]) = (r.u32(), r.u8(), r.u8(), r.u32(), r.u32());
            if (a[2] == 0 || a[2] > 4) TwinReader.fail("an unknown Aggregate");
            if (a[0] == 0 || a[1] > 62) TwinReader.fail("targets and a shift of at most 62 expected");
            node.attributes = a;
            return (10, 10);
        }
        cannotRun(op, 0);
    }

    /// @notice Reverts TwinCannotRun with the operator's name; InvalidGraph where there is no such operator.
    function cannotRun(uint256 opcode, uint256 kind) internal pure {
        string memory name = TwinNames.nameOf(opcode, kind);
        if (bytes(name).length == 0) TwinReader.fail("an unknown operator");
        revert IInference.TwinCannotRun(string.concat("operator ", name));
    }

    /// @dev Primary and label output, features, labels; nothing follows.
    function _tables(TwinReader.Reader memory r, uint256 outputs) private pure {
        if (r.u16() >= outputs) TwinReader.fail("the primary output does not exist");
        uint256 label = r.u16();
        if (label != type(uint16).max && label >= outputs) TwinReader.fail("the label output does not exist");
        for (uint256 i = r.u32(); i > 0; --i) {
            r.skipString();
            for (uint256 k = r.u32(); k > 0; --k) {
                r.skipString();
            }
        }
        uint256 kind = r.u8();
        if (kind > 2) TwinReader.fail("a label table is none (0), integers (1) or strings (2)");
        if (kind > 0) {
            uint256 n = r.u32();
            if (n == 0) TwinReader.fail("an empty label table is written as none");
            for (; n > 0; --n) {
                if (kind == 1) r.i64();
                else r.skipString();
            }
        }
        if (r.position != r.data.length) TwinReader.fail("nothing follows the last item");
    }
}
