// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {TwinValues, Value} from "./TwinValues.sol";

/// @title Module: Concat and Gather: elements move and none changes (spec OP-8)
/// @notice `ok` is false where the shapes do not go together.
library TwinMovement {
    /// @notice Joins tensors along an axis.
    function concat(uint256 axis, Value[] memory xs) public pure returns (Value memory y, bool ok) {
        Value memory first = xs[0];
        uint256 rank = first.shape.length;
        if (axis >= rank) return (y, false);
        uint256[] memory shape = new uint256[](rank);
        for (uint256 i; i < rank; ++i) {
            shape[i] = first.shape[i];
        }
        for (uint256 k = 1; k < xs.length; ++k) {
            if (xs[k].dtype != first.dtype || xs[k].shape.length != rank) return (y, false);
            for (uint256 i; i < rank; ++i) {
                if (i == axis) shape[i] += xs[k].shape[i];
                else if (shape[i] != xs[k].shape[i]) return (y, false);
            }
        }
        y = TwinValues.empty(first.dtype, shape);
        if (y.data.length == 0) return (y, true);
        uint256 outer = 1;
        for (uint256 i; i < axis; ++i) {
            outer *= shape[i];
        }
        uint256 to;
        for (uint256 o; o < outer; ++o) {
            for (uint256 k; k < xs.length; ++k) {
                uint256 n = xs[k].data.length / outer;
                for (uint256 i; i < n; ++i) {
                    y.data[to++] = xs[k].data[o * n + i];
                }
            }
        }
        ok = true;
    }

    /// @notice Picks along an axis; a negative index counts from the end. `inside` is false where an index is none.
    function gather(uint256 axis, Value memory x, Value memory index)
        public
        pure
        returns (Value memory y, bool ok, bool inside)
    {
        uint256 rank = x.shape.length;
        if (axis >= rank || rank + index.shape.length > 9) return (y, false, false);
        if (index.dtype != TwinValues.I32 && index.dtype != TwinValues.I64) return (y, false, false);
        y = TwinValues.empty(x.dtype, _gathered(axis, x.shape, index.shape));
        // Where there is no result no index can fail (spec OP-10).
        if (y.data.length == 0) return (y, true, true);
        uint256[] memory positions;
        (positions, inside) = _positions(index.data, x.shape[axis]);
        if (inside) _pick(axis, x, positions, y.data);
        ok = true;
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

    function _positions(uint256[] memory index, uint256 n) private pure returns (uint256[] memory p, bool inside) {
        p = new uint256[](index.length);
        for (uint256 k; k < p.length; ++k) {
            unchecked {
                p[k] = index[k] >> 255 == 1 ? index[k] + n : index[k];
            }
            if (p[k] >= n) return (p, false);
        }
        inside = true;
    }

    function _pick(uint256 axis, Value memory x, uint256[] memory positions, uint256[] memory to) private pure {
        uint256 inner = 1;
        for (uint256 i = axis + 1; i < x.shape.length; ++i) {
            inner *= x.shape[i];
        }
        uint256 block_ = x.shape[axis] * inner;
        uint256 place;
        for (uint256 start; start < x.data.length; start += block_) {
            for (uint256 k; k < positions.length; ++k) {
                for (uint256 i; i < inner; ++i) {
                    to[place++] = x.data[start + positions[k] * inner + i];
                }
            }
        }
    }
}
