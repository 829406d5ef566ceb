// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {SoftFloat32} from "./SoftFloat32.sol";
import {Node} from "./TwinProgram.sol";
import {TwinReductions} from "./TwinReductions.sol";
import {TwinValues, Value} from "./TwinValues.sol";
import {TwinWindows} from "./TwinWindows.sol";

/// @title Module: MaxPool and AveragePool (spec OP-4)
library TwinPools {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    /// @notice The elements of the result of this shape, which are not none.
    function pool(Node memory node, Value memory x, uint256[] memory shape) public pure returns (uint256[] memory y) {
        TwinWindows.Axes memory a = TwinWindows.axes(x.shape, shape, node.lists[0], 0, node.lists, 1);
        (uint256[] memory place, uint256[] memory counted) = TwinWindows.places(a);
        bool average = node.kind == 2;
        if (node.attributes[1] == 0 || !average) counted = new uint256[](counted.length);
        uint256 size = a.input[0] * a.input[1] * a.input[2];
        y = new uint256[](TwinValues.count(shape));
        uint256[] memory window = new uint256[](place.length / counted.length);
        for (uint256 i; i < y.length; ++i) {
            uint256 o = i % counted.length;
            uint256 n = _take(x.data, i / counted.length * size, place, o * window.length, window);
            uint256[] memory inside = _head(window, n);
            if (average) {
                uint256 divisor = counted[o] == 0 ? n : counted[o];
                y[i] = TwinReductions.sum(inside).div(SoftFloat32.fromInt(int256(divisor)));
            } else {
                y[i] = _greatest(inside, x.dtype == TwinValues.F32);
            }
        }
    }

    /// @dev The elements inside the input of one window, whose taps' places begin at `from`: how many.
    function _take(uint256[] memory data, uint256 start, uint256[] memory place, uint256 from, uint256[] memory window)
        private
        pure
        returns (uint256 n)
    {
        unchecked {
            for (uint256 t = from; t < from + window.length; ++t) {
                if (place[t] != TwinWindows.BORDER) window[n++] = data[start + place[t]];
            }
        }
    }

    function _head(uint256[] memory v, uint256 n) private pure returns (uint256[] memory) {
        if (n == v.length) return v;
        uint256[] memory head = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            head[i] = v[i];
        }
        return head;
    }

    /// @dev The first that none exceeds.
    function _greatest(uint256[] memory v, bool f32) private pure returns (uint256 best) {
        best = v[0];
        for (uint256 i = 1; i < v.length; ++i) {
            if (f32 ? v[i].totalKey() > best.totalKey() : int256(v[i]) > int256(best)) best = v[i];
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
