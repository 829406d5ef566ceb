// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinAttributes} from "./TwinAttributes.sol";
import {TwinChecks} from "./TwinChecks.sol";
import {TwinElementwise} from "./TwinElementwise.sol";
import {TwinNames} from "./TwinNames.sol";
import {TwinIntegerShapes} from "./TwinIntegerShapes.sol";
import {NO_VALUE, Node, Program} from "./TwinProgram.sol";
import {TwinReductions} from "./TwinReductions.sol";
import {TwinSelectionShapes} from "./TwinSelectionShapes.sol";
import {TwinValues, Value} from "./TwinValues.sol";
import {TwinWindowShapes} from "./TwinWindowShapes.sol";
import {TwinWork, Work} from "./TwinWork.sol";

/// @title Module: types, shapes and work of every node at the shapes of one call, before anything runs (spec MOD-8, MOD-9)
/// @notice What the engine refuses reverts ShapeMismatch with the node's number and operator.
library TwinShapes {
    /// @notice Types and shapes of the nodes' results (without elements), and the work of all in thousandths of gas.
    function plan(Program memory p) public pure returns (Value[] memory results, uint256 milligas) {
        results = new Value[](p.nodes.length);
        uint256 first = p.inputCount + p.constantCount;
        Work memory w;
        for (uint256 i; i < results.length; ++i) {
            results[i] = _infer(p, i, w);
            p.values[first + i] = results[i];
            TwinWork.node(w);
        }
        milligas = TwinWork.price(w);
    }

    function _infer(Program memory p, uint256 index, Work memory w) private pure returns (Value memory y) {
        Node memory node = p.nodes[index];
        uint256 op = node.opcode;
        if (op == TwinNames.CONCAT) {
            y = _concat(p, node, index);
            TwinWork.elements(w, y.shape, 1);
            return y;
        }
        Value memory x = TwinChecks.operand(p, node, index, 0);
        if (op == TwinNames.UNARY) {
            TwinChecks.check(TwinElementwise.acceptsUnary(node.kind, x.dtype), node, index);
            bool toBool = node.kind == 13 || node.kind == 14;
            (y.dtype, y.shape) = (toBool ? TwinValues.BOOL : x.dtype, x.shape);
            TwinWork.unary(w, node.kind, y.shape);
        } else if (op == TwinNames.CAST) {
            (y.dtype, y.shape) = (node.kind, x.shape);
            TwinWork.elements(w, y.shape, 1);
        } else if (op == TwinNames.REDUCE || op == TwinNames.ARG_REDUCE) {
            _reduced(node, index, x, y);
            TwinWork.reduce(w, op == TwinNames.REDUCE ? node.kind : 0, x.shape, y.shape);
        } else if (op == TwinNames.SOFTMAX) {
            TwinChecks.check(x.dtype == TwinValues.F32 && node.axes[0] < x.shape.length, node, index);
            (y.dtype, y.shape) = (x.dtype, x.shape);
            TwinWork.softmax(w, node.kind == 1, y.shape, node.axes[0]);
        } else if (op == TwinNames.TREE_ENSEMBLE) {
            _trees(p, node, index, x, y);
            TwinWork.trees(w, node.attributes, x.shape[0], _length(p, node, 5), _length(p, node, 7));
        } else if (op == TwinNames.CONV || op == TwinNames.POOL) {
            TwinWindowShapes.infer(p, node, index, x, y);
            if (op == TwinNames.CONV) TwinWork.conv(w, node, x.shape, p.values[node.operands[1]].shape, y.shape);
            else TwinWork.pool(w, node, y.shape);
        } else if (op >= TwinNames.INTEGER_MATMUL && op <= TwinNames.QUANTIZED_CONV) {
            TwinIntegerShapes.infer(p, node, index, x, y, w);
        } else if (op >= TwinNames.REQUIRE) {
            TwinSelectionShapes.infer(p, node, index, x, y, w);
        } else if (op == TwinNames.MATMUL) {
            _matMul(x, TwinChecks.operand(p, node, index, 1), node, index, y, w);
        } else if (op == TwinNames.GEMM) {
            _gemm(p, node, index, x, y);
            uint256 depth = x.shape[1 - node.attributes[2]];
            TwinWork.product(w, 1, y.shape[0], y.shape[1], depth);
            TwinWork.elements(w, y.shape, 2);
            TwinWork.count(w, TwinWork.times(depth, y.shape[1]));
        } else if (op == TwinNames.BINARY || op == TwinNames.COMPARE || op == TwinNames.SELECT) {
            _broadcast(p, node, index, x, y);
            if (op == TwinNames.BINARY) TwinWork.binary(w, node.kind, y.shape);
            else TwinWork.elements(w, y.shape, 1);
        } else {
            _moved(p, node, index, x, y);
            TwinWork.elements(w, y.shape, op == TwinNames.TRANSPOSE ? 4 : 1);
            if (op == TwinNames.GATHER) TwinWork.elements(w, p.values[node.operands[1]].shape, 1);
        }
        TwinChecks.check(y.shape.length < 9, node, index);
    }

    function _concat(Program memory p, Node memory node, uint256 index) private pure returns (Value memory y) {
        Value memory x = TwinChecks.operand(p, node, index, 0);
        TwinChecks.check(node.kind < x.shape.length, node, index);
        (y.dtype, y.shape) = (x.dtype, _copy(x.shape));
        for (uint256 k = 1; k < node.operands.length; ++k) {
            x = TwinChecks.operand(p, node, index, k);
            TwinChecks.check(x.dtype == y.dtype && x.shape.length == y.shape.length, node, index);
            for (uint256 i; i < y.shape.length; ++i) {
                if (i == node.kind) y.shape[i] += x.shape[i];
                else TwinChecks.check(x.shape[i] == y.shape[i], node, index);
            }
        }
        TwinChecks.check(y.shape[node.kind] <= type(uint64).max, node, index);
    }

    function _reduced(Node memory node, uint256 index, Value memory x, Value memory y) private pure {
        uint256[] memory axes = node.axes;
        uint256 rank = x.shape.length;
        bool arg = node.opcode == TwinNames.ARG_REDUCE;
        bool ok = arg ? x.dtype != TwinValues.BOOL : TwinReductions.accepts(node.kind, x.dtype);
        TwinChecks.check(ok && axes.length != 0 && axes[axes.length - 1] < rank, node, index);
        for (uint256 i = 1; i < axes.length; ++i) {
            TwinChecks.check(axes[i - 1] < axes[i], node, index);
        }
        TwinChecks.check(!arg || x.shape[axes[0]] != 0, node, index);
        y.dtype = arg ? TwinValues.I64 : x.dtype;
        y.shape = TwinReductions.reducedShape(axes, node.attributes[0] == 1, x.shape);
    }

    function _trees(Program memory p, Node memory node, uint256 index, Value memory x, Value memory y) private pure {
        uint256[] memory a = node.attributes;
        TwinChecks.check(x.dtype == TwinValues.F32 && x.shape.length == 2 && x.shape[1] == a[4], node, index);
        for (uint256 i; i < 9; ++i) {
            Value memory t = TwinChecks.operand(p, node, index, i + 1);
            // Types of the tables in their order: i32, f32, u8, four of i32, two of i64.
            uint256 dtype = i == 1 ? TwinValues.F32 : i == 2 ? TwinValues.U8 : i < 7 ? TwinValues.I32 : TwinValues.I64;
            TwinChecks.check(t.dtype == dtype && t.shape.length == (i == 3 ? 2 : 1), node, index);
            TwinChecks.check(i != 3 || t.shape[1] == 2, node, index);
        }
        uint256 n = _length(p, node, 1);
        TwinChecks.check(_length(p, node, 2) == n && _length(p, node, 3) == n && _length(p, node, 4) == n, node, index);
        TwinChecks.check(_length(p, node, 8) == _length(p, node, 7) && _length(p, node, 9) == a[0], node, index);
        TwinChecks.check(_length(p, node, 5) != 0 && _length(p, node, 6) != 0, node, index);
        y.dtype = TwinValues.F32;
        y.shape = _pair(x.shape[0], a[0]);
    }

    function _length(Program memory p, Node memory node, uint256 i) private pure returns (uint256) {
        return p.values[node.operands[i]].shape[0];
    }

    function _matMul(Value memory a, Value memory b, Node memory node, uint256 index, Value memory y, Work memory w)
        private
        pure
    {
        TwinChecks.check(a.dtype == TwinValues.F32 && b.dtype == TwinValues.F32, node, index);
        y.dtype = TwinValues.F32;
        uint256[4] memory size = TwinIntegerShapes.matMul(a, b, node, index, y);
        TwinWork.product(w, size[0], size[1], size[2], size[3]);
        (uint256 rb, uint256 n) = (b.shape.length, size[2]);
        uint256[] memory bLead = TwinChecks.head(b.shape, rb < 2 ? 0 : rb - 2);
        TwinWork.count(w, TwinWork.times(TwinWork.times(TwinWork.sizes(bLead), size[3]), n));
        TwinWork.elements(w, y.shape, 1);
    }

    function _gemm(Program memory p, Node memory node, uint256 index, Value memory a, Value memory y) private pure {
        Value memory b = TwinChecks.operand(p, node, index, 1);
        (uint256 ta, uint256 tb) = (node.attributes[2], node.attributes[3]);
        TwinChecks.check(a.dtype == TwinValues.F32 && b.dtype == TwinValues.F32, node, index);
        TwinChecks.check(a.shape.length == 2 && b.shape.length == 2 && a.shape[1 - ta] == b.shape[tb], node, index);
        y.dtype = TwinValues.F32;
        y.shape = _pair(a.shape[ta], b.shape[1 - tb]);
        if (node.operands.length < 3) return;
        Value memory c = TwinChecks.operand(p, node, index, 2);
        uint256 rank = c.shape.length;
        TwinChecks.check(c.dtype == TwinValues.F32 && rank <= 2, node, index);
        for (uint256 i; i < rank; ++i) {
            uint256 have = c.shape[rank - 1 - i];
            TwinChecks.check(have == 1 || have == y.shape[1 - i], node, index);
        }
    }

    function _broadcast(Program memory p, Node memory node, uint256 index, Value memory a, Value memory y)
        private
        pure
    {
        Value memory b = TwinChecks.operand(p, node, index, 1);
        bool ok;
        (y.shape, ok) = TwinValues.broadcast(a.shape, b.shape);
        TwinChecks.check(ok, node, index);
        y.dtype = a.dtype;
        if (node.opcode == TwinNames.SELECT) {
            Value memory c = TwinChecks.operand(p, node, index, 2);
            TwinChecks.check(a.dtype == TwinValues.BOOL && b.dtype == c.dtype, node, index);
            (y.shape, ok) = TwinValues.broadcast(y.shape, c.shape);
            TwinChecks.check(ok, node, index);
            y.dtype = b.dtype;
        } else if (node.opcode == TwinNames.COMPARE) {
            TwinChecks.check(a.dtype == b.dtype && (a.dtype != TwinValues.BOOL || node.kind == 1), node, index);
            y.dtype = TwinValues.BOOL;
        } else {
            TwinChecks.check(a.dtype == b.dtype && TwinElementwise.acceptsBinary(node.kind, a.dtype), node, index);
            if (!TwinElementwise.hasBinary(node.kind, a.dtype)) TwinAttributes.cannotRun(node.opcode, node.kind);
        }
    }

    /// @dev Reshape, Transpose, Slice, Gather, Expand, Pad.
    function _moved(Program memory p, Node memory node, uint256 index, Value memory x, Value memory y) private pure {
        uint256 op = node.opcode;
        uint256 rank = x.shape.length;
        y.dtype = x.dtype;
        if (op == TwinNames.RESHAPE) {
            y.shape = node.attributes;
            TwinChecks.check(_valued(y.shape) && TwinWork.exact(y.shape) == TwinWork.exact(x.shape), node, index);
        } else if (op == TwinNames.TRANSPOSE) {
            TwinChecks.check(node.axes.length == rank, node, index);
            y.shape = new uint256[](rank);
            uint256 seen;
            for (uint256 i; i < rank; ++i) {
                uint256 axis = node.axes[i];
                TwinChecks.check(axis < rank && (seen >> axis) & 1 == 0, node, index);
                seen |= 1 << axis;
                y.shape[i] = x.shape[axis];
            }
        } else if (op == TwinNames.EXPAND) {
            y.shape = node.attributes;
            TwinChecks.check(_valued(y.shape) && y.shape.length >= rank && y.shape.length < 9, node, index);
            uint256 lead = y.shape.length - rank;
            for (uint256 i; i < rank; ++i) {
                TwinChecks.check(x.shape[i] == 1 || x.shape[i] == y.shape[lead + i], node, index);
            }
        } else if (op == TwinNames.GATHER) {
            Value memory i = TwinChecks.operand(p, node, index, 1);
            TwinChecks.check(i.dtype == TwinValues.I32 || i.dtype == TwinValues.I64, node, index);
            TwinChecks.check(node.kind < rank && rank + i.shape.length < 10, node, index);
            y.shape = _gathered(node.kind, x.shape, i.shape);
        } else if (op == TwinNames.SLICE) {
            y.shape = _sliced(node, index, x.shape);
        } else {
            y.shape = _padded(p, node, index, x);
        }
    }

    function _gathered(uint256 axis, uint256[] memory x, uint256[] memory index)
        private
        pure
        returns (uint256[] memory shape)
    {
        shape = new uint256[](x.length - 1 + index.length);
        for (uint256 i; i < shape.length; ++i) {
            if (i < axis) shape[i] = x[i];
            else if (i < axis + index.length) shape[i] = index[i - axis];
            else shape[i] = x[i + 1 - index.length];
        }
    }

    function _sliced(Node memory node, uint256 index, uint256[] memory x) private pure returns (uint256[] memory size) {
        uint256[][] memory l = node.lists;
        size = l[2];
        TwinChecks.check(l[0].length == x.length && l[1].length == x.length && size.length == x.length, node, index);
        TwinChecks.check(_valued(size), node, index);
        for (uint256 i; i < size.length; ++i) {
            TwinChecks.check(l[1][i] != 0, node, index);
            if (size[i] == 0) continue;
            // Below 2^64 each: nothing overflows.
            // forge-lint: disable-next-line(unsafe-typecast)
            int256 last = int256(l[0][i]) + int256(size[i] - 1) * int256(l[1][i]);
            // forge-lint: disable-next-line(unsafe-typecast)
            TwinChecks.check(l[0][i] < x[i] && last >= 0 && last < int256(x[i]), node, index);
        }
    }

    function _padded(Program memory p, Node memory node, uint256 index, Value memory x)
        private
        pure
        returns (uint256[] memory shape)
    {
        (uint256[] memory begin, uint256[] memory end) = (node.lists[0], node.lists[1]);
        TwinChecks.check(begin.length == x.shape.length && end.length == x.shape.length, node, index);
        if (node.operands.length > 1) {
            Value memory fill = TwinChecks.operand(p, node, index, 1);
            TwinChecks.check(node.kind == 1 && fill.dtype == x.dtype && TwinWork.exact(fill.shape) == 1, node, index);
        }
        shape = new uint256[](begin.length);
        for (uint256 i; i < shape.length; ++i) {
            uint256 n = x.shape[i];
            uint256 pad = begin[i] > end[i] ? begin[i] : end[i];
            // Edge and wrap need an element, a mirror must not run out of them.
            if (pad > 0 && node.kind > 1) TwinChecks.check(n >= (node.kind == 3 ? pad + 1 : 1), node, index);
            shape[i] = n + begin[i] + end[i];
            TwinChecks.check(shape[i] <= type(uint64).max, node, index);
        }
    }

    function _valued(uint256[] memory shape) private pure returns (bool) {
        for (uint256 i; i < shape.length; ++i) {
            if (shape[i] == NO_VALUE) return false;
        }
        return true;
    }

    function _copy(uint256[] memory shape) private pure returns (uint256[] memory) {
        return TwinChecks.head(shape, shape.length);
    }

    function _pair(uint256 a, uint256 b) private pure returns (uint256[] memory shape) {
        shape = new uint256[](2);
        (shape[0], shape[1]) = (a, b);
    }
}
