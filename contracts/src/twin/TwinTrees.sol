// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinElementwise} from "./TwinElementwise.sol";
import {InvalidWeights, TwinValues, Value} from "./TwinValues.sol";

/// @title Ensembles of decision trees (spec NUM-12, OP-9)
/// @notice Walks check what they rely on: a table that leads nowhere, back or past its end reverts InvalidWeights.
library TwinTrees {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    uint256 private constant AVERAGE = 2;
    uint256 private constant MIN = 3;
    uint256 private constant MAX = 4;

    /// @notice The attributes of the operator, as the graph section has them.
    struct Ensemble {
        uint256 targets;
        uint256 shift;
        uint256 aggregate;
        uint256 features;
        uint256[] feature;
        uint256[] threshold;
        uint256[] mode;
        uint256[] children;
        uint256[] roots;
        uint256[] leafStart;
        uint256[] leafTarget;
        uint256[] leafValue;
        uint256[] base;
    }

    /// @notice One value for each target of each row of x.
    function run(Ensemble memory e, Value memory x) internal pure returns (Value memory y) {
        uint256[] memory shape = new uint256[](2);
        (shape[0], shape[1]) = (x.shape[0], e.targets);
        y = TwinValues.empty(TwinValues.F32, shape);
        for (uint256 row; row < x.shape[0]; ++row) {
            (int256[] memory joined, bool[] memory seen) = (new int256[](e.targets), new bool[](e.targets));
            for (uint256 t; t < e.roots.length; ++t) {
                _add(e, _leaf(e, int256(e.roots[t]), x.data, row * e.features), joined, seen);
            }
            for (uint256 t; t < e.targets; ++t) {
                y.data[row * e.targets + t] = _finish(e, joined[t], int256(e.base[t]));
            }
        }
    }

    /// @dev The leaf that the row reaches from a root. Children and roots at or above 0 are nodes, the others leaves: -1 - leaf.
    function _leaf(Ensemble memory e, int256 place, uint256[] memory x, uint256 start) private pure returns (uint256) {
        unchecked {
            int256 before = -1;
            while (place >= 0) {
                uint256 n = uint256(place);
                // Children come later: every walk ends.
                if (n >= e.feature.length || place <= before) revert InvalidWeights("a tree leads nowhere");
                before = place;
                uint256 feature = e.feature[n];
                if (feature >= e.features) revert InvalidWeights("a feature beyond the row");
                uint256 side = _decides(e.mode[n], x[start + feature], e.threshold[n]) ? 1 : 0;
                place = int256(e.children[2 * n + side]);
            }
            return uint256(~place);
        }
    }

    function _decides(uint256 mode, uint256 x, uint256 threshold) private pure returns (bool) {
        uint256 kind = mode & 7;
        if (mode > 15 || kind > 5 || threshold.isNaN()) {
            revert InvalidWeights("no mode or threshold of a node");
        }
        if (x.isNaN()) return mode & 8 != 0;
        (int256 a, int256 b) = (x.key(), threshold.key());
        if (kind == 0) return a <= b;
        if (kind == 1) return a < b;
        if (kind == 2) return a >= b;
        if (kind == 3) return a > b;
        return (a == b) == (kind == 4);
    }

    /// @dev Adds the entries of a leaf. i64 sums of 2^62 and more are excluded when weights are loaded; here they cannot wrap.
    function _add(Ensemble memory e, uint256 leaf, int256[] memory joined, bool[] memory seen) private pure {
        if (leaf + 1 >= e.leafStart.length) revert InvalidWeights("a tree leads nowhere");
        uint256 end = e.leafStart[leaf + 1];
        if (end > e.leafTarget.length) revert InvalidWeights("a leaf beyond its entries");
        for (uint256 i = e.leafStart[leaf]; i < end; ++i) {
            uint256 target = e.leafTarget[i];
            if (target >= joined.length) revert InvalidWeights("a target that is none");
            int256 value = int256(e.leafValue[i]);
            int256 have = joined[target];
            if (!seen[target]) (joined[target], seen[target]) = (value, true);
            else if (e.aggregate == MIN) joined[target] = value < have ? value : have;
            else if (e.aggregate == MAX) joined[target] = value > have ? value : have;
            else joined[target] = have + value;
        }
    }

    function _finish(Ensemble memory e, int256 joined, int256 base) private pure returns (uint256) {
        if (e.aggregate != AVERAGE) return _dyadic(joined + base, e.shift);
        uint256 trees = SoftFloat32.fromInt(int256(e.roots.length));
        return _dyadic(joined, e.shift).div(trees).add(_dyadic(base, e.shift));
    }

    /// @dev q * 2^-shift, rounded once.
    function _dyadic(int256 q, uint256 shift) private pure returns (uint256) {
        return
            q < 0 ? SoftFloat32.pack(1, uint256(-q), -int256(shift)) : SoftFloat32.pack(0, uint256(q), -int256(shift));
    }

    // forge-lint: disable-end(unsafe-typecast)
}
