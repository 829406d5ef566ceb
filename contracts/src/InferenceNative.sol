// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, Tensor} from "./IInference.sol";
import {Inference} from "./Inference.sol";
import {InferenceCall} from "./InferenceCall.sol";

/// @title Inference by the precompile, or not at all
/// @notice Like `Inference`, but reverts MissingPrecompile where the code stored at the address, the twin, would answer in the
/// precompile's place: on a fork of the chain's state in a tool that does not know the precompile. Use it where the price
/// of a call matters as much as its answer. Each call asks first, which costs about 900 gas.
library InferenceNative {
    /// @notice Whether the precompile is here, and not only the code stored at its address.
    /// @dev The precompile finds that an empty graph is none; the twin does not check graphs, and no code gives no answer.
    function isPresent() internal view returns (bool) {
        (bool ok, bytes memory data) = InferenceCall.PRECOMPILE.staticcall(abi.encodeCall(IInference.validate, ("")));
        // forge-lint: disable-next-line(unsafe-typecast)
        return !ok && data.length >= 4 && bytes4(data) == IInference.InvalidGraph.selector;
    }

    /// @notice Reverts unless the precompile is here.
    function requirePresent() internal view {
        if (!isPresent()) revert InferenceCall.MissingPrecompile(InferenceCall.PRECOMPILE);
    }

    /// @notice Runs a tabular model on one or more rows of numbers. See Inference.infer.
    function infer(bytes32 modelId, int256[] memory x) internal view returns (int256[] memory y) {
        requirePresent();
        return Inference.infer(modelId, x);
    }

    /// @notice Classifies one or more rows. See Inference.classify.
    function classify(bytes32 modelId, int256[] memory x)
        internal
        view
        returns (uint256[] memory classIndex, int256[] memory score)
    {
        requirePresent();
        return Inference.classify(modelId, x);
    }

    /// @notice Runs any model on tensors. See Inference.run.
    function run(bytes32 modelId, Tensor[] memory inputs) internal view returns (Tensor[] memory outputs) {
        requirePresent();
        return Inference.run(modelId, inputs);
    }

    /// @notice `infer` for callers that go on without an answer. See Inference.tryInfer.
    function tryInfer(bytes32 modelId, int256[] memory x)
        internal
        view
        returns (bool ok, int256[] memory y, bytes memory reason)
    {
        requirePresent();
        return Inference.tryInfer(modelId, x);
    }

    /// @notice `classify` for callers that go on without an answer. See Inference.tryInfer.
    function tryClassify(bytes32 modelId, int256[] memory x)
        internal
        view
        returns (bool ok, uint256[] memory classIndex, int256[] memory score, bytes memory reason)
    {
        requirePresent();
        return Inference.tryClassify(modelId, x);
    }
}
