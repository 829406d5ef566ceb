// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {SoftFloat32} from "./SoftFloat32.sol";
import {Node} from "./TwinProgram.sol";
import {TwinReductions} from "./TwinReductions.sol";
import {TwinValues} from "./TwinValues.sol";
import {TwinWindows} from "./TwinWindows.sol";

/// @title Module: MaxPool and AveragePool (spec OP-4)
library TwinPools {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    /// @dev A pool over the elements x, whose windows have so many taps.
    struct Pooling {
        bool average;
        bool f32;
        uint256[] x;
        uint256[] place;
        uint256[] counted;
        uint256 size;
        uint256[] window;
    }

    /// @notice The elements of the result of this shape, which are not none. Arrays of words come and go as bytes.
    function pool(Node memory node, uint256 dtype, uint256[] memory from, bytes memory elements, uint256[] memory shape)
        public
        pure
        returns (bytes memory)
    {
        Pooling memory p;
        TwinWindows.Axes memory a = TwinWindows.axes(from, shape, node.lists[0], 0, node.lists, 1);
        (p.place, p.counted) = TwinWindows.places(a);
        (p.average, p.f32, p.x) = (node.kind == 2, dtype == TwinValues.F32, TwinValues.asWords(elements));
        p.size = a.input[0] * a.input[1] * a.input[2];
        p.window = new uint256[](p.place.length / p.counted.length);
        // A mean that does not count the border divides by the elements that there are.
        if (node.attributes[1] == 0) p.counted = new uint256[](p.counted.length);
        uint256[] memory y = new uint256[](TwinValues.count(shape));
        for (uint256 i; i < y.length; ++i) {
            y[i] = _one(p, i / p.counted.length * p.size, i % p.counted.length);
        }
        return TwinValues.asBytes(y);
    }

    /// @dev Window number `o` of the plane that begins at `start`.
    function _one(Pooling memory p, uint256 start, uint256 o) private pure returns (uint256) {
        uint256 n = _take(p.x, start, p.place, o * p.window.length, p.window);
        uint256[] memory inside = _head(p.window, n);
        if (!p.average) return _greatest(inside, p.f32);
        uint256 divisor = p.counted[o] == 0 ? n : p.counted[o];
        return TwinReductions.sum(inside).div(SoftFloat32.fromInt(int256(divisor)));
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
