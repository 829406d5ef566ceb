// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Contraction} from "./Contraction.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {Node} from "./TwinProgram.sol";
import {InvalidWeights, TwinValues, Value} from "./TwinValues.sol";
import {TwinWindows} from "./TwinWindows.sol";

/// @title MatMul, Gemm and Conv (spec OP-2, OP-3)
/// @notice Shapes were planned: they go together, and results have elements.
library TwinProducts {
    using SoftFloat32 for uint256;

    /// @notice numpy.matmul: the elements of the result of this shape.
    function matMul(Value memory a, Value memory b, uint256[] memory shape) internal pure returns (uint256[] memory y) {
        (uint256 ra, uint256 rb) = (a.shape.length, b.shape.length);
        uint256 m = ra == 1 ? 1 : a.shape[ra - 2];
        uint256 k = a.shape[ra - 1];
        uint256 n = rb == 1 ? 1 : b.shape[rb - 1];
        uint256[] memory lead = _head(shape, shape.length - (ra == 1 ? 0 : 1) - (rb == 1 ? 0 : 1));
        uint256[] memory aAt = _starts(_head(a.shape, ra < 2 ? 0 : ra - 2), lead);
        uint256[] memory bAt = _starts(_head(b.shape, rb < 2 ? 0 : rb - 2), lead);
        y = new uint256[](TwinValues.count(shape));
        Contraction.Operands memory o = _decoded(a, b, a.data);
        (o.aRow, o.wDepth, o.wColumn) = (k, n, 1);
        for (uint256 i; i < aAt.length; ++i) {
            (o.aStart, o.wStart) = (aAt[i] * m * k, bAt[i] * k * n);
            Contraction.product(o, m, k, n, y, i * m * n);
        }
    }

    /// @dev In which matrix of an operand each of the result's begins.
    function _starts(uint256[] memory own, uint256[] memory lead) private pure returns (uint256[] memory) {
        return TwinValues.offsets(lead, TwinValues.broadcastStrides(own, lead));
    }

    /// @notice (alpha * S1) + (beta * C); attributes alpha, beta, whether A and B are transposed. Where `hasC` is false
    /// the result is alpha * S1.
    function gemm(
        uint256[] memory attributes,
        Value memory a,
        Value memory b,
        Value memory c,
        bool hasC,
        uint256[] memory shape
    ) internal pure returns (uint256[] memory y) {
        (uint256 ta, uint256 tb) = (attributes[2], attributes[3]);
        y = new uint256[](TwinValues.count(shape));
        Contraction.Operands memory o = _decoded(a, b, ta == 1 ? _transposed(a) : a.data);
        o.aRow = b.shape[tb];
        (o.wDepth, o.wColumn) = tb == 1 ? (uint256(1), o.aRow) : (shape[1], uint256(1));
        Contraction.product(o, shape[0], o.aRow, shape[1], y, 0);
        for (uint256 i; i < y.length; ++i) {
            y[i] = attributes[0].mul(y[i]);
        }
        if (!hasC) return y;
        _finite(c);
        uint256[] memory addend = TwinValues.expand(c, shape);
        for (uint256 i; i < y.length; ++i) {
            y[i] = y[i].add(attributes[1].mul(addend[i]));
        }
    }

    /// @notice S1 over (channel of the group, kernel position), taps on the border multiplied as +0; then + bias.
    /// @dev For each image and group the product of the weight's rows and the unfolded input's columns.
    function conv(
        Node memory node,
        Value memory x,
        Value memory w,
        Value memory bias,
        bool hasBias,
        uint256[] memory shape
    ) internal pure returns (uint256[] memory y) {
        Unfolding memory u = _unfolding(node, x, w, shape);
        y = new uint256[](TwinValues.count(shape));
        uint256 mark;
        assembly ("memory-safe") {
            mark := mload(0x40)
        }
        for (uint256 i; i < x.shape[0] * u.groups; ++i) {
            _image(u, i, y);
            // The unfolded matrices of one image and group are not needed by the next.
            assembly ("memory-safe") {
                mstore(0x40, mark)
            }
        }
        if (!hasBias) return y;
        _finite(bias);
        for (uint256 i; i < y.length; ++i) {
            y[i] = y[i].add(bias.data[i / u.positions % w.shape[0]]);
        }
    }

    /// @dev A convolution as products: operands, of which w is replaced for each image and group by an unfolded matrix of
    /// the input; the input as it is and as integers.
    struct Unfolding {
        Contraction.Operands o;
        uint256[] bits;
        uint256[] integers;
        uint256[] place;
        uint256 groups;
        uint256 filters;
        uint256 channels;
        uint256 positions;
        uint256 size;
        uint256 k;
        bool general;
    }

    function _unfolding(Node memory node, Value memory x, Value memory w, uint256[] memory shape)
        private
        pure
        returns (Unfolding memory u)
    {
        TwinWindows.Axes memory a = TwinWindows.axes(x.shape, shape, w.shape, 2, node.lists, 0);
        uint256[] memory counted;
        (u.place, counted) = TwinWindows.places(a);
        u.groups = node.attributes[0];
        u.filters = w.shape[0] / u.groups;
        (u.channels, u.positions) = (w.shape[1], counted.length);
        u.size = a.input[0] * a.input[1] * a.input[2];
        u.k = w.data.length / w.shape[0];
        u.o = _decoded(w, x, w.data);
        (u.o.aRow, u.o.wDepth, u.o.wColumn) = (u.k, 1, u.k);
        (u.bits, u.integers) = (u.o.w, u.o.wDecoded);
        // Values without an integer stand at other places in each unfolded matrix: with one in the input all are general.
        u.o.decoded = u.o.decoded && u.o.wOutside.length == 0;
        u.general = !u.o.decoded || u.o.aOutside.length > 0;
    }

    /// @dev The product for one image and group.
    function _image(Unfolding memory u, uint256 i, uint256[] memory y) private pure {
        uint256 start = i * u.channels * u.size;
        uint256 taps = u.place.length / u.positions;
        Contraction.Operands memory o = u.o;
        if (o.decoded) o.wDecoded = TwinWindows.unfold(u.integers, start, u.channels, u.size, u.place, taps);
        if (u.general) o.w = TwinWindows.unfold(u.bits, start, u.channels, u.size, u.place, taps);
        o.aStart = (i % u.groups) * u.filters * u.k;
        Contraction.product(o, u.filters, u.k, u.positions, y, i * u.filters * u.positions);
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

    function _finite(Value memory v) private pure {
        for (uint256 i; i < v.data.length; ++i) {
            if (v.data[i] & 0x7fffffff >= SoftFloat32.INF) _notConstant(v);
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
