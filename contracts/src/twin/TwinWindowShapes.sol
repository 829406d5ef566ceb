// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinChecks} from "./TwinChecks.sol";
import {TwinNames} from "./TwinNames.sol";
import {Node, Program} from "./TwinProgram.sol";
import {TwinValues, Value} from "./TwinValues.sol";

/// @title Types and shapes of Conv and Pool, and how windows slide
library TwinWindowShapes {
    /// @notice The type and shape of y.
    function infer(Program memory p, Node memory node, uint256 index, Value memory x, Value memory y) internal pure {
        y.dtype = x.dtype;
        if (node.opcode == TwinNames.CONV) {
            Value memory w = TwinChecks.operand(p, node, index, 1);
            TwinChecks.check(x.dtype == TwinValues.F32 && w.dtype == TwinValues.F32, node, index);
            convolve(node, index, x, w, y);
            if (node.operands.length > 2) {
                Value memory bias = TwinChecks.operand(p, node, index, 2);
                bool fits = bias.dtype == TwinValues.F32 && bias.shape.length == 1 && bias.shape[0] == w.shape[0];
                TwinChecks.check(fits, node, index);
            }
        } else {
            bool small = node.kind == 1 && (x.dtype == TwinValues.I8 || x.dtype == TwinValues.U8);
            TwinChecks.check(small || x.dtype == TwinValues.F32, node, index);
            _start(node, index, x, y);
            _slide(node, index, x.shape, node.lists[0], y.shape);
        }
    }

    /// @notice The shape of a convolution of x by w, whose groups are `attributes[0]`.
    function convolve(Node memory node, uint256 index, Value memory x, Value memory w, Value memory y) internal pure {
        _start(node, index, x, y);
        TwinChecks.check(w.shape.length == x.shape.length, node, index);
        uint256 groups = node.attributes[0];
        bool fits = groups != 0 && w.shape[0] % groups == 0 && x.shape[1] == w.shape[1] * groups;
        TwinChecks.check(fits, node, index);
        y.shape[1] = w.shape[0];
        _slide(node, index, x.shape, w.shape, y.shape);
    }

    function _start(Node memory node, uint256 index, Value memory x, Value memory y) private pure {
        uint256 rank = x.shape.length;
        TwinChecks.check(rank >= 3 && rank <= 5, node, index);
        y.shape = new uint256[](rank);
        (y.shape[0], y.shape[1]) = (x.shape[0], x.shape[1]);
    }

    /// @dev The spatial sizes of the result. The kernel's are the last of `kernel`; of Pool they come before the lists.
    function _slide(Node memory node, uint256 index, uint256[] memory x, uint256[] memory kernel, uint256[] memory y)
        private
        pure
    {
        uint256 n = x.length - 2;
        bool pool = node.opcode == TwinNames.POOL;
        uint256 first = pool ? 1 : 0;
        TwinChecks.check(pool ? kernel.length == n : true, node, index);
        for (uint256 i = first; i < first + 4; ++i) {
            TwinChecks.check(node.lists[i].length == n, node, index);
        }
        bool ceil = pool && node.attributes[0] == 1;
        for (uint256 i; i < n; ++i) {
            uint256[6] memory axis;
            (axis[0], axis[1]) = (x[i + 2], kernel[kernel.length - n + i]);
            for (uint256 k; k < 4; ++k) {
                axis[k + 2] = node.lists[first + k][i];
            }
            bool ok;
            (y[i + 2], ok) = _outputs(axis, pool, ceil);
            TwinChecks.check(ok, node, index);
        }
    }

    /// @dev Number of windows on an axis: its length, kernel, stride, dilation, border before and after. A pool's border
    /// must leave an element inside every window; with `ceil` a last window may reach beyond the border.
    function _outputs(uint256[6] memory axis, bool pool, bool ceil) private pure returns (uint256 n, bool ok) {
        unchecked {
            (uint256 stride, uint256 dilation, uint256 begin, uint256 end) = (axis[2], axis[3], axis[4], axis[5]);
            if (axis[1] == 0 || stride == 0 || dilation == 0) return (0, false);
            uint256 span = (axis[1] - 1) * dilation + 1;
            uint256 padded = axis[0] + begin + end;
            if (padded < span || padded > type(uint64).max) return (0, false);
            if (pool && (begin >= span || end >= span || (begin > 0 && axis[0] < dilation))) return (0, false);
            if (!ceil) return ((padded - span + stride) / stride, true);
            uint256 room = axis[0] + begin;
            if (end + stride < span) {
                uint256 beyond = span - end - stride;
                if (beyond > room) return (0, false);
                room -= beyond;
            }
            return ((room + stride - 1) / stride, true);
        }
    }
}
