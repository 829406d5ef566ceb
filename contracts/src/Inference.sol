// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, ModelInfo, Tensor} from "./IInference.sol";
import {InferenceCall} from "./InferenceCall.sol";
import {Row, Rows} from "./Rows.sol";
import {Tensors} from "./Tensors.sol";
import {Wad} from "./Wad.sol";

/// @title Inference: call a model as you call a function
/// @notice `int256[] memory y = Inference.infer(MODEL_ID, x);` in the same transaction, also from view functions.
///
/// All functions revert as the precompile reverts, with its data unchanged. `tryInfer` and `tryClassify` return a failure
/// in place of reverting, but only one that is the call's own fault (IInference's errors); never out of gas, never
/// `TwinCannotRun`, since neither says anything about the input.
/// It takes whichever answers at 0x…0A11: the precompile on a Lockstep node, the twin stored there where a tool runs the
/// chain's state in another EVM. `InferenceNative` insists on the precompile, `InferenceSolidity` on the twin.
/// @dev Numbers have 18 decimals; `Wad` converts, `Rows` builds rows, `Tensors` builds and reads the tensors of `run`.
library Inference {
    /// @notice Where every Lockstep chain has the precompile.
    address internal constant PRECOMPILE = InferenceCall.PRECOMPILE;

    /// @notice Runs a tabular model on one or more rows of numbers.
    /// @param x The features, 18 decimals each, row by row in the model's feature order.
    /// @return y The primary output, 18 decimals each, flat in row-major order.
    function infer(bytes32 modelId, int256[] memory x) internal view returns (int256[] memory y) {
        return abi.decode(_call(encodeInfer(modelId, x)), (int256[]));
    }

    /// @notice Runs a model on one row that gives one number.
    /// @return y The first value of the primary output, 18 decimals.
    function inferScalar(bytes32 modelId, int256[] memory x) internal view returns (int256 y) {
        return infer(modelId, x)[0];
    }

    /// @notice Runs a model on several rows in one call, which costs less than a call for each.
    /// @param rows Rows of one length.
    /// @return y The primary output of the rows, one after the other.
    function inferBatch(bytes32 modelId, int256[][] memory rows) internal view returns (int256[] memory y) {
        return infer(modelId, Rows.join(rows));
    }

    /// @notice Classifies several rows in one call. See inferBatch.
    function classifyBatch(bytes32 modelId, int256[][] memory rows)
        internal
        view
        returns (uint256[] memory classIndex, int256[] memory score)
    {
        return classify(modelId, Rows.join(rows));
    }

    /// @notice Classifies one or more rows.
    /// @param x The features, 18 decimals each, row by row.
    /// @return classIndex For each row the index into the model's labels.
    /// @return score For each row the primary output's value for that class, 18 decimals.
    function classify(bytes32 modelId, int256[] memory x)
        internal
        view
        returns (uint256[] memory classIndex, int256[] memory score)
    {
        return abi.decode(_call(encodeClassify(modelId, x)), (uint256[], int256[]));
    }

    /// @notice Runs any model on tensors.
    /// @param inputs The inputs in the model's order.
    /// @return outputs All outputs in the model's order.
    function run(bytes32 modelId, Tensor[] memory inputs) internal view returns (Tensor[] memory outputs) {
        return abi.decode(_call(encodeRun(modelId, inputs)), (Tensor[]));
    }

    /// @notice What the model is: its hashes, shapes, feature names and labels.
    function describe(bytes32 modelId) internal view returns (ModelInfo memory) {
        return abi.decode(_call(abi.encodeCall(IInference.describe, (modelId))), (ModelInfo));
    }

    /// @notice The gas that the precompile will charge for an encoded call (see encodeInfer and its siblings).
    /// @dev The caller's own costs are not in it: memory, the CALL itself, and the 1/64 of gas that a caller keeps back.
    function quote(bytes memory call) internal view returns (uint256 gas) {
        return abi.decode(_call(abi.encodeCall(IInference.quote, (call))), (uint256));
    }

    /// @notice What `infer` will be charged for these rows.
    function quoteInfer(bytes32 modelId, int256[] memory x) internal view returns (uint256 gas) {
        return quote(encodeInfer(modelId, x));
    }

    /// @notice What `classify` will be charged for these rows.
    function quoteClassify(bytes32 modelId, int256[] memory x) internal view returns (uint256 gas) {
        return quote(encodeClassify(modelId, x));
    }

    /// @notice What `run` will be charged for these tensors.
    function quoteRun(bytes32 modelId, Tensor[] memory inputs) internal view returns (uint256 gas) {
        return quote(encodeRun(modelId, inputs));
    }

    /// @notice `infer` for callers that go on without an answer.
    /// @return ok False: the precompile refused the call, and `reason` holds its error.
    /// @return y The answer; empty on failure.
    /// @return reason The error with its arguments; empty on success.
    function tryInfer(bytes32 modelId, int256[] memory x)
        internal
        view
        returns (bool ok, int256[] memory y, bytes memory reason)
    {
        bytes memory data;
        (ok, data) = _tryCall(encodeInfer(modelId, x));
        if (!ok) return (false, y, data);
        y = abi.decode(data, (int256[]));
    }

    /// @notice `classify` for callers that go on without an answer. See tryInfer.
    function tryClassify(bytes32 modelId, int256[] memory x)
        internal
        view
        returns (bool ok, uint256[] memory classIndex, int256[] memory score, bytes memory reason)
    {
        bytes memory data;
        (ok, data) = _tryCall(encodeClassify(modelId, x));
        if (!ok) return (false, classIndex, score, data);
        (classIndex, score) = abi.decode(data, (uint256[], int256[]));
    }

    /// @notice The call that `infer` makes, for `quote`.
    function encodeInfer(bytes32 modelId, int256[] memory x) internal pure returns (bytes memory) {
        return abi.encodeCall(IInference.infer, (modelId, x));
    }

    /// @notice The call that `classify` makes, for `quote`.
    function encodeClassify(bytes32 modelId, int256[] memory x) internal pure returns (bytes memory) {
        return abi.encodeCall(IInference.classify, (modelId, x));
    }

    /// @notice The call that `run` makes, for `quote`.
    function encodeRun(bytes32 modelId, Tensor[] memory inputs) internal pure returns (bytes memory) {
        return abi.encodeCall(IInference.run, (modelId, inputs));
    }

    /// @notice Whether an error says that the call itself was at fault: any error of IInference but TwinCannotRun.
    function isRefusal(bytes memory reason) internal pure returns (bool) {
        return InferenceCall.isRefusal(reason);
    }

    function _call(bytes memory call) private view returns (bytes memory) {
        return InferenceCall.required(PRECOMPILE, call);
    }

    function _tryCall(bytes memory call) private view returns (bool ok, bytes memory data) {
        return InferenceCall.tried(PRECOMPILE, call);
    }
}
