// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Tensor} from "../src/IInference.sol";
import {Inference} from "../src/Inference.sol";

/// @title Calls any model in a transaction and keeps a trace of the answer
/// @notice What a contract does with an answer is its own business; this one logs it and stores its hash.
contract ModelConsumer {
    /// @notice keccak256(abi.encode(answer)) of the last call: of y, of (classIndex, score), or of outputs.
    bytes32 public lastAnswer;

    /// @notice An answer of `infer`, 18 decimals each.
    event Inferred(bytes32 indexed modelId, int256[] y);
    /// @notice An answer of `classify`, one entry for each row.
    event Classified(bytes32 indexed modelId, uint256[] classIndex, int256[] score);
    /// @notice An answer of `run`.
    event Ran(bytes32 indexed modelId, Tensor[] outputs);

    /// @notice Runs a tabular model on rows of features, 18 decimals each.
    function infer(bytes32 modelId, int256[] calldata x) external returns (int256[] memory y) {
        y = Inference.infer(modelId, x);
        lastAnswer = keccak256(abi.encode(y));
        emit Inferred(modelId, y);
    }

    /// @notice Classifies rows of features, 18 decimals each.
    function classify(bytes32 modelId, int256[] calldata x)
        external
        returns (uint256[] memory classIndex, int256[] memory score)
    {
        (classIndex, score) = Inference.classify(modelId, x);
        lastAnswer = keccak256(abi.encode(classIndex, score));
        emit Classified(modelId, classIndex, score);
    }

    /// @notice Runs any model on tensors.
    function run(bytes32 modelId, Tensor[] calldata inputs) external returns (Tensor[] memory outputs) {
        outputs = Inference.run(modelId, inputs);
        lastAnswer = keccak256(abi.encode(outputs));
        emit Ran(modelId, outputs);
    }
}
