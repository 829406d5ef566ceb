// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, Tensor} from "./IInference.sol";
import {InferenceCall} from "./InferenceCall.sol";

/// @title Inference by the Solidity twin, always
/// @notice For chains without the precompile, where somebody has deployed the twin and a registry, and for checking a node's
/// answers on chain. The same bits and the same errors as the precompile; far more gas, and TwinCannotRun where the model
/// needs an operator that the twin has not.
/// @dev All functions take the twin's address. One that is not the twin answers what it likes: treat it as an address of a
/// contract that you depend on.
library InferenceSolidity {
    /// @notice Runs a tabular model on one or more rows of numbers. See Inference.infer.
    function infer(address twin, bytes32 modelId, int256[] memory x) internal view returns (int256[] memory y) {
        bytes memory call = abi.encodeCall(IInference.infer, (modelId, x));
        return abi.decode(InferenceCall.required(twin, call), (int256[]));
    }

    /// @notice Classifies one or more rows. See Inference.classify.
    function classify(address twin, bytes32 modelId, int256[] memory x)
        internal
        view
        returns (uint256[] memory classIndex, int256[] memory score)
    {
        bytes memory call = abi.encodeCall(IInference.classify, (modelId, x));
        return abi.decode(InferenceCall.required(twin, call), (uint256[], int256[]));
    }

    /// @notice Runs any model on tensors. See Inference.run.
    function run(address twin, bytes32 modelId, Tensor[] memory inputs)
        internal
        view
        returns (Tensor[] memory outputs)
    {
        bytes memory call = abi.encodeCall(IInference.run, (modelId, inputs));
        return abi.decode(InferenceCall.required(twin, call), (Tensor[]));
    }

    /// @notice What a Lockstep node would charge for an encoded call; the twin itself uses far more.
    function quote(address twin, bytes memory call) internal view returns (uint256 gas) {
        return abi.decode(InferenceCall.required(twin, abi.encodeCall(IInference.quote, (call))), (uint256));
    }

    /// @notice `infer` for callers that go on without an answer. See Inference.tryInfer.
    function tryInfer(address twin, bytes32 modelId, int256[] memory x)
        internal
        view
        returns (bool ok, int256[] memory y, bytes memory reason)
    {
        bytes memory data;
        (ok, data) = InferenceCall.tried(twin, abi.encodeCall(IInference.infer, (modelId, x)));
        if (!ok) return (false, y, data);
        y = abi.decode(data, (int256[]));
    }

    /// @notice `classify` for callers that go on without an answer. See Inference.tryInfer.
    function tryClassify(address twin, bytes32 modelId, int256[] memory x)
        internal
        view
        returns (bool ok, uint256[] memory classIndex, int256[] memory score, bytes memory reason)
    {
        bytes memory data;
        (ok, data) = InferenceCall.tried(twin, abi.encodeCall(IInference.classify, (modelId, x)));
        if (!ok) return (false, classIndex, score, data);
        (classIndex, score) = abi.decode(data, (uint256[], int256[]));
    }
}
