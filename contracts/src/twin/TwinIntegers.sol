// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinNames} from "./TwinNames.sol";
import {Node, Parts} from "./TwinProgram.sol";
import {InvalidWeights, TwinValues} from "./TwinValues.sol";
import {TwinWindows} from "./TwinWindows.sol";

/// @title Module: products of 8-bit integers, and of rows with quantised weights (spec NUM-14, NUM-15)
/// @notice Shapes were planned: they go together, and results have elements.
library TwinIntegers {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    uint256 private constant MOST = 32_767;

    /// @dev Weights as integers with their scales: a block has `block_` of the `k` weights of a channel.
    struct Weights {
        uint256[] w;
        uint256[] scales;
        uint256[] bias;
        uint256 k;
        uint256 block_;
        uint256 blocks;
    }

    /// @dev A convolution's images unfolded: for each group the windows as rows.
    struct Windows {
        uint256[] place;
        uint256 groups;
        uint256 filters;
        uint256 channels;
        uint256 size;
        uint256 positions;
        uint256 images;
    }

    /// @notice The elements of the result of this shape.
    function run(Node memory node, Parts memory p, uint256[] memory shape) public pure returns (bytes memory) {
        uint256[] memory y = new uint256[](TwinValues.count(shape));
        if (node.opcode == TwinNames.INTEGER_MATMUL) _integerMatMul(p, shape, y);
        else if (node.opcode == TwinNames.INTEGER_CONV) _integerConv(node, p, shape, y);
        else if (node.opcode == TwinNames.QUANTIZED_MATMUL) _quantizedMatMul(node, p, y);
        else _quantizedConv(node, p, shape, y);
        return TwinValues.asBytes(y);
    }

    /// @dev Takes zero points away in place: one for all, or for (i / each) modulo their number.
    function _shift(uint256[] memory x, bytes memory zeros, uint256 each) private pure {
        unchecked {
            uint256[] memory z = TwinValues.asWords(zeros);
            if (z.length == 0) return;
            for (uint256 i; i < x.length; ++i) {
                x[i] -= z[i / each % z.length];
            }
        }
    }

    /// @dev The exact sum of `n` products of words from `a` on and every `step` bytes from `w` on.
    function _dot(uint256 a, uint256 w, uint256 step, uint256 n) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            for { let end := add(a, shl(5, n)) } lt(a, end) { a := add(a, 32) } {
                sum := add(sum, mul(mload(a), mload(w)))
                w := add(w, step)
            }
        }
    }

    function _address(uint256[] memory x, uint256 index) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := add(add(x, 32), shl(5, index))
        }
    }

    function _integerMatMul(Parts memory p, uint256[] memory shape, uint256[] memory y) private pure {
        (uint256[] memory sa, uint256[] memory sb) = (p.shapes[0], p.shapes[1]);
        uint256 k = sa[sa.length - 1];
        if (k == 0) return;
        (uint256 m, uint256 n) = (sa.length == 1 ? 1 : sa[sa.length - 2], sb.length == 1 ? 1 : sb[sb.length - 1]);
        (uint256[] memory a, uint256[] memory b) = (TwinValues.asWords(p.data[0]), TwinValues.asWords(p.data[1]));
        if (p.dtypes.length > 2) _shift(a, p.data[2], k);
        if (p.dtypes.length > 3) _shift(b, p.data[3], 1);
        uint256[] memory lead = _head(shape, shape.length - (sa.length == 1 ? 0 : 1) - (sb.length == 1 ? 0 : 1));
        uint256[] memory aAt = _starts(sa, lead);
        uint256[] memory bAt = _starts(sb, lead);
        for (uint256 i; i < aAt.length; ++i) {
            _matrix([_address(a, aAt[i] * m * k), _address(b, bAt[i] * k * n), m, k, n], y, i * m * n);
        }
    }

    /// @dev The product of one pair of matrices, to y from `to` on. `o`: where they lie, rows, depth, columns.
    function _matrix(uint256[5] memory o, uint256[] memory y, uint256 to) private pure {
        for (uint256 row; row < o[2]; ++row) {
            for (uint256 column; column < o[4]; ++column) {
                y[to++] = _dot(o[0] + 32 * row * o[3], o[1] + 32 * column, 32 * o[4], o[3]);
            }
        }
    }

    /// @dev Which of an operand's matrices each of the result's takes.
    function _starts(uint256[] memory own, uint256[] memory lead) private pure returns (uint256[] memory) {
        uint256[] memory outer = _head(own, own.length < 2 ? 0 : own.length - 2);
        return TwinValues.offsets(lead, TwinValues.broadcastStrides(outer, lead));
    }

    function _head(uint256[] memory shape, uint256 n) private pure returns (uint256[] memory head) {
        head = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            head[i] = shape[i];
        }
    }

    function _windows(Node memory node, Parts memory p, uint256[] memory shape)
        private
        pure
        returns (Windows memory u)
    {
        TwinWindows.Axes memory a = TwinWindows.axes(p.shapes[0], shape, p.shapes[1], 2, node.lists, 0);
        (u.place,) = TwinWindows.places(a);
        (u.groups, u.images) = (node.attributes[0], shape[0]);
        (u.filters, u.channels) = (shape[1] / u.groups, p.shapes[1][1]);
        u.size = a.input[0] * a.input[1] * a.input[2];
        u.positions = a.output[0] * a.output[1] * a.output[2];
    }

    /// @dev The windows of image and group `i` as rows of `x`'s values.
    function _unfold(Windows memory u, uint256[] memory x, uint256 i) private pure returns (uint256[] memory) {
        return TwinWindows.unfold(x, i * u.channels * u.size, u.channels, u.size, u.place, u.place.length / u.positions);
    }

    function _integerConv(Node memory node, Parts memory p, uint256[] memory shape, uint256[] memory y) private pure {
        Windows memory u = _windows(node, p, shape);
        (uint256[] memory x, uint256[] memory w) = (TwinValues.asWords(p.data[0]), TwinValues.asWords(p.data[1]));
        uint256 k = w.length / shape[1];
        // Zero points go before the border comes, which adds nothing.
        if (p.dtypes.length > 2) _shift(x, p.data[2], 1);
        if (p.dtypes.length > 3 && k > 0) _shift(w, p.data[3], k);
        uint256 to;
        for (uint256 i; i < u.images * u.groups; ++i) {
            uint256 mark = _mark();
            uint256[] memory rows = _unfold(u, x, i);
            for (uint256 f; f < u.filters; ++f) {
                uint256 from = _address(w, (i % u.groups * u.filters + f) * k);
                for (uint256 position; position < u.positions; ++position) {
                    y[to++] = _dot(from, _address(rows, position * k), 32, k);
                }
            }
            _free(mark);
        }
    }

    function _mark() private pure returns (uint256 mark) {
        assembly ("memory-safe") {
            mark := mload(0x40)
        }
    }

    /// @dev The unfolded matrix of one image and group is not needed by the next.
    function _free(uint256 mark) private pure {
        assembly ("memory-safe") {
            mstore(0x40, mark)
        }
    }

    /// @dev Weights, scales and bias as words; constants are what an import may make.
    function _weights(Node memory node, Parts memory p) private pure returns (Weights memory v) {
        uint256 n = p.shapes[1][0];
        v.w = TwinValues.asWords(p.data[1]);
        v.k = v.w.length / n;
        v.block_ = node.attributes[1] == 0 ? v.k : node.attributes[1];
        v.blocks = v.k == 0 ? 0 : (v.k + v.block_ - 1) / v.block_;
        uint256[] memory low;
        if (node.kind == 1) low = TwinValues.asWords(p.data[3]);
        bool constant_ = p.constants[1] && (node.kind == 0 || p.constants[3]);
        for (uint256 i; i < v.w.length; ++i) {
            int256 w = int256(v.w[i]);
            bool least = w == -128 && (node.kind == 0 || low[i] == 0);
            if (constant_ && least) revert InvalidWeights("a weight is below what its class has");
            if (node.kind == 1) v.w[i] = uint256(w * 256 + int256(low[i]));
        }
        uint256[] memory s = TwinValues.asWords(p.data[2]);
        if (node.attributes[1] != 0) {
            // bf16 in two bytes.
            for (uint256 i; i < s.length / 2; ++i) {
                s[i] = (s[2 * i] | s[2 * i + 1] << 8) << 16;
            }
        }
        v.scales = s;
        uint256 count = node.attributes[1] != 0 ? s.length / 2 : s.length;
        for (uint256 i; i < count; ++i) {
            if (p.constants[2] && s[i] >= SoftFloat32.INF) {
                revert InvalidWeights("a scale is neither +0 nor positive and finite");
            }
        }
        if (p.dtypes.length < 5 || p.dtypes[4] == 0) return v;
        v.bias = TwinValues.asWords(p.data[4]);
        for (uint256 i; i < n; ++i) {
            if (p.constants[4] && v.bias[i] & 0x7fffffff >= SoftFloat32.INF) {
                revert InvalidWeights("an operand of a contraction is constant and not finite");
            }
        }
    }

    /// @dev The values of a row as integers, in place of `x` from `start` on: q = clamp(RNE(x * 2^(15 - e))) with e the
    /// least integer, at least -111, with all magnitudes below 2^e. `down` is 2^(e - 15); 0 where a value is infinite or NaN.
    function _quantize(uint256[] memory x, uint256 start, uint256 length) private pure returns (uint256 down) {
        unchecked {
            uint256 most;
            for (uint256 i = start; i < start + length; ++i) {
                uint256 m = x[i] & 0x7fffffff;
                if (m > most) most = m;
            }
            most >>= 23;
            if (most == 255) return 0;
            // e + 111.
            uint256 e = most < 15 ? 0 : most - 15;
            down = (e + 1) << 23;
            for (uint256 i = start; i < start + length; ++i) {
                uint256 field = (x[i] >> 23) & 0xff;
                uint256 m = x[i] & 0x7fffff;
                if (field == 0) field = 1;
                else m |= 0x800000;
                // m * 2^(field - 150) * 2^(15 - e), e = (e + 111) - 111: a shift to the right by at least 9.
                uint256 right = 24 + e - field;
                uint256 q = right > 25 ? 0 : (m + (1 << (right - 1)) - 1 + (m >> right & 1)) >> right;
                if (q > MOST) q = MOST;
                x[i] = x[i] >> 31 == 1 ? 0 - q : q;
            }
        }
    }

    /// @dev One output: a row's integers from `q` on with channel `c`.
    function _total(Weights memory v, uint256 q, uint256 c, uint256 down) private pure returns (uint256 total) {
        unchecked {
            uint256 w = _address(v.w, c * v.k);
            for (uint256 b; b < v.blocks; ++b) {
                uint256 start = b * v.block_;
                uint256 n = v.k - start < v.block_ ? v.k - start : v.block_;
                int256 sum = int256(_dot(q + 32 * start, w + 32 * start, 32, n));
                total = SoftFloat32.fma(SoftFloat32.fromInt(sum), v.scales[c * v.blocks + b], total);
            }
            total = total.mul(down);
            if (v.bias.length > 0) total = total.add(v.bias[c]);
        }
    }

    function _quantizedMatMul(Node memory node, Parts memory p, uint256[] memory y) private pure {
        Weights memory v = _weights(node, p);
        uint256 n = p.shapes[1][0];
        uint256[] memory x = TwinValues.asWords(p.data[0]);
        for (uint256 row; row < y.length / n; ++row) {
            uint256 down = _quantize(x, row * v.k, v.k);
            uint256 q = _address(x, row * v.k);
            for (uint256 c; c < n; ++c) {
                y[row * n + c] = down == 0 ? SoftFloat32.NAN : _total(v, q, c, down);
            }
        }
    }

    function _quantizedConv(Node memory node, Parts memory p, uint256[] memory shape, uint256[] memory y) private pure {
        Weights memory v = _weights(node, p);
        Windows memory u = _windows(node, p, shape);
        uint256[] memory x = TwinValues.asWords(p.data[0]);
        uint256 sample = x.length / u.images;
        uint256 down;
        for (uint256 i; i < u.images * u.groups; ++i) {
            // A row is a sample with all its channels.
            if (i % u.groups == 0) down = _quantize(x, i / u.groups * sample, sample);
            uint256 mark = _mark();
            _totals(v, u, _unfold(u, x, i), i, down, y);
            _free(mark);
        }
    }

    /// @dev All outputs of image and group `i`, whose windows are `rows`.
    function _totals(
        Weights memory v,
        Windows memory u,
        uint256[] memory rows,
        uint256 i,
        uint256 down,
        uint256[] memory y
    ) private pure {
        for (uint256 f; f < u.filters; ++f) {
            for (uint256 position; position < u.positions; ++position) {
                uint256 c = i % u.groups * u.filters + f;
                uint256 bits = down == 0 ? SoftFloat32.NAN : _total(v, _address(rows, position * v.k), c, down);
                y[(i * u.filters + f) * u.positions + position] = bits;
            }
        }
    }

    // forge-lint: disable-end(unsafe-typecast)
}
