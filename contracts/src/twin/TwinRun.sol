// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {TwinElementwise} from "./TwinElementwise.sol";
import {TwinIntegers} from "./TwinIntegers.sol";
import {TwinMovement} from "./TwinMovement.sol";
import {TwinNames} from "./TwinNames.sol";
import {TwinPools} from "./TwinPools.sol";
import {TwinProducts} from "./TwinProducts.sol";
import {ABSENT, Node, Parts, Program} from "./TwinProgram.sol";
import {TwinReductions} from "./TwinReductions.sol";
import {TwinSelection} from "./TwinSelection.sol";
import {TwinTrees} from "./TwinTrees.sol";
import {InvalidWeights, TwinValues, Value} from "./TwinValues.sol";

/// @title Module: runs a planned graph
library TwinRun {
    /// @notice The outputs in the model's order. `p` has the shapes of all values and the elements of its inputs.
    function run(Program memory p, bytes memory weights) public view returns (Value[] memory outputs) {
        _readConstants(p, weights);
        uint256 first = p.inputCount + p.constantCount;
        for (uint256 i; i < p.nodes.length; ++i) {
            Value memory y = p.values[first + i];
            // Without elements nothing runs and nothing fails, but for Require (spec OP-10).
            if (TwinValues.count(y.shape) == 0 && p.nodes[i].opcode != TwinNames.REQUIRE) continue;
            uint256 mark;
            assembly ("memory-safe") {
                mark := mload(0x40)
            }
            y.data = _keep(_compute(p, i, y), mark);
        }
        outputs = new Value[](p.outputs.length);
        for (uint256 i; i < outputs.length; ++i) {
            outputs[i] = p.values[p.outputs[i]];
        }
    }

    /// @dev Moves an array to `mark` and frees what lies above: memory's price grows with its square, and of what a node
    /// allocates only its result is needed. An array below the mark belongs to another value and stays.
    function _keep(uint256[] memory v, uint256 mark) private view returns (uint256[] memory w) {
        assembly ("memory-safe") {
            w := v
            if iszero(lt(v, mark)) {
                let size := shl(5, add(mload(v), 1))
                // The identity precompile copies as memmove does.
                if iszero(staticcall(gas(), 4, v, size, mark, size)) { revert(0, 0) }
                w := mark
                mark := add(mark, size)
            }
            mstore(0x40, mark)
        }
    }

    function _readConstants(Program memory p, bytes memory weights) private pure {
        if (weights.length != p.weightsLength) revert InvalidWeights("the graph states another length");
        uint256 start;
        for (uint256 i = p.inputCount; i < p.inputCount + p.constantCount; ++i) {
            Value memory v = p.values[i];
            uint256 n = TwinValues.count(v.shape);
            bool clean;
            (v.data, clean) = TwinValues.unpack(weights, start, n, v.dtype);
            if (!clean) {
                revert InvalidWeights("a bool that is neither 0 nor 1, or a NaN other than 0x7fc00000");
            }
            uint256 end = start + n * TwinValues.size(v.dtype);
            start = (end + 63) / 64 * 64;
            for (; end < start; ++end) {
                if (weights[end] != 0) revert InvalidWeights("padding is zero");
            }
        }
    }

    function _compute(Program memory p, uint256 index, Value memory y) private pure returns (uint256[] memory) {
        Node memory node = p.nodes[index];
        uint256 op = node.opcode;
        if (op >= TwinNames.REQUIRE) return _inModule(p, node, index, y.shape);
        Value memory x = p.values[node.operands[0]];
        if (op == TwinNames.CONCAT) {
            Value[] memory xs = new Value[](node.operands.length);
            for (uint256 i; i < xs.length; ++i) {
                xs[i] = p.values[node.operands[i]];
            }
            return TwinMovement.concat(node.kind, xs, TwinValues.count(y.shape));
        }
        if (op == TwinNames.UNARY || (op == TwinNames.CAST && x.dtype != node.kind)) return _ofOne(node, x);
        if (op == TwinNames.CAST) return x.data;
        if (op == TwinNames.RESHAPE) return x.data;
        if (op == TwinNames.REDUCE) {
            if (node.kind == 2 && x.dtype != TwinValues.F32 && x.data.length == 0) {
                _failed(node, index, "integer division by zero");
            }
            return TwinReductions.reduce(node.kind, node.axes, node.attributes[0] == 1, x).data;
        }
        if (op == TwinNames.ARG_REDUCE) {
            return TwinReductions.argReduce(
                node.kind == 1, node.axes[0], node.attributes[0] == 1, node.attributes[1] == 1, x
            )
            .data;
        }
        if (op == TwinNames.SOFTMAX) return TwinReductions.softmax(node.axes[0], node.kind == 1, x).data;
        if (op == TwinNames.TREE_ENSEMBLE) return TwinTrees.run(_ensemble(p, node), x).data;
        if (op == TwinNames.POOL) {
            bytes memory elements = TwinValues.asBytes(x.data);
            bytes memory pooled = TwinPools.pool(node, x.dtype, x.shape, elements, y.shape);
            TwinValues.asWords(elements);
            return TwinValues.asWords(pooled);
        }
        if (op == TwinNames.PAD) {
            uint256 fill = node.operands.length > 1 ? p.values[node.operands[1]].data[0] : 0;
            return TwinMovement.pad(node, x, fill, y.shape);
        }
        if (op == TwinNames.TRANSPOSE || op == TwinNames.SLICE || op == TwinNames.EXPAND) {
            return TwinMovement.move(node, x, y.shape);
        }
        return _ofTwo(p, node, index, x, y.shape);
    }

    /// @dev Operators with opcodes from 21 on.
    function _inModule(Program memory p, Node memory node, uint256 index, uint256[] memory shape)
        private
        pure
        returns (uint256[] memory)
    {
        Parts memory parts = _lend(p, node);
        bytes memory y;
        string memory fault;
        if (node.opcode >= TwinNames.INTEGER_MATMUL && node.opcode <= TwinNames.QUANTIZED_CONV) {
            y = TwinIntegers.run(node, parts, shape);
        } else {
            (y, fault) = TwinSelection.run(node, parts, shape);
        }
        for (uint256 i; i < node.operands.length; ++i) {
            if (!_lent(parts, i)) TwinValues.asWords(parts.data[i]);
        }
        if (bytes(fault).length > 0) _failed(node, index, fault);
        return TwinValues.asWords(y);
    }

    /// @dev The operands for a module, their words as bytes until they are given back.
    function _lend(Program memory p, Node memory node) private pure returns (Parts memory parts) {
        uint256 n = node.operands.length;
        (parts.dtypes, parts.shapes) = (new uint256[](n), new uint256[][](n));
        (parts.data, parts.constants) = (new bytes[](n), new bool[](n));
        for (uint256 i; i < n; ++i) {
            if (node.operands[i] == ABSENT) continue;
            Value memory v = p.values[node.operands[i]];
            (parts.dtypes[i], parts.shapes[i], parts.constants[i]) = (v.dtype, v.shape, v.constant_);
            uint256[] memory words = v.data;
            bytes memory same;
            assembly ("memory-safe") {
                same := words
            }
            parts.data[i] = same;
            if (!_lent(parts, i)) TwinValues.asBytes(words);
        }
    }

    /// @dev Whether an operand before the i-th has the same elements in memory.
    function _lent(Parts memory parts, uint256 i) private pure returns (bool found) {
        bytes memory own = parts.data[i];
        for (uint256 k; k < i; ++k) {
            bytes memory other = parts.data[k];
            assembly ("memory-safe") {
                found := or(found, eq(own, other))
            }
        }
    }

    /// @dev Unary and Cast.
    function _ofOne(Node memory node, Value memory x) private pure returns (uint256[] memory) {
        bytes memory elements = TwinValues.asBytes(x.data);
        bytes memory y = node.opcode == TwinNames.UNARY
            ? TwinElementwise.unary(node.kind, x.dtype, elements)
            : TwinElementwise.cast(x.dtype, node.kind, elements);
        TwinValues.asWords(elements);
        return TwinValues.asWords(y);
    }

    /// @dev Binary and Compare of operands of one shape.
    function _pairwise(Node memory node, uint256 dtype, uint256[] memory u, uint256[] memory v)
        private
        pure
        returns (uint256[] memory)
    {
        bytes memory left = TwinValues.asBytes(u);
        bool same;
        assembly ("memory-safe") {
            same := eq(u, v)
        }
        bytes memory right = same ? left : TwinValues.asBytes(v);
        bytes memory y = node.opcode == TwinNames.COMPARE
            ? TwinElementwise.compare(node.kind, dtype, left, right)
            : TwinElementwise.binary(node.kind, dtype, left, right);
        TwinValues.asWords(left);
        if (!same) TwinValues.asWords(right);
        return TwinValues.asWords(y);
    }

    /// @dev Operators of two or three operands.
    function _ofTwo(Program memory p, Node memory node, uint256 index, Value memory a, uint256[] memory shape)
        private
        pure
        returns (uint256[] memory y)
    {
        Value memory b = p.values[node.operands[1]];
        uint256 op = node.opcode;
        if (op == TwinNames.BINARY || op == TwinNames.COMPARE) {
            (uint256[] memory u, uint256[] memory v) = (TwinValues.expand(a, shape), TwinValues.expand(b, shape));
            if (op == TwinNames.BINARY && a.dtype != TwinValues.F32) {
                for (uint256 i; i < v.length; ++i) {
                    if (node.kind >= 4 && node.kind <= 6 && v[i] == 0) {
                        _failed(node, index, "integer division by zero");
                    }
                    if (node.kind == 9 && v[i] >> 255 == 1) {
                        _failed(node, index, "negative exponent of an integer power");
                    }
                }
            }
            return _pairwise(node, a.dtype, u, v);
        }
        if (op == TwinNames.GATHER) {
            bool inside;
            (y, inside) = TwinMovement.gather(node.kind, a, b.data);
            if (!inside) _failed(node, index, "index out of range");
            return y;
        }
        if (op == TwinNames.MATMUL) return TwinProducts.matMul(a, b, shape);
        bool hasC = node.operands.length > 2;
        Value memory c;
        if (hasC) c = p.values[node.operands[2]];
        if (op == TwinNames.GEMM) return TwinProducts.gemm(node.attributes, a, b, c, hasC, shape);
        if (op == TwinNames.CONV) return TwinProducts.conv(node, a, b, c, hasC, shape);
        y = TwinValues.expand(a, shape);
        (uint256[] memory yes, uint256[] memory no) = (TwinValues.expand(b, shape), TwinValues.expand(c, shape));
        uint256[] memory chosen = new uint256[](y.length);
        for (uint256 i; i < y.length; ++i) {
            chosen[i] = y[i] == 1 ? yes[i] : no[i];
        }
        return chosen;
    }

    /// @dev The tables of an ensemble, which must be constants.
    function _ensemble(Program memory p, Node memory node) private pure returns (TwinTrees.Ensemble memory e) {
        uint256[] memory a = node.attributes;
        (e.targets, e.shift, e.aggregate, e.features) = (a[0], a[1], a[2], a[4]);
        uint256[][9] memory tables;
        for (uint256 i; i < 9; ++i) {
            Value memory t = p.values[node.operands[i + 1]];
            if (!t.constant_) revert InvalidWeights("a table of a tree is no constant");
            tables[i] = t.data;
        }
        (e.feature, e.threshold, e.mode) = (tables[0], tables[1], tables[2]);
        (e.children, e.roots, e.leafStart) = (tables[3], tables[4], tables[5]);
        (e.leafTarget, e.leafValue, e.base) = (tables[6], tables[7], tables[8]);
    }

    function _failed(Node memory node, uint256 index, string memory reason) private pure {
        revert IInference.ComputationFailed(index, TwinNames.nameOf(node.opcode, node.kind), reason);
    }
}
