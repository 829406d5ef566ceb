// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinNames} from "./TwinNames.sol";
import {Node} from "./TwinProgram.sol";
import {TwinValues, Value} from "./TwinValues.sol";

/// @title Module: Concat, Gather, Transpose, Slice, Expand and Pad: elements move and none changes (spec OP-8)
/// @notice Shapes were planned: they go together, and results have elements.
library TwinMovement {
    /// @dev Stands for the border in a list of positions.
    uint256 private constant BORDER = type(uint256).max;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    /// @notice The elements of tensors joined along an axis, which together are `n`.
    function concat(uint256 axis, Value[] memory xs, uint256 n) public pure returns (uint256[] memory y) {
        y = new uint256[](n);
        uint256 outer = 1;
        for (uint256 i; i < axis; ++i) {
            outer *= xs[0].shape[i];
        }
        uint256 to;
        for (uint256 o; o < outer; ++o) {
            for (uint256 k; k < xs.length; ++k) {
                uint256 part = xs[k].data.length / outer;
                for (uint256 i; i < part; ++i) {
                    y[to++] = xs[k].data[o * part + i];
                }
            }
        }
    }

    /// @notice Picks along an axis; a negative index counts from the end. `inside` is false where an index is none.
    function gather(uint256 axis, Value memory x, uint256[] memory index)
        public
        pure
        returns (uint256[] memory y, bool inside)
    {
        uint256[] memory positions = new uint256[](index.length);
        uint256 n = x.shape[axis];
        for (uint256 k; k < positions.length; ++k) {
            unchecked {
                positions[k] = index[k] >> 255 == 1 ? index[k] + n : index[k];
            }
            if (positions[k] >= n) return (y, false);
        }
        inside = true;
        uint256 inner = 1;
        for (uint256 i = axis + 1; i < x.shape.length; ++i) {
            inner *= x.shape[i];
        }
        uint256 stride = n * inner;
        y = new uint256[](x.data.length / n * positions.length);
        uint256 place;
        for (uint256 start; start < x.data.length; start += stride) {
            for (uint256 k; k < positions.length; ++k) {
                for (uint256 i; i < inner; ++i) {
                    y[place++] = x.data[start + positions[k] * inner + i];
                }
            }
        }
    }

    /// @notice Transpose, Slice and Expand of x to `shape`.
    function move(Node memory node, Value memory x, uint256[] memory shape) public pure returns (uint256[] memory y) {
        if (node.opcode == TwinNames.EXPAND) return TwinValues.expand(x, shape);
        uint256[] memory own = TwinValues.strides(x.shape);
        uint256[] memory step = new uint256[](own.length);
        uint256 start;
        unchecked {
            // Steps may be negative: offsets wrap, and every sum lies inside.
            for (uint256 i; i < own.length; ++i) {
                if (node.opcode == TwinNames.TRANSPOSE) {
                    step[i] = own[node.axes[i]];
                } else {
                    step[i] = own[i] * node.lists[1][i];
                    start += own[i] * node.lists[0][i];
                }
            }
            y = TwinValues.offsets(shape, step);
            for (uint256 i; i < y.length; ++i) {
                y[i] = x.data[start + y[i]];
            }
        }
    }

    /// @notice A border around x: mode 1 the value `fill`, 2 the nearest element, 3 the mirror image, 4 the tensor repeated.
    function pad(Node memory node, Value memory x, uint256 fill, uint256[] memory shape)
        public
        pure
        returns (uint256[] memory y)
    {
        uint256[] memory own = TwinValues.strides(x.shape);
        y = new uint256[](TwinValues.count(shape));
        uint256 n = 1;
        unchecked {
            // From the last axis, as TwinValues.offsets; first places, then elements.
            for (uint256 axis = shape.length; axis > 0; --axis) {
                uint256 filled = n;
                uint256[] memory inner = new uint256[](filled);
                for (uint256 i; i < filled; ++i) {
                    inner[i] = y[i];
                }
                n = 0;
                for (uint256 k; k < shape[axis - 1]; ++k) {
                    uint256 p = _source(node.kind, x.shape[axis - 1], node.lists[0][axis - 1], k);
                    for (uint256 i; i < filled; ++i) {
                        bool none = p == BORDER || inner[i] == BORDER;
                        y[n++] = none ? BORDER : inner[i] + p * own[axis - 1];
                    }
                }
            }
            for (uint256 i; i < y.length; ++i) {
                y[i] = y[i] == BORDER ? fill : x.data[y[i]];
            }
        }
    }

    /// @dev The element of an axis of length `n` that stands at position `k` of the result.
    function _source(uint256 mode, uint256 n, uint256 begin, uint256 k) private pure returns (uint256) {
        unchecked {
            bool before = k < begin;
            if (!before && k - begin < n) return k - begin;
            if (mode == 1) return BORDER;
            if (mode == 2) return before ? 0 : n - 1;
            if (mode == 3) return before ? begin - k : 2 * (n - 1) - (k - begin);
            return before ? (n - (begin - k) % n) % n : (k - begin) % n;
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
