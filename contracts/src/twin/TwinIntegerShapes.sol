// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinChecks} from "./TwinChecks.sol";
import {TwinNames} from "./TwinNames.sol";
import {Node, Program} from "./TwinProgram.sol";
import {TwinValues, Value} from "./TwinValues.sol";
import {TwinWindowShapes} from "./TwinWindowShapes.sol";
import {TwinWork, Work} from "./TwinWork.sol";

/// @title Types, shapes and work of products of integers (spec NUM-14, NUM-15), and the shape of every MatMul
library TwinIntegerShapes {
    /// @dev Longest contraction whose sum i32 holds whatever the values.
    uint256 private constant MAX_K = 33_025;

    /// @notice The type and shape of y, and the node's work.
    function infer(Program memory p, Node memory node, uint256 index, Value memory x, Value memory y, Work memory w)
        internal
        pure
    {
        Value memory weight = TwinChecks.operand(p, node, index, 1);
        if (node.opcode == TwinNames.INTEGER_MATMUL) {
            _integerMatMul(p, node, index, x, weight, y, w);
        } else if (node.opcode == TwinNames.INTEGER_CONV) {
            _integerConv(p, node, index, x, weight, y, w);
        } else if (node.opcode == TwinNames.QUANTIZED_MATMUL) {
            _quantizedMatMul(p, node, index, x, weight, y, w);
        } else {
            TwinChecks.check(x.dtype == TwinValues.F32, node, index);
            y.dtype = TwinValues.F32;
            TwinWindowShapes.convolve(node, index, x, weight, y);
            (uint256 n, uint256 k) = (weight.shape[0], _taps(weight));
            uint256 planes = _quantized(p, node, index, weight, n, k);
            TwinWork.integerConv(w, node, planes, x.shape, weight.shape, y.shape);
            TwinWork.count(w, TwinWork.times(planes, (TwinWork.times(n, k) + 3) / 4));
        }
    }

    /// @notice The shape of numpy.matmul; (matrices, rows, columns, depth).
    function matMul(Value memory a, Value memory b, Node memory node, uint256 index, Value memory y)
        internal
        pure
        returns (uint256[4] memory size)
    {
        (uint256 ra, uint256 rb) = (a.shape.length, b.shape.length);
        TwinChecks.check(ra != 0 && rb != 0, node, index);
        uint256 k = a.shape[ra - 1];
        TwinChecks.check(k == b.shape[rb == 1 ? 0 : rb - 2], node, index);
        uint256[] memory bLead = TwinChecks.head(b.shape, rb < 2 ? 0 : rb - 2);
        (uint256[] memory lead, bool ok) = TwinValues.broadcast(TwinChecks.head(a.shape, ra < 2 ? 0 : ra - 2), bLead);
        y.shape = new uint256[](lead.length + (ra == 1 ? 0 : 1) + (rb == 1 ? 0 : 1));
        TwinChecks.check(ok && y.shape.length < 9, node, index);
        for (uint256 i; i < lead.length; ++i) {
            y.shape[i] = lead[i];
        }
        (uint256 m, uint256 n) = (ra == 1 ? 1 : a.shape[ra - 2], rb == 1 ? 1 : b.shape[rb - 1]);
        if (ra > 1) y.shape[lead.length] = m;
        if (rb > 1) y.shape[y.shape.length - 1] = n;
        (size[0], size[1], size[2], size[3]) = (TwinWork.sizes(lead), m, n, k);
    }

    function _isByte(Value memory v) private pure returns (bool) {
        return v.dtype == TwinValues.I8 || v.dtype == TwinValues.U8;
    }

    /// @dev A zero point: of its operand's type, a scalar or, where `many` is true, one for each of `n`.
    function _zero(Program memory p, Node memory node, uint256 index, uint256 i, Value memory of_, bool many, uint256 n)
        private
        pure
    {
        (Value memory z, bool present) = TwinChecks.optional(p, node, i);
        if (!present) return;
        bool fits = z.shape.length == 0 || (many && z.shape.length == 1 && z.shape[0] == n);
        TwinChecks.check(z.dtype == of_.dtype && fits, node, index);
    }

    function _integerMatMul(
        Program memory p,
        Node memory node,
        uint256 index,
        Value memory a,
        Value memory b,
        Value memory y,
        Work memory w
    ) private pure {
        TwinChecks.check(_isByte(a) && _isByte(b), node, index);
        y.dtype = TwinValues.I32;
        uint256[4] memory size = matMul(a, b, node, index, y);
        TwinChecks.check(size[3] <= MAX_K, node, index);
        _zero(p, node, index, 2, a, a.shape.length > 1, size[1]);
        _zero(p, node, index, 3, b, b.shape.length > 1, size[2]);
        TwinWork.integers(w, 1, size[0], size[1], size[2], size[3]);
        TwinWork.elements(w, a.shape, 1);
        TwinWork.elements(w, b.shape, 1);
        TwinWork.elements(w, y.shape, 1);
    }

    function _integerConv(
        Program memory p,
        Node memory node,
        uint256 index,
        Value memory x,
        Value memory weight,
        Value memory y,
        Work memory w
    ) private pure {
        TwinChecks.check(_isByte(x) && _isByte(weight), node, index);
        y.dtype = TwinValues.I32;
        TwinWindowShapes.convolve(node, index, x, weight, y);
        TwinChecks.check(_taps(weight) <= MAX_K, node, index);
        _zero(p, node, index, 2, x, false, 0);
        _zero(p, node, index, 3, weight, true, weight.shape[0]);
        TwinWork.integerConv(w, node, 1, x.shape, weight.shape, y.shape);
        TwinWork.elements(w, weight.shape, 1);
    }

    /// @dev Weights of one filter.
    function _taps(Value memory weight) private pure returns (uint256 k) {
        k = 1;
        for (uint256 i = 1; i < weight.shape.length; ++i) {
            k = TwinWork.times(k, weight.shape[i]);
        }
    }

    function _quantizedMatMul(
        Program memory p,
        Node memory node,
        uint256 index,
        Value memory x,
        Value memory weight,
        Value memory y,
        Work memory w
    ) private pure {
        uint256 rank = x.shape.length;
        TwinChecks.check(x.dtype == TwinValues.F32 && weight.shape.length == 2 && rank != 0, node, index);
        (uint256 n, uint256 k) = (weight.shape[0], weight.shape[1]);
        TwinChecks.check(x.shape[rank - 1] == k, node, index);
        uint256 planes = _quantized(p, node, index, weight, n, k);
        y.dtype = TwinValues.F32;
        y.shape = TwinChecks.head(x.shape, rank);
        y.shape[rank - 1] = n;
        TwinWork.integers(w, planes, 1, TwinWork.sizes(TwinChecks.head(x.shape, rank - 1)), n, k);
        TwinWork.elements(w, x.shape, 1);
        TwinWork.count(w, TwinWork.times(planes, (TwinWork.times(n, k) + 3) / 4));
        TwinWork.elements(w, y.shape, 1);
    }

    /// @dev Types of a weight of `n` channels of `k` values, its scales, low bytes and bias; the bytes of a weight.
    function _quantized(Program memory p, Node memory node, uint256 index, Value memory weight, uint256 n, uint256 k)
        private
        pure
        returns (uint256 planes)
    {
        planes = node.kind + 1;
        uint256 block_ = node.attributes[1];
        TwinChecks.check(block_ == 0 || block_ == (node.kind == 0 ? 32 : 256), node, index);
        TwinChecks.check(weight.dtype == TwinValues.I8, node, index);
        Value memory v = TwinChecks.operand(p, node, index, 2);
        bool fits = v.dtype == TwinValues.F32 && v.shape.length == 1;
        if (block_ != 0) {
            fits = v.dtype == TwinValues.U8 && v.shape.length == 3;
            fits = fits && v.shape[1] == (k + block_ - 1) / block_ && v.shape[2] == 2;
        }
        TwinChecks.check(fits && v.shape[0] == n, node, index);
        bool present;
        (v, present) = TwinChecks.optional(p, node, 3);
        TwinChecks.check(present == (node.kind == 1), node, index);
        if (present) {
            TwinChecks.check(v.dtype == TwinValues.U8 && TwinChecks.same(v.shape, weight.shape), node, index);
        }
        (v, present) = TwinChecks.optional(p, node, 4);
        if (!present) return planes;
        TwinChecks.check(v.dtype == TwinValues.F32 && v.shape.length == 1 && v.shape[0] == n, node, index);
    }
}
