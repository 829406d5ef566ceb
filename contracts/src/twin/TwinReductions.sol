// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Elementary32} from "./Elementary32.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinValues, Value} from "./TwinValues.sol";

/// @title Module: Reduce, ArgReduce and Softmax (spec NUM-10, NUM-11, OP-5 to OP-7)
library TwinReductions {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    uint256 private constant SUM = 1;
    uint256 private constant MEAN = 2;
    uint256 private constant MAX = 3;
    uint256 private constant MIN = 4;
    uint256 private constant PROD = 5;
    uint256 private constant L1 = 6;
    uint256 private constant L2 = 7;
    uint256 private constant SUM_SQUARE = 8;
    uint256 private constant LOG_SUM = 9;
    uint256 private constant LOG_SUM_EXP = 10;

    /// @notice The mean of no integer.
    error MeanOfNothing();

    /// @notice Whether a reduction takes this type.
    function accepts(uint256 kind, uint256 dtype) internal pure returns (bool) {
        if (kind == MAX || kind == MIN) return true;
        if (kind == L2 || kind >= LOG_SUM) return dtype == TwinValues.F32;
        return dtype == TwinValues.F32 || dtype == TwinValues.I32 || dtype == TwinValues.I64;
    }

    /// @notice Reduction over ascending `axes`, which x has.
    function reduce(uint256 kind, uint256[] memory axes, bool keep, Value memory x)
        public
        pure
        returns (Value memory y)
    {
        y = TwinValues.empty(x.dtype, reducedShape(axes, keep, x.shape));
        if (y.data.length == 0) return y;
        uint256[] memory starts = _offsets(axes, false, x.shape);
        uint256[] memory inside = _offsets(axes, true, x.shape);
        uint256[] memory row = new uint256[](inside.length);
        for (uint256 j; j < starts.length; ++j) {
            for (uint256 i; i < row.length; ++i) {
                row[i] = x.data[starts[j] + inside[i]];
            }
            y.data[j] = x.dtype == TwinValues.F32 ? _f32(kind, row) : _int(kind, x.dtype, row);
        }
    }

    /// @notice The shape that remains.
    function reducedShape(uint256[] memory axes, bool keep, uint256[] memory from)
        internal
        pure
        returns (uint256[] memory to)
    {
        to = new uint256[](keep ? from.length : from.length - axes.length);
        uint256 next;
        uint256 place;
        for (uint256 i; i < from.length; ++i) {
            bool reduced = next < axes.length && axes[next] == i;
            if (reduced) ++next;
            if (!reduced) to[place++] = from[i];
            else if (keep) to[place++] = 1;
        }
    }

    /// @dev Offsets over the reduced axes, or over the others.
    function _offsets(uint256[] memory axes, bool reduced, uint256[] memory shape)
        private
        pure
        returns (uint256[] memory)
    {
        uint256[] memory part = new uint256[](shape.length);
        uint256 next;
        for (uint256 i; i < shape.length; ++i) {
            bool hit = next < axes.length && axes[next] == i;
            if (hit) ++next;
            part[i] = hit == reduced ? shape[i] : 1;
        }
        // An axis of length 1 is never stepped along, so that its stride does not matter.
        return TwinValues.offsets(part, TwinValues.strides(shape));
    }

    /// @notice S2: element i goes to lane i mod 16, lanes join 8-4-2-1.
    function sum(uint256[] memory x) internal pure returns (uint256) {
        return _lanes(x, 0, SoftFloat32.add);
    }

    function _lanes(uint256[] memory x, uint256 identity, function(uint256, uint256) pure returns (uint256) f)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256[16] memory lanes;
            for (uint256 i; i < 16; ++i) {
                lanes[i] = identity;
            }
            for (uint256 i; i < x.length; ++i) {
                lanes[i & 15] = f(lanes[i & 15], x[i]);
            }
            for (uint256 half = 8; half > 0; half >>= 1) {
                for (uint256 i; i < half; ++i) {
                    lanes[i] = f(lanes[i], lanes[i + half]);
                }
            }
            return lanes[0];
        }
    }

    function _f32(uint256 kind, uint256[] memory x) private pure returns (uint256) {
        if (kind == SUM) return sum(x);
        if (kind == MEAN) return sum(x).div(SoftFloat32.fromInt(int256(x.length)));
        if (kind == MAX) return _greatest(x);
        if (kind == MIN) return _least(x);
        if (kind == PROD) return _lanes(x, SoftFloat32.ONE, SoftFloat32.mul);
        if (kind == LOG_SUM) return Elementary32.log(sum(x));
        if (kind == LOG_SUM_EXP) {
            uint256 m = _greatest(x);
            if (m & 0x7fffffff == SoftFloat32.INF) m = 0;
            for (uint256 i; i < x.length; ++i) {
                x[i] = Elementary32.exp(x[i].sub(m));
            }
            return Elementary32.log(sum(x)).add(m);
        }
        for (uint256 i; i < x.length; ++i) {
            x[i] = kind == L1 ? x[i] & 0x7fffffff : x[i].mul(x[i]);
        }
        return kind == L2 ? sum(x).sqrt() : sum(x);
    }

    /// @dev The first element that none exceeds; NaN is greatest; of none -infinity.
    function _greatest(uint256[] memory x) private pure returns (uint256 m) {
        m = SoftFloat32.NEG_INF;
        for (uint256 i; i < x.length; ++i) {
            if (x[i].totalKey() > m.totalKey()) m = x[i];
        }
    }

    /// @dev The first element below which none is, or NaN; of none +infinity.
    function _least(uint256[] memory x) private pure returns (uint256 m) {
        m = SoftFloat32.INF;
        for (uint256 i; i < x.length; ++i) {
            if (x[i].isNaN()) return x[i];
            if (x[i].key() < m.key()) m = x[i];
        }
    }

    function _int(uint256 kind, uint256 dtype, uint256[] memory x) private pure returns (uint256) {
        unchecked {
            if (kind == MAX || kind == MIN) {
                (int256 low, int256 high) = dtype == TwinValues.BOOL ? (int256(0), int256(1)) : TwinValues.range(dtype);
                int256 m = kind == MAX ? low : high;
                for (uint256 i; i < x.length; ++i) {
                    if (kind == MAX ? int256(x[i]) > m : int256(x[i]) < m) m = int256(x[i]);
                }
                return uint256(m);
            }
            if (kind == MEAN && x.length == 0) revert MeanOfNothing();
            // Everything wraps, so that it may wrap once at the end.
            uint256 acc = kind == PROD ? 1 : 0;
            for (uint256 i; i < x.length; ++i) {
                uint256 v = x[i];
                if (kind == PROD) acc *= v;
                else if (kind == SUM_SQUARE) acc += v * v;
                else acc += kind == L1 && int256(v) < 0 ? 0 - v : v;
            }
            acc = TwinValues.wrap(dtype, acc);
            return kind == MEAN ? uint256(int256(acc) / int256(x.length)) : acc;
        }
    }

    /// @notice Positions of the greatest or least elements along an axis that x has and that is not empty.
    function argReduce(bool greatest, uint256 axis, bool keep, bool last, Value memory x)
        public
        pure
        returns (Value memory y)
    {
        uint256[] memory shape = new uint256[](keep ? x.shape.length : x.shape.length - 1);
        uint256 inner = 1;
        for (uint256 i; i < x.shape.length; ++i) {
            if (i < axis) shape[i] = x.shape[i];
            else if (i > axis) shape[keep ? i : i - 1] = x.shape[i];
            else if (keep) shape[i] = 1;
            if (i > axis) inner *= x.shape[i];
        }
        y = TwinValues.empty(TwinValues.I64, shape);
        uint256 n = x.shape[axis];
        for (uint256 j; j < y.data.length; ++j) {
            uint256 start = j / inner * n * inner + j % inner;
            int256 best = _order(x.dtype, x.data[start]);
            for (uint256 k = 1; k < n; ++k) {
                int256 v = _order(x.dtype, x.data[start + k * inner]);
                if ((greatest ? v > best : v < best) || (last && v == best)) {
                    (best, y.data[j]) = (v, k);
                }
            }
        }
    }

    function _order(uint256 dtype, uint256 v) private pure returns (int256) {
        return dtype == TwinValues.F32 ? v.totalKey() : int256(v);
    }

    /// @notice Softmax or its logarithm along an axis that x has.
    function softmax(uint256 axis, bool log, Value memory x) public pure returns (Value memory y) {
        y = TwinValues.empty(x.dtype, x.shape);
        if (x.data.length == 0) return y;
        uint256 n = x.shape[axis];
        uint256 inner = 1;
        for (uint256 i = axis + 1; i < x.shape.length; ++i) {
            inner *= x.shape[i];
        }
        uint256[] memory row = new uint256[](n);
        for (uint256 j; j < x.data.length / n; ++j) {
            uint256 start = j / inner * n * inner + j % inner;
            for (uint256 k; k < n; ++k) {
                row[k] = x.data[start + k * inner];
            }
            _softmaxRow(row, log);
            for (uint256 k; k < n; ++k) {
                y.data[start + k * inner] = row[k];
            }
        }
    }

    function _softmaxRow(uint256[] memory row, bool log) private pure {
        uint256 m = SoftFloat32.NEG_INF;
        for (uint256 k; k < row.length; ++k) {
            m = m.max(row[k]);
        }
        uint256[] memory powers = new uint256[](row.length);
        for (uint256 k; k < row.length; ++k) {
            if (m == SoftFloat32.NEG_INF) {
                row[k] = log ? m : 0;
                continue;
            }
            row[k] = row[k].sub(m);
            powers[k] = Elementary32.exp(row[k]);
        }
        if (m == SoftFloat32.NEG_INF) return;
        uint256 total = sum(powers);
        if (log) total = Elementary32.log(total);
        for (uint256 k; k < row.length; ++k) {
            row[k] = log ? row[k].sub(total) : powers[k].div(total);
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
