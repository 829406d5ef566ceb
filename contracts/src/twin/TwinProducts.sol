// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {Contraction} from "./Contraction.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {InvalidWeights, TwinValues, Value} from "./TwinValues.sol";

/// @title MatMul and Gemm (spec OP-2)
/// @notice `ok` is false where the shapes have no product.
library TwinProducts {
    using SoftFloat32 for uint256;

    /// @notice numpy.matmul.
    function matMul(Value memory a, Value memory b) internal pure returns (Value memory y, bool ok) {
        (uint256 ra, uint256 rb) = (a.shape.length, b.shape.length);
        if (a.dtype != TwinValues.F32 || b.dtype != TwinValues.F32 || ra == 0 || rb == 0) return (y, false);
        if (a.shape[ra - 1] != b.shape[rb == 1 ? 0 : rb - 2]) return (y, false);
        uint256[] memory aLead = _head(a.shape, ra < 2 ? 0 : ra - 2);
        uint256[] memory bLead = _head(b.shape, rb < 2 ? 0 : rb - 2);
        uint256[] memory lead;
        (lead, ok) = TwinValues.broadcast(aLead, bLead);
        uint256[] memory shape = new uint256[](lead.length + (ra == 1 ? 0 : 1) + (rb == 1 ? 0 : 1));
        if (!ok || shape.length > 8) return (y, false);
        for (uint256 i; i < lead.length; ++i) {
            shape[i] = lead[i];
        }
        if (ra > 1) shape[lead.length] = a.shape[ra - 2];
        if (rb > 1) shape[shape.length - 1] = b.shape[rb - 1];
        y = TwinValues.empty(TwinValues.F32, shape);
        if (y.data.length > 0) _batch(a, b, _starts(aLead, lead), _starts(bLead, lead), y.data);
    }

    /// @dev In which matrix of an operand each of the result's begins.
    function _starts(uint256[] memory own, uint256[] memory lead) private pure returns (uint256[] memory) {
        return TwinValues.offsets(lead, TwinValues.broadcastStrides(own, lead));
    }

    /// @dev The products of matrices aAt[i] and bAt[i]; a vector is a row on the left and a column on the right.
    function _batch(Value memory a, Value memory b, uint256[] memory aAt, uint256[] memory bAt, uint256[] memory y)
        private
        pure
    {
        uint256 m = a.shape.length == 1 ? 1 : a.shape[a.shape.length - 2];
        uint256 k = a.shape[a.shape.length - 1];
        uint256 n = b.shape.length == 1 ? 1 : b.shape[b.shape.length - 1];
        Contraction.Operands memory o = _decoded(a, b, a.data);
        (o.aRow, o.wDepth, o.wColumn) = (k, n, 1);
        for (uint256 i; i < aAt.length; ++i) {
            (o.aStart, o.wStart) = (aAt[i] * m * k, bAt[i] * k * n);
            Contraction.product(o, m, k, n, y, i * m * n);
        }
    }

    /// @notice (alpha * S1) + (beta * C); attributes alpha, beta, whether A and B are transposed. Where `hasC` is false
    /// the result is alpha * S1.
    function gemm(uint256[] memory attributes, Value memory a, Value memory b, Value memory c, bool hasC)
        internal
        pure
        returns (Value memory y, bool ok)
    {
        if (a.dtype != TwinValues.F32 || b.dtype != TwinValues.F32) return (y, false);
        if (a.shape.length != 2 || b.shape.length != 2) return (y, false);
        (uint256 ta, uint256 tb) = (attributes[2], attributes[3]);
        uint256[] memory shape = new uint256[](2);
        (shape[0], shape[1]) = (a.shape[ta], b.shape[1 - tb]);
        if (a.shape[1 - ta] != b.shape[tb] || (hasC && !_isAddend(c, shape))) return (y, false);
        y = TwinValues.empty(TwinValues.F32, shape);
        Contraction.Operands memory o = _decoded(a, b, ta == 1 ? _transposed(a) : a.data);
        o.aRow = b.shape[tb];
        (o.wDepth, o.wColumn) = tb == 1 ? (uint256(1), o.aRow) : (shape[1], uint256(1));
        Contraction.product(o, shape[0], o.aRow, shape[1], y.data, 0);
        for (uint256 i; i < y.data.length; ++i) {
            y.data[i] = attributes[0].mul(y.data[i]);
        }
        if (!hasC) return (y, true);
        for (uint256 i; i < c.data.length; ++i) {
            if (c.data[i] & 0x7fffffff >= SoftFloat32.INF) _notConstant(c);
        }
        _addScaled(y.data, attributes[1], TwinValues.expand(c, shape));
        ok = true;
    }

    function _addScaled(uint256[] memory y, uint256 beta, uint256[] memory c) private pure {
        for (uint256 i; i < y.length; ++i) {
            y[i] = y[i].add(beta.mul(c[i]));
        }
    }

    /// @dev C's axes, from the last, are 1 or the product's.
    function _isAddend(Value memory c, uint256[] memory shape) private pure returns (bool) {
        uint256 rank = c.shape.length;
        if (c.dtype != TwinValues.F32 || rank > 2) return false;
        for (uint256 i; i < rank; ++i) {
            uint256 have = c.shape[rank - 1 - i];
            if (have != 1 && have != shape[1 - i]) return false;
        }
        return true;
    }

    /// @dev Both operands as they are and as integers; `rows` are a's values with its rows
    /// contiguous. Constants of contractions are finite (spec OP-2), as values that have an integer are.
    function _decoded(Value memory a, Value memory w, uint256[] memory rows)
        private
        pure
        returns (Contraction.Operands memory o)
    {
        (o.a, o.w, o.decoded) = (rows, w.data, true);
        bool good;
        (o.aDecoded, good) = Contraction.decode(rows, 0);
        if (!good) {
            (o.aOutside, o.decoded) = Contraction.outside(rows, o.aDecoded);
            if (!o.decoded) _notConstant(a);
        }
        (o.wDecoded, good) = Contraction.decode(w.data, 1);
        if (!good) {
            (o.wOutside, good) = Contraction.outside(w.data, o.wDecoded);
            if (!good) _notConstant(w);
            o.decoded = o.decoded && good;
        }
    }

    /// @dev Constants of contractions are finite (spec OP-2).
    function _notConstant(Value memory v) private pure {
        if (v.constant_) revert InvalidWeights("an operand of a contraction is constant and not finite");
    }

    function _transposed(Value memory a) private pure returns (uint256[] memory y) {
        (uint256 rows, uint256 columns) = (a.shape[0], a.shape[1]);
        y = new uint256[](rows * columns);
        for (uint256 i; i < y.length; ++i) {
            y[i] = a.data[(i % rows) * columns + i / rows];
        }
    }

    function _head(uint256[] memory shape, uint256 n) private pure returns (uint256[] memory head) {
        head = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            head[i] = shape[i];
        }
    }
}
