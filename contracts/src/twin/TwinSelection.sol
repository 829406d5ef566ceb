// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinNames} from "./TwinNames.sol";
import {Node, Parts} from "./TwinProgram.sol";
import {TwinValues} from "./TwinValues.sol";

/// @title Module: Require, picks and updates by index, TopK, Cumulate and BitCast (spec OP-11 to OP-14)
/// @notice Shapes were planned: they go together, and results have elements (but Require's).
library TwinSelection {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    string private constant OUTSIDE = "index out of range";

    /// @notice The elements of the result of this shape, or why there are none.
    function run(Node memory node, Parts memory p, uint256[] memory shape)
        public
        pure
        returns (bytes memory, string memory fault)
    {
        uint256 op = node.opcode;
        // A call of a module has copies of its operands: they may change in place.
        uint256[] memory x = TwinValues.asWords(p.data[0]);
        if (op == TwinNames.REQUIRE) {
            fault = _require(node.kind, TwinValues.asWords(p.data[1]));
        } else if (op == TwinNames.GATHER_ELEMENTS || op == TwinNames.SCATTER_ELEMENTS) {
            (x, fault) = _elements(node, p, x);
        } else if (op == TwinNames.GATHER_ND || op == TwinNames.SCATTER_ND) {
            (x, fault) = _slices(node, p, x);
        } else if (op == TwinNames.TOP_K) {
            x = _topK(node, p.dtypes[0], x, p.shapes[0], shape);
        } else if (op == TwinNames.CUMULATE) {
            _cumulate(node, p.dtypes[0], x, shape);
        } else {
            _bitCast(p.dtypes[0], node.kind, x);
        }
        return (TwinValues.asBytes(x), fault);
    }

    function _require(uint256 what, uint256[] memory condition) private pure returns (string memory) {
        for (uint256 i; i < condition.length; ++i) {
            if (condition[i] == 1) continue;
            if (what == 0) return "not as required: an argument differs from what the model's declared shapes say";
            if (what == 1) return "not as required: a loop takes more iterations than were declared at import";
            if (what == 2) return "not as required: training mode is on";
            return "not as required: a value lies outside the operator's range";
        }
        return "";
    }

    /// @dev The position on an axis of length `n`; a negative index counts from the end. From n on: outside.
    function _position(uint256 index, uint256 n) private pure returns (uint256) {
        unchecked {
            return index >> 255 == 1 ? index + n : index;
        }
    }

    /// @dev GatherElements, and ScatterElements in place: an index stands over its own position on the other axes.
    function _elements(Node memory node, Parts memory p, uint256[] memory x)
        private
        pure
        returns (uint256[] memory y, string memory)
    {
        uint256[] memory index = TwinValues.asWords(p.data[1]);
        uint256[] memory step = TwinValues.strides(p.shapes[0]);
        (uint256 axis, uint256 n) = (node.attributes[0], p.shapes[0][node.attributes[0]]);
        uint256 along = step[axis];
        step[axis] = 0;
        for (uint256 i; i < index.length; ++i) {
            index[i] = _position(index[i], n);
            if (index[i] >= n) return (x, OUTSIDE);
        }
        uint256[] memory base = TwinValues.offsets(p.shapes[1], step);
        if (node.opcode == TwinNames.GATHER_ELEMENTS) {
            for (uint256 i; i < base.length; ++i) {
                base[i] = x[base[i] + index[i] * along];
            }
            return (base, "");
        }
        uint256[] memory updates = TwinValues.asWords(p.data[2]);
        for (uint256 i; i < base.length; ++i) {
            uint256 place = base[i] + index[i] * along;
            x[place] = _updated(node.kind, p.dtypes[0], x[place], updates[i]);
        }
        return (x, "");
    }

    /// @dev GatherND, and ScatterND in place.
    function _slices(Node memory node, Parts memory p, uint256[] memory x)
        private
        pure
        returns (uint256[] memory y, string memory)
    {
        uint256[] memory updates;
        if (node.opcode == TwinNames.SCATTER_ND) {
            updates = TwinValues.asWords(p.data[2]);
            if (updates.length == 0) return (x, "");
        }
        (uint256[] memory starts, uint256 slice, bool inside) = _starts(node, p);
        if (!inside) return (x, OUTSIDE);
        if (node.opcode == TwinNames.GATHER_ND) y = new uint256[](starts.length * slice);
        for (uint256 i; i < starts.length; ++i) {
            for (uint256 k; k < slice; ++k) {
                (uint256 from, uint256 to) = (starts[i] + k, i * slice + k);
                if (updates.length == 0) y[to] = x[from];
                else x[from] = _updated(node.kind, p.dtypes[0], x[from], updates[to]);
            }
        }
        return (updates.length == 0 ? y : x, "");
    }

    /// @dev Where in data the slice of each index vector begins, and its length.
    function _starts(Node memory node, Parts memory p)
        private
        pure
        returns (uint256[] memory starts, uint256 slice, bool inside)
    {
        (uint256[] memory shape, uint256[] memory vectors) = (p.shapes[0], p.shapes[1]);
        uint256[] memory index = TwinValues.asWords(p.data[1]);
        uint256[] memory step = TwinValues.strides(shape);
        (uint256 k, uint256 batch) = (vectors[vectors.length - 1], node.attributes[0]);
        slice = step[batch + k - 1];
        starts = new uint256[](index.length / k);
        // Vectors that one position of the shared axes has, and elements of data.
        uint256 perBatch = 1;
        for (uint256 i = batch; i + 1 < vectors.length; ++i) {
            perBatch *= vectors[i];
        }
        uint256 each = batch == 0 ? 0 : step[batch - 1];
        for (uint256 i; i < starts.length; ++i) {
            uint256 start = i / perBatch * each;
            for (uint256 j; j < k; ++j) {
                uint256 at_ = _position(index[i * k + j], shape[batch + j]);
                if (at_ >= shape[batch + j]) return (starts, slice, false);
                start += at_ * step[batch + j];
            }
            starts[i] = start;
        }
        inside = true;
    }

    /// @dev Assign, Add, Mul, Max, Min.
    function _updated(uint256 kind, uint256 dtype, uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            if (kind == 0) return b;
            if (dtype == TwinValues.F32) {
                if (kind == 1) return a.add(b);
                if (kind == 2) return a.mul(b);
                return kind == 3 ? a.max(b) : a.min(b);
            }
            if (kind == 1) return TwinValues.wrap(dtype, a + b);
            if (kind == 2) return TwinValues.wrap(dtype, a * b);
            return (int256(a) > int256(b)) == (kind == 3) ? a : b;
        }
    }

    /// @dev Lengths before the axis, of it, and after it.
    function _around(uint256[] memory shape, uint256 axis)
        private
        pure
        returns (uint256 outer, uint256 n, uint256 inner)
    {
        (outer, n, inner) = (1, shape[axis], 1);
        for (uint256 i; i < shape.length; ++i) {
            if (i < axis) outer *= shape[i];
            if (i > axis) inner *= shape[i];
        }
    }

    /// @dev Positions of the greatest or least along the axis, in order; of equals the lowest first.
    function _topK(Node memory node, uint256 dtype, uint256[] memory x, uint256[] memory from, uint256[] memory shape)
        private
        pure
        returns (uint256[] memory y)
    {
        for (uint256 i; i < x.length; ++i) {
            int256 key = dtype == TwinValues.F32 ? x[i].totalKey() : int256(x[i]);
            // Greatest first; of the least, the opposite is greatest.
            x[i] = uint256(node.kind == 1 ? key : -key);
        }
        y = new uint256[](TwinValues.count(shape));
        (uint256 outer, uint256 n, uint256 inner) = _around(from, node.attributes[0]);
        uint256[] memory places = new uint256[](node.attributes[1]);
        for (uint256 row; row < outer * inner; ++row) {
            uint256 block_ = row / inner;
            _greatest(x, block_ * n * inner + row % inner, inner, n, places);
            for (uint256 k; k < places.length; ++k) {
                y[(block_ * places.length + k) * inner + row % inner] = places[k];
            }
        }
    }

    /// @dev Positions of the greatest of `n` keys, `step` apart from `start` on.
    function _greatest(uint256[] memory keys, uint256 start, uint256 step, uint256 n, uint256[] memory places)
        private
        pure
    {
        uint256 filled;
        for (uint256 i; i < n; ++i) {
            int256 key = int256(keys[start + i * step]);
            uint256 to = filled;
            while (to > 0 && int256(keys[start + places[to - 1] * step]) < key) --to;
            if (to == places.length) continue;
            if (filled < places.length) ++filled;
            for (uint256 k = filled - 1; k > to; --k) {
                places[k] = places[k - 1];
            }
            places[to] = i;
        }
    }

    /// @dev In place: attributes axis, exclusive, reverse.
    function _cumulate(Node memory node, uint256 dtype, uint256[] memory x, uint256[] memory shape) private pure {
        (uint256 outer, uint256 n, uint256 inner) = _around(shape, node.attributes[0]);
        node.axes = new uint256[](1);
        node.axes[0] = n;
        unchecked {
            for (uint256 row; row < outer * inner; ++row) {
                uint256 start = row / inner * n * inner + row % inner;
                // Backwards the step is negative.
                bool reverse = node.attributes[2] == 1;
                _alongRow(node, dtype, x, reverse ? start + (n - 1) * inner : start, reverse ? 0 - inner : inner);
            }
        }
    }

    /// @dev One row of `_cumulate`, from `place` on.
    function _alongRow(Node memory node, uint256 dtype, uint256[] memory x, uint256 place, uint256 step) private pure {
        unchecked {
            uint256 n = node.axes[0];
            // What stands before the first: the identity.
            uint256 before = node.kind == 0 ? 0 : dtype == TwinValues.F32 ? SoftFloat32.ONE : 1;
            for (uint256 i; i < n; ++i) {
                uint256 sum = i == 0 ? x[place] : _updated(node.kind + 1, dtype, before, x[place]);
                x[place] = node.attributes[1] == 1 ? before : sum;
                before = sum;
                place += step;
            }
        }
    }

    /// @dev In place: every NaN is 0x7fc00000 before.
    function _bitCast(uint256 from, uint256 to, uint256[] memory x) private pure {
        if (from == to) return;
        for (uint256 i; i < x.length; ++i) {
            uint256 v = from == TwinValues.F32 ? x[i].canonical() : x[i];
            x[i] = to == TwinValues.F32 ? v & 0xffffffff : TwinValues.wrap(to, v);
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
