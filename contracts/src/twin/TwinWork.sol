// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Node} from "./TwinProgram.sol";

/// @notice Units of work, as the specification counts them (section 3 and 6). Each saturates at 2^64 - 1.
struct Work {
    uint256 nodes;
    uint256 elements;
    uint256 divisions;
    uint256 elementary;
    uint256 powers;
    uint256 multiplyAdds;
    uint256 treeSteps;
}

/// @title Work of operators from shapes alone (spec MOD-9, GAS-2)
/// @notice All arithmetic saturates at 2^64 - 1, as the engine's does.
library TwinWork {
    uint256 private constant MAX = type(uint64).max;

    /// @notice The work in thousandths of gas by schedule 1.
    function price(Work memory w) internal pure returns (uint256) {
        uint256 sum = times(w.nodes, 30_000);
        sum = plus(sum, times(w.elements, 700));
        sum = plus(sum, times(w.divisions, 700));
        sum = plus(sum, times(w.elementary, 1_800));
        sum = plus(sum, times(w.powers, 12_000));
        sum = plus(sum, times(w.multiplyAdds, 10));
        return plus(sum, times(w.treeSteps, 1_300));
    }

    /// @notice The product, saturated.
    function times(uint256 a, uint256 b) internal pure returns (uint256 c) {
        unchecked {
            c = a * b;
            if (c > MAX) c = MAX;
        }
    }

    /// @notice The sum, saturated.
    function plus(uint256 a, uint256 b) internal pure returns (uint256 c) {
        unchecked {
            c = a + b;
            if (c > MAX) c = MAX;
        }
    }

    /// @notice The product of dimensions, saturated at every step.
    function sizes(uint256[] memory shape) internal pure returns (uint256 n) {
        n = 1;
        for (uint256 i; i < shape.length; ++i) {
            n = times(n, shape[i]);
        }
    }

    /// @notice The number of elements; above 2^64 - 1 where a product on the way exceeds it.
    function exact(uint256[] memory shape) internal pure returns (uint256 n) {
        n = 1;
        for (uint256 i; i < shape.length; ++i) {
            n *= shape[i];
            if (n > MAX) return type(uint256).max;
        }
    }

    /// @dev The number of elements as cost counts it: from 2^62 on, or past 2^64 on the way, it is 2^64 - 1.
    function _count(uint256[] memory shape) private pure returns (uint256 n) {
        n = exact(shape);
        if (n >> 62 != 0) n = MAX;
    }

    /// @notice One operator.
    function node(Work memory w) internal pure {
        ++w.nodes;
    }

    /// @notice Element work.
    function count(Work memory w, uint256 n) internal pure {
        w.elements = plus(w.elements, n);
    }

    /// @notice `each` of every element.
    function elements(Work memory w, uint256[] memory shape, uint256 each) internal pure {
        count(w, times(_count(shape), each));
    }

    /// @notice Unary, by its kind.
    function unary(Work memory w, uint256 kind, uint256[] memory shape) internal pure {
        uint256 n = _count(shape);
        if (kind == 4 || kind == 5 || kind == 10) w.divisions = plus(w.divisions, n);
        if (kind == 10 || kind >= 32) w.elementary = plus(w.elementary, n);
        else if (kind == 11) w.elementary = plus(w.elementary, times(n, 2));
        else if (kind != 4 && kind != 5) count(w, n);
    }

    /// @notice Binary, by its kind.
    function binary(Work memory w, uint256 kind, uint256[] memory shape) internal pure {
        uint256 n = _count(shape);
        if (kind == 4 || kind == 6) w.divisions = plus(w.divisions, n);
        else if (kind == 5 || kind == 9) w.powers = plus(w.powers, n);
        else count(w, n);
    }

    /// @notice Contractions of `batch` pairs of (m, k) and (k, n).
    function product(Work memory w, uint256 batch, uint256 m, uint256 n, uint256 k) internal pure {
        uint256 padded = times(batch, times(times(_ceil(m, 4), _ceil(n, 16)), k));
        w.multiplyAdds = plus(w.multiplyAdds, padded);
    }

    /// @notice Conv of x by a weight to y.
    function conv(Work memory w, Node memory c, uint256[] memory x, uint256[] memory weight, uint256[] memory y)
        internal
        pure
    {
        (uint256 images, uint256 groups, uint256 k, uint256 positions) = (x[0], c.attributes[0], 1, 1);
        uint256 padded = times(x[0], x[1]);
        bool border;
        for (uint256 i = 1; i < weight.length; ++i) {
            k = times(k, weight[i]);
            if (i == 1) continue;
            positions = times(positions, y[i]);
            (uint256 begin, uint256 end) = (c.lists[2][i - 2], c.lists[3][i - 2]);
            padded = times(padded, plus(plus(x[i], begin), end));
            border = border || begin > 0 || end > 0;
        }
        product(w, times(images, groups), positions, weight[0] / groups, k);
        count(w, times(times(times(images, groups), positions), k));
        count(w, times(weight[0], k));
        elements(w, y, 1);
        if (border) count(w, padded);
    }

    /// @notice Pool to y.
    function pool(Work memory w, Node memory p, uint256[] memory y) internal pure {
        uint256 n = _count(y);
        count(w, times(n, sizes(p.lists[0])));
        if (p.kind == 2) w.divisions = plus(w.divisions, n);
    }

    /// @notice Reduce by its kind; ArgReduce is kind 0.
    function reduce(Work memory w, uint256 kind, uint256[] memory x, uint256[] memory y) internal pure {
        (uint256 n, uint256 m) = (_count(x), _count(y));
        uint256 passes = kind == 10 ? 3 : kind >= 6 && kind <= 8 ? 2 : 1;
        count(w, times(n, passes));
        count(w, kind == 0 ? m : times(m, 16));
        if (kind == 2 || kind == 7) w.divisions = plus(w.divisions, m);
        if (kind == 9) w.elementary = plus(w.elementary, m);
        if (kind == 10) w.elementary = plus(w.elementary, plus(n, m));
    }

    /// @notice Softmax, or its logarithm, along an axis.
    function softmax(Work memory w, bool log, uint256[] memory shape, uint256 axis) internal pure {
        uint256 n = _count(shape);
        uint256 rows = shape[axis] == 0 ? 0 : n / shape[axis];
        count(w, times(rows, 16));
        w.elementary = plus(w.elementary, n);
        count(w, times(n, log ? 4 : 3));
        if (log) w.elementary = plus(w.elementary, rows);
        else w.divisions = plus(w.divisions, n);
    }

    /// @notice Attributes of the ensemble, rows, trees, and entries of leaves.
    function trees(Work memory w, uint256[] memory a, uint256 rows, uint256 roots, uint256 entries) internal pure {
        uint256 added = times(roots, a[0]);
        if (added > entries) added = entries;
        w.treeSteps = plus(w.treeSteps, times(rows, plus(a[3], roots)));
        count(w, times(rows, plus(plus(a[4], a[0]), added)));
    }

    /// @notice TopK: of `k` from each row of x to results y.
    function topK(Work memory w, uint256[] memory x, uint256[] memory y, uint256 k) internal pure {
        uint256 levels = 1;
        for (; k > 0; k >>= 1) {
            ++levels;
        }
        elements(w, x, 8);
        elements(w, y, 2 * levels);
    }

    /// @notice Products of integers: `planes` of the weight times `batch` pairs of (m, k) and (k, n).
    function integers(Work memory w, uint256 planes, uint256 batch, uint256 m, uint256 n, uint256 k) internal pure {
        product(w, times(planes, batch), m, n, _ceil(k, 2));
    }

    /// @notice Convolutions of integers, beside what `integers` counts and the weight.
    function integerConv(
        Work memory w,
        Node memory c,
        uint256 planes,
        uint256[] memory x,
        uint256[] memory weight,
        uint256[] memory y
    ) internal pure {
        (uint256 batch, uint256 k, uint256 positions) = (times(x[0], c.attributes[0]), weight[1], 1);
        uint256 padded = times(x[0], x[1]);
        bool border;
        for (uint256 i = 2; i < weight.length; ++i) {
            k = times(k, weight[i]);
            positions = times(positions, y[i]);
            (uint256 begin, uint256 end) = (c.lists[2][i - 2], c.lists[3][i - 2]);
            padded = times(padded, plus(plus(x[i], begin), end));
            border = border || begin > 0 || end > 0;
        }
        integers(w, planes, batch, positions, weight[0] / c.attributes[0], k);
        elements(w, x, 1);
        count(w, times(times(batch, positions), k));
        elements(w, y, 2);
        if (border) count(w, padded);
    }

    function _ceil(uint256 n, uint256 unit) private pure returns (uint256) {
        return times((n + unit - 1) / unit, unit);
    }
}
