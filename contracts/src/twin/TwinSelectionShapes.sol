// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinChecks} from "./TwinChecks.sol";
import {TwinNames} from "./TwinNames.sol";
import {NO_VALUE, Node, Program} from "./TwinProgram.sol";
import {TwinValues, Value} from "./TwinValues.sol";
import {TwinWork, Work} from "./TwinWork.sol";

/// @title Types, shapes and work of Require, of picks and updates by index, TopK, Cumulate and BitCast
library TwinSelectionShapes {
    /// @notice The type and shape of y, and the node's work.
    function infer(Program memory p, Node memory node, uint256 index, Value memory x, Value memory y, Work memory w)
        internal
        pure
    {
        uint256 op = node.opcode;
        (y.dtype, y.shape) = (x.dtype, x.shape);
        if (op == TwinNames.REQUIRE) {
            Value memory condition = TwinChecks.operand(p, node, index, 1);
            TwinChecks.check(condition.dtype == TwinValues.BOOL, node, index);
            TwinWork.elements(w, x.shape, 1);
            TwinWork.elements(w, condition.shape, 1);
        } else if (op == TwinNames.GATHER_ELEMENTS) {
            y.shape = _aligned(p, node, index, x).shape;
            TwinWork.elements(w, y.shape, 5);
        } else if (op == TwinNames.GATHER_ND) {
            y.shape = _gathered(p, node, index, x);
            TwinWork.elements(w, y.shape, 1);
            TwinWork.elements(w, p.values[node.operands[1]].shape, 4);
        } else if (op == TwinNames.SCATTER_ELEMENTS || op == TwinNames.SCATTER_ND) {
            _scattered(p, node, index, x, w);
        } else if (op == TwinNames.TOP_K) {
            _topK(node, index, x, y, w);
        } else if (op == TwinNames.CUMULATE) {
            TwinChecks.check(x.dtype != TwinValues.BOOL && node.attributes[0] < x.shape.length, node, index);
            TwinWork.elements(w, y.shape, 2);
        } else {
            // BitCast: not every byte is a bool.
            bool fits = TwinValues.size(x.dtype) == TwinValues.size(node.kind);
            TwinChecks.check(fits && (node.kind != TwinValues.BOOL || x.dtype == TwinValues.BOOL), node, index);
            y.dtype = node.kind;
            TwinWork.elements(w, y.shape, 2);
        }
    }

    function _indices(Program memory p, Node memory node, uint256 index) private pure returns (Value memory i) {
        i = TwinChecks.operand(p, node, index, 1);
        TwinChecks.check(i.dtype == TwinValues.I32 || i.dtype == TwinValues.I64, node, index);
    }

    /// @dev Indices that stand over data, but for the axis.
    function _aligned(Program memory p, Node memory node, uint256 index, Value memory x)
        private
        pure
        returns (Value memory i)
    {
        i = _indices(p, node, index);
        uint256 axis = node.attributes[0];
        TwinChecks.check(axis < x.shape.length && i.shape.length == x.shape.length, node, index);
        for (uint256 k; k < x.shape.length; ++k) {
            TwinChecks.check(k == axis || i.shape[k] <= x.shape[k], node, index);
        }
    }

    /// @dev The length of the index vectors, 1 to `most`.
    function _vector(Value memory i, uint256 most, Node memory node, uint256 index) private pure returns (uint256 k) {
        TwinChecks.check(i.shape.length != 0, node, index);
        k = i.shape[i.shape.length - 1];
        TwinChecks.check(k != 0 && k <= most, node, index);
    }

    function _gathered(Program memory p, Node memory node, uint256 index, Value memory x)
        private
        pure
        returns (uint256[] memory shape)
    {
        Value memory i = TwinChecks.operand(p, node, index, 1);
        uint256 batch = node.attributes[0];
        TwinChecks.check(batch < i.shape.length && batch <= x.shape.length, node, index);
        i = _indices(p, node, index);
        uint256 k = _vector(i, x.shape.length - batch, node, index);
        for (uint256 a; a < batch; ++a) {
            TwinChecks.check(x.shape[a] == i.shape[a], node, index);
        }
        shape = TwinChecks.join(i.shape, i.shape.length - 1, x.shape, batch + k);
    }

    function _scattered(Program memory p, Node memory node, uint256 index, Value memory x, Work memory w) private pure {
        Value memory updates = TwinChecks.operand(p, node, index, 2);
        TwinChecks.check(x.dtype == updates.dtype, node, index);
        TwinChecks.check(x.dtype != TwinValues.BOOL || node.kind == 0, node, index);
        Value memory i;
        if (node.opcode == TwinNames.SCATTER_ELEMENTS) {
            i = _aligned(p, node, index, x);
            TwinChecks.check(TwinChecks.same(updates.shape, i.shape), node, index);
        } else {
            i = _indices(p, node, index);
            uint256 k = _vector(i, x.shape.length, node, index);
            uint256[] memory want = TwinChecks.join(i.shape, i.shape.length - 1, x.shape, k);
            TwinChecks.check(TwinChecks.same(updates.shape, want), node, index);
        }
        TwinWork.elements(w, x.shape, 1);
        TwinWork.elements(w, i.shape, 1);
        TwinWork.elements(w, updates.shape, 4);
    }

    function _topK(Node memory node, uint256 index, Value memory x, Value memory y, Work memory w) private pure {
        (uint256 axis, uint256 k) = (node.attributes[0], node.attributes[1]);
        TwinChecks.check(x.dtype != TwinValues.BOOL && k != NO_VALUE && axis < x.shape.length, node, index);
        TwinChecks.check(k <= x.shape[axis], node, index);
        y.dtype = TwinValues.I64;
        y.shape = TwinChecks.head(x.shape, x.shape.length);
        y.shape[axis] = k;
        TwinWork.topK(w, x.shape, y.shape, k);
    }
}
