// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference, Tensor} from "../IInference.sol";
import {TwinChunks} from "./TwinChunks.sol";
import {TwinElementwise} from "./TwinElementwise.sol";
import {Node, Program, TwinGraph} from "./TwinGraph.sol";
import {TwinMovement} from "./TwinMovement.sol";
import {TwinNames} from "./TwinNames.sol";
import {TwinProducts} from "./TwinProducts.sol";
import {TwinReductions} from "./TwinReductions.sol";
import {TwinTrees} from "./TwinTrees.sol";
import {InvalidWeights, TwinValues, Value} from "./TwinValues.sol";

/// @title Runs a Lockstep model in Solidity, bit for bit as the engine does
/// @notice For linear models, scalers, dense networks and ensembles of trees; other operators revert TwinCannotRun. It takes
/// the sections of the model file and answers as `run` does, except that NaNs in outputs are returned. Modules (TwinGraph,
/// TwinNames, TwinElementwise, TwinReductions, TwinMovement) are linked libraries, because one contract holds 24,576 bytes.
contract TwinInterpreter {
    /// @notice The outputs of the model in its order.
    /// @param graph The graph section of the model file.
    /// @param weights Its weights section.
    /// @param inputs One tensor for each input of the model, of exactly its type.
    function run(bytes calldata graph, bytes calldata weights, Tensor[] calldata inputs)
        external
        pure
        returns (Tensor[] memory)
    {
        return _run(graph, weights, inputs);
    }

    /// @notice The same, of a model whose sections lie in chunks, as the registry stores them.
    function runStored(address[] calldata graphChunks, address[] calldata weightChunks, Tensor[] calldata inputs)
        external
        view
        returns (Tensor[] memory)
    {
        return _run(TwinChunks.read(graphChunks), TwinChunks.read(weightChunks), inputs);
    }

    function _run(bytes memory graph, bytes memory weights, Tensor[] memory inputs)
        private
        pure
        returns (Tensor[] memory outputs)
    {
        Program memory p = TwinGraph.decode(graph, inputs);
        _readInputs(p, inputs);
        _readConstants(p, weights);
        uint256 first = p.inputCount + p.constantCount;
        for (uint256 i; i < p.nodes.length; ++i) {
            p.values[first + i] = _compute(p, i);
        }
        outputs = new Tensor[](p.outputs.length);
        for (uint256 i; i < outputs.length; ++i) {
            outputs[i] = _output(p.values[p.outputs[i]]);
        }
    }

    function _output(Value memory v) private pure returns (Tensor memory t) {
        // forge-lint: disable-next-line(unsafe-typecast)
        t.dtype = uint8(v.dtype);
        t.shape = new uint32[](v.shape.length);
        for (uint256 i; i < t.shape.length; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            t.shape[i] = uint32(v.shape[i]);
        }
        t.data = TwinValues.pack(v);
    }

    function _readInputs(Program memory p, Tensor[] memory inputs) private pure {
        for (uint256 i; i < p.inputCount; ++i) {
            Value memory v = p.values[i];
            bool clean;
            (v.data, clean) = TwinValues.unpack(inputs[i].data, 0, TwinValues.count(v.shape), v.dtype);
            if (clean || v.dtype != TwinValues.BOOL) continue;
            for (uint256 k; k < v.data.length; ++k) {
                if (v.data[k] > 1) revert IInference.OutOfRange(0, i, k);
            }
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

    function _compute(Program memory p, uint256 index) private pure returns (Value memory y) {
        Node memory node = p.nodes[index];
        uint256 op = node.opcode;
        if (op == TwinNames.CONCAT) {
            Value[] memory xs = new Value[](node.operands.length);
            for (uint256 i; i < xs.length; ++i) {
                xs[i] = _operand(p, node, index, i);
            }
            bool joined;
            (y, joined) = TwinMovement.concat(node.kind, xs);
            _check(joined, node, index);
            return y;
        }
        Value memory x = _operand(p, node, index, 0);
        if (op == TwinNames.UNARY) {
            _check(TwinElementwise.acceptsUnary(node.kind, x.dtype), node, index);
            bool toBool = node.kind == 13 || node.kind == 14;
            y.dtype = toBool ? TwinValues.BOOL : x.dtype;
            y.shape = x.shape;
            y.data = TwinElementwise.unary(node.kind, x.dtype, x.data);
        } else if (op == TwinNames.CAST) {
            (y.dtype, y.shape) = (node.kind, x.shape);
            y.data = TwinElementwise.cast(x.dtype, node.kind, x.data);
        } else if (op == TwinNames.RESHAPE) {
            (y.dtype, y.shape, y.data) = (x.dtype, node.attributes, x.data);
            _check(TwinValues.count(y.shape) == x.data.length, node, index);
        } else if (op == TwinNames.REDUCE) {
            _check(TwinReductions.accepts(node.kind, x.dtype) && _areAxes(node.axes, x.shape.length), node, index);
            if (node.kind == 2 && x.dtype != TwinValues.F32 && x.data.length == 0) {
                _meanOfNothing(node, index, x.shape);
            }
            y = TwinReductions.reduce(node.kind, node.axes, node.attributes[0] == 1, x);
        } else if (op == TwinNames.ARG_REDUCE) {
            _check(x.dtype != TwinValues.BOOL && _areAxes(node.axes, x.shape.length), node, index);
            _check(x.shape[node.axes[0]] != 0, node, index);
            y = TwinReductions.argReduce(
                node.kind == 1, node.axes[0], node.attributes[0] == 1, node.attributes[1] == 1, x
            );
        } else if (op == TwinNames.SOFTMAX) {
            _check(x.dtype == TwinValues.F32 && _areAxes(node.axes, x.shape.length), node, index);
            y = TwinReductions.softmax(node.axes[0], node.kind == 1, x);
        } else if (op == TwinNames.TREE_ENSEMBLE) {
            y = TwinTrees.run(_ensemble(p, node, index, x), x);
        } else {
            y = _ofTwo(p, node, index, x);
        }
    }

    /// @dev Operators of two or three operands.
    function _ofTwo(Program memory p, Node memory node, uint256 index, Value memory a)
        private
        pure
        returns (Value memory y)
    {
        Value memory b = _operand(p, node, index, 1);
        uint256 op = node.opcode;
        bool ok;
        if (op == TwinNames.BINARY || op == TwinNames.COMPARE) {
            uint256[] memory shape;
            (shape, ok) = TwinValues.broadcast(a.shape, b.shape);
            _check(ok && a.dtype == b.dtype, node, index);
            (uint256[] memory u, uint256[] memory v) = (TwinValues.expand(a, shape), TwinValues.expand(b, shape));
            y.shape = shape;
            if (op == TwinNames.COMPARE) {
                _check(a.dtype != TwinValues.BOOL || node.kind == 1, node, index);
                y.dtype = TwinValues.BOOL;
                y.data = TwinElementwise.compare(node.kind, a.dtype, u, v);
                return y;
            }
            _check(TwinElementwise.acceptsBinary(node.kind, a.dtype), node, index);
            if (!TwinElementwise.hasBinary(node.kind, a.dtype)) TwinGraph.cannotRun(op, node.kind);
            if (a.dtype != TwinValues.F32 && node.kind >= 4 && node.kind <= 6) _noZero(v, node, index);
            y.dtype = a.dtype;
            y.data = TwinElementwise.binary(node.kind, a.dtype, u, v);
        } else if (op == TwinNames.SELECT) {
            Value memory c = _operand(p, node, index, 2);
            uint256[] memory shape;
            (shape, ok) = TwinValues.broadcast(a.shape, b.shape);
            _check(ok && a.dtype == TwinValues.BOOL && b.dtype == c.dtype, node, index);
            (shape, ok) = TwinValues.broadcast(shape, c.shape);
            _check(ok, node, index);
            y = TwinValues.empty(b.dtype, shape);
            (uint256[] memory t, uint256[] memory u, uint256[] memory v) =
                (TwinValues.expand(a, shape), TwinValues.expand(b, shape), TwinValues.expand(c, shape));
            for (uint256 i; i < t.length; ++i) {
                y.data[i] = t[i] == 1 ? u[i] : v[i];
            }
        } else if (op == TwinNames.GATHER) {
            bool inside;
            (y, ok, inside) = TwinMovement.gather(node.kind, a, b);
            _check(ok, node, index);
            if (!inside) _failed(node, index, "index out of range");
        } else {
            bool hasC = node.operands.length > 2;
            Value memory c;
            if (hasC) c = _operand(p, node, index, 2);
            if (op == TwinNames.GEMM) (y, ok) = TwinProducts.gemm(node.attributes, a, b, c, hasC);
            else (y, ok) = TwinProducts.matMul(a, b);
            _check(ok, node, index);
        }
    }

    /// @dev The i-th operand, which must be there.
    function _operand(Program memory p, Node memory node, uint256 index, uint256 i)
        private
        pure
        returns (Value memory)
    {
        uint256 v = node.operands[i];
        _check(v != TwinGraph.ABSENT, node, index);
        return p.values[v];
    }

    /// @dev The tables of an ensemble, whose types and lengths go together; they must be constants.
    function _ensemble(Program memory p, Node memory node, uint256 index, Value memory x)
        private
        pure
        returns (TwinTrees.Ensemble memory e)
    {
        uint256[] memory a = node.attributes;
        (e.targets, e.shift, e.aggregate, e.features) = (a[0], a[1], a[2], a[4]);
        _check(x.dtype == TwinValues.F32 && x.shape.length == 2 && x.shape[1] == e.features, node, index);
        uint256[][9] memory tables;
        for (uint256 i; i < 9; ++i) {
            Value memory t = _operand(p, node, index, i + 1);
            // i32, f32, u8, five of i32, two of i64, a digit each.
            uint256 dtype = i == 1 ? TwinValues.F32 : i == 2 ? TwinValues.U8 : i < 7 ? TwinValues.I32 : TwinValues.I64;
            _check(t.dtype == dtype && t.shape.length == (i == 3 ? 2 : 1), node, index);
            _check(i != 3 || t.shape[1] == 2, node, index);
            if (!t.constant_) revert InvalidWeights("a table of a tree is no constant");
            tables[i] = t.data;
        }
        (e.feature, e.threshold, e.mode) = (tables[0], tables[1], tables[2]);
        (e.children, e.roots, e.leafStart) = (tables[3], tables[4], tables[5]);
        (e.leafTarget, e.leafValue, e.base) = (tables[6], tables[7], tables[8]);
        uint256 n = e.feature.length;
        _check(e.threshold.length == n && e.mode.length == n && e.children.length == 2 * n, node, index);
        _check(e.leafTarget.length == e.leafValue.length && e.base.length == e.targets, node, index);
        _check(e.roots.length != 0 && e.leafStart.length != 0, node, index);
    }

    /// @dev One or more ascending axes below the rank.
    function _areAxes(uint256[] memory axes, uint256 rank) private pure returns (bool) {
        if (axes.length == 0 || axes[axes.length - 1] >= rank) return false;
        for (uint256 i = 1; i < axes.length; ++i) {
            if (axes[i - 1] >= axes[i]) return false;
        }
        return true;
    }

    /// @dev An integer mean fails where there are results and nothing to reduce.
    function _meanOfNothing(Node memory node, uint256 index, uint256[] memory shape) private pure {
        uint256 next;
        for (uint256 i; i < shape.length; ++i) {
            if (next < node.axes.length && node.axes[next] == i) ++next;
            else if (shape[i] == 0) return;
        }
        _failed(node, index, "integer division by zero");
    }

    function _noZero(uint256[] memory v, Node memory node, uint256 index) private pure {
        for (uint256 i; i < v.length; ++i) {
            if (v[i] == 0) _failed(node, index, "integer division by zero");
        }
    }

    function _check(bool ok, Node memory node, uint256 index) private pure {
        if (!ok) revert IInference.ShapeMismatch(index, TwinNames.nameOf(node.opcode, node.kind));
    }

    function _failed(Node memory node, uint256 index, string memory reason) private pure {
        revert IInference.ComputationFailed(index, TwinNames.nameOf(node.opcode, node.kind), reason);
    }
}
