// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinAttributes} from "./TwinAttributes.sol";
import {TwinPorts} from "./TwinPorts.sol";
import {ABSENT, NO_OUTPUT, Node, Program, Request} from "./TwinProgram.sol";
import {TwinReader} from "./TwinReader.sol";
import {TwinValues, Value} from "./TwinValues.sol";

/// @title Module: strict decoding of the graph section (spec MOD-1 to MOD-3)
/// @notice What the precompile's `validate` accepts and this interpreter can run decodes; operators that it cannot run
/// revert TwinCannotRun. Of the checks MOD-6 it makes those on which running relies: order of nodes, operands, symbols.
library TwinGraph {
    using TwinReader for TwinReader.Reader;

    /// @notice Decodes a graph at the shapes of a call, whose inputs are checked against the model's.
    function decode(bytes memory graph, Request memory q) public pure returns (Program memory p) {
        TwinReader.Reader memory r;
        r.data = graph;
        if (r.u32() != 1) TwinReader.fail("graph format version 1");
        if (r.u32() != 1) TwinReader.fail("LS1 version 1");
        p.weightsLength = r.uintOf(8);
        Value[] memory ports;
        (ports, p.rows, p.features) = TwinPorts.read(r, q);
        Value[] memory constants = _constants(r, p.weightsLength);
        (p.inputCount, p.constantCount) = (ports.length, constants.length);
        uint256 first = ports.length + constants.length;
        uint256 n = _count(r, r.u32());
        p.items = ports.length + n;
        p.nodes = new Node[](n);
        for (uint256 i; i < n; ++i) {
            p.nodes[i] = _node(r, first + i);
            p.items += p.nodes[i].operands.length;
        }
        p.values = new Value[](first + n);
        for (uint256 i; i < first; ++i) {
            p.values[i] = i < ports.length ? ports[i] : constants[i - ports.length];
        }
        p.outputs = new uint256[](_count(r, r.u16()));
        p.items += p.outputs.length;
        for (uint256 i; i < p.outputs.length; ++i) {
            r.skipString();
            p.outputs[i] = r.u32();
            if (p.outputs[i] >= p.values.length) TwinReader.fail("an output is no value of the graph");
        }
        _tables(r, p);
    }

    /// @dev A count of items of at least one byte each: memory grows with the bytes read.
    function _count(TwinReader.Reader memory r, uint256 n) private pure returns (uint256) {
        if (n > r.data.length - r.position) TwinReader.fail("the section ends early");
        return n;
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
        (uint256 least, uint256 most) = TwinAttributes.read(r, node);
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

    /// @dev Primary and label output, features, labels; nothing follows.
    function _tables(TwinReader.Reader memory r, Program memory p) private pure {
        (p.primary, p.label) = (r.u16(), r.u16());
        if (p.primary >= p.outputs.length) TwinReader.fail("the primary output does not exist");
        if (p.label != NO_OUTPUT && p.label >= p.outputs.length) TwinReader.fail("the label output does not exist");
        for (uint256 i = r.u32(); i > 0; --i) {
            r.skipString();
            for (uint256 k = r.u32(); k > 0; --k) {
                r.skipString();
            }
        }
        p.labelKind = r.u8();
        if (p.labelKind > 2) TwinReader.fail("a label table is none (0), integers (1) or strings (2)");
        if (p.labelKind > 0) {
            p.labelCount = _count(r, r.u32());
            if (p.labelCount == 0) TwinReader.fail("an empty label table is written as none");
            if (p.labelKind == 1) p.labels = new int256[](p.labelCount);
            for (uint256 i; i < p.labelCount; ++i) {
                if (p.labelKind == 1) p.labels[i] = r.i64();
                else r.skipString();
            }
        }
        if (r.position != r.data.length) TwinReader.fail("nothing follows the last item");
    }
}
