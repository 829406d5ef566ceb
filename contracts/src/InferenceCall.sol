// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "./IInference.sol";

/// @title Calls of IInference, and which failures a caller may go on after
/// @notice What `Inference`, `InferenceNative` and `InferenceSolidity` share.
library InferenceCall {
    /// @notice Where every Lockstep chain has the precompile.
    address internal constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;

    /// @notice There is no Lockstep here: nothing answers at the address, or not what was asked for.
    error MissingPrecompile(address precompile);

    /// @notice The answer to a call; reverts as the callee reverts, with its data unchanged.
    function required(address target, bytes memory call) internal view returns (bytes memory data) {
        bool ok;
        (ok, data) = target.staticcall(call);
        if (!ok) raise(data);
        _requireAnswer(target, data);
    }

    /// @notice The answer to a call, or the callee's error where that says that the call itself was at fault. Everything
    /// else is raised: out of gas and halts, which bring no data, TwinCannotRun, and whatever is no error of IInference.
    /// @dev So nobody who chooses the gas of a transaction can choose the caller's other branch.
    function tried(address target, bytes memory call) internal view returns (bool ok, bytes memory data) {
        (ok, data) = target.staticcall(call);
        if (ok) _requireAnswer(target, data);
        else if (!isRefusal(data)) raise(data);
    }

    /// @notice Whether an error says that the call itself was at fault: any error of IInference but TwinCannotRun.
    function isRefusal(bytes memory reason) internal pure returns (bool) {
        if (reason.length < 4) return false;
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes4 s = bytes4(reason);
        return s == IInference.UnknownModel.selector || s == IInference.ModelNotActive.selector
            || s == IInference.OutOfRange.selector || s == IInference.NotANumber.selector
            || s == IInference.NotRepresentable.selector || s == IInference.WrongLength.selector
            || s == IInference.WrongInputCount.selector || s == IInference.WrongType.selector
            || s == IInference.WrongShape.selector || s == IInference.DimensionConflict.selector
            || s == IInference.NotTabular.selector || s == IInference.NotAClassifier.selector
            || s == IInference.ShapeMismatch.selector || s == IInference.ComputationFailed.selector
            || s == IInference.LimitExceeded.selector || s == IInference.InvalidGraph.selector
            || s == IInference.NotCanonical.selector || s == IInference.UnknownSelector.selector
            || s == IInference.ValueNotAccepted.selector || s == IInference.DelegateCall.selector
            || s == IInference.InvalidWeights.selector;
    }

    /// @notice Reverts with data as it is.
    function raise(bytes memory data) internal pure {
        assembly ("memory-safe") {
            revert(add(data, 32), mload(data))
        }
    }

    /// @dev A call to an account without code succeeds and returns nothing.
    function _requireAnswer(address target, bytes memory data) private view {
        if (data.length == 0 && target.code.length == 0) revert MissingPrecompile(target);
    }
}
