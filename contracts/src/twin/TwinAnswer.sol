// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, Tensor} from "../IInference.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinCall} from "./TwinCall.sol";
import {NO_OUTPUT, Program} from "./TwinProgram.sol";
import {TwinValues, Value} from "./TwinValues.sol";
import {TwinWad} from "./TwinWad.sol";
import {TwinWork} from "./TwinWork.sol";

/// @title From a model's outputs to results (spec ABI-5 to ABI-8)
library TwinAnswer {
    using SoftFloat32 for uint256;

    // Words change between signed and unsigned at will here.
    // forge-lint: disable-start(unsafe-typecast)

    /// @notice The result of `infer`: the primary output with 18 decimals.
    function infer(Program memory p, Value[] memory outputs) internal pure returns (bytes memory) {
        Value memory v = outputs[p.primary];
        int256[] memory y = new int256[](v.data.length);
        for (uint256 i; i < y.length; ++i) {
            if (v.dtype == TwinValues.F32 && v.data[i].isNaN()) revert IInference.NotANumber(1, p.primary, i);
            y[i] = _wad(p, v, i);
        }
        return abi.encode(y);
    }

    /// @notice The result of `run`: all outputs; refuses the first NaN.
    function run(Value[] memory outputs) internal pure returns (bytes memory) {
        Tensor[] memory tensors = new Tensor[](outputs.length);
        for (uint256 i; i < outputs.length; ++i) {
            _noNaN(outputs[i], i);
            tensors[i] = TwinCall.tensor(outputs[i]);
        }
        return abi.encode(tensors);
    }

    /// @notice Checks that the outputs of this call name a class for each row; gives how many columns a row has.
    function columns(Program memory p, bytes32 modelId) internal pure returns (uint256 n) {
        uint256[] memory shape = p.values[p.outputs[p.primary]].shape;
        if (shape.length == 0 || shape[0] != p.rows) revert IInference.NotAClassifier(modelId);
        n = TwinWork.exact(shape);
        n = n >> 62 != 0 ? 0 : n / p.rows;
        if (n == 0) revert IInference.NotAClassifier(modelId);
        if (p.label == NO_OUTPUT) return n;
        if (TwinWork.exact(p.values[p.outputs[p.label]].shape) != p.rows) revert IInference.NotAClassifier(modelId);
    }

    /// @notice The result of `classify`.
    function classify(Program memory p, Value[] memory outputs, bytes32 modelId) internal pure returns (bytes memory) {
        Value memory v = outputs[p.primary];
        _noNaN(v, p.primary);
        uint256 n = v.data.length / p.rows;
        uint256[] memory classIndex = new uint256[](p.rows);
        int256[] memory score = new int256[](p.rows);
        for (uint256 row; row < p.rows; ++row) {
            uint256 class = p.label == NO_OUTPUT
                ? _greatest(v, row * n, n)
                : _classOf(p, int256(outputs[p.label].data[row]), modelId);
            if (n > 1 && class >= n) revert IInference.NotAClassifier(modelId);
            classIndex[row] = class;
            score[row] = _wad(p, v, row * n + (n == 1 ? 0 : class));
        }
        return abi.encode(classIndex, score);
    }

    function _classOf(Program memory p, int256 label, bytes32 modelId) private pure returns (uint256) {
        if (p.labelKind == 1) {
            for (uint256 i; i < p.labelCount; ++i) {
                if (p.labels[i] == label) return i;
            }
            revert IInference.NotAClassifier(modelId);
        }
        bool known = label >= 0 && (p.labelKind == 0 || uint256(label) < p.labelCount);
        if (!known) revert IInference.NotAClassifier(modelId);
        return uint256(label);
    }

    /// @dev Ties to the lowest index; there is no NaN.
    function _greatest(Value memory v, uint256 start, uint256 n) private pure returns (uint256 best) {
        bool f32 = v.dtype == TwinValues.F32;
        for (uint256 i = 1; i < n; ++i) {
            (uint256 a, uint256 b) = (v.data[start + i], v.data[start + best]);
            if (f32 ? a.key() > b.key() : int256(a) > int256(b)) best = i;
        }
    }

    function _noNaN(Value memory v, uint256 index) private pure {
        if (v.dtype != TwinValues.F32) return;
        for (uint256 i; i < v.data.length; ++i) {
            if (v.data[i].isNaN()) revert IInference.NotANumber(1, index, i);
        }
    }

    /// @dev A value of the primary output that is no NaN.
    function _wad(Program memory p, Value memory v, uint256 position) private pure returns (int256) {
        uint256 word = v.data[position];
        if (v.dtype != TwinValues.F32) return int256(word) * 1e18;
        if (word & 0x7fffffff == SoftFloat32.INF) revert IInference.NotRepresentable(1, p.primary, position);
        return TwinWad.fromF32(word);
    }

    // forge-lint: disable-end(unsafe-typecast)
}
