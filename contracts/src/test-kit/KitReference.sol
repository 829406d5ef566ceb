// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, ModelInfo} from "../IInference.sol";
import {KitGas} from "./KitGas.sol";
import {Answer, KitStore} from "./KitStore.sol";
import {KIT_TWIN} from "./KitVm.sol";
import {ModelFixture} from "./ModelFixture.sol";

/// @title The back end `reference`: the Solidity twin answers, in forge's own EVM
/// @notice The node's bits without a program, a file or a server, and the node's gas by the twin's `quote`. For a model that
/// is no fixture three charges are not known and taken to be GAS_ESTIMATE: those of a call that fails by its shapes, and of
/// `quote` and `describe` themselves.
abstract contract KitReference is KitStore {
    /// @notice What a call is charged where the node's charge is not known here.
    uint256 internal constant GAS_ESTIMATE = 20_000;

    /// @dev By this call `InferenceNative` finds out whether the precompile is here.
    bytes32 private constant EMPTY_VALIDATION = keccak256(
        hex"c16e50ef00000000000000000000000000000000000000000000000000000000000000200000000000000000000000000000000000000000000000000000000000000000"
    );

    /// @dev A call with neither value nor a foreign account.
    function _reference(bytes calldata call) internal returns (Answer memory a) {
        ModelFixture memory m = _fixtureOf(call);
        if (m.description.length != 0 && call.length == 36 && bytes4(call[:4]) == IInference.describe.selector) {
            return _describe(m, call.length);
        }
        if (keccak256(call) == EMPTY_VALIDATION) return _noGraph(call.length);
        bool ok;
        (ok, a.data) = KIT_TWIN.staticcall(call);
        bytes4 selector = a.data.length < 4 ? bytes4(0) : bytes4(a.data);
        if (ok) {
            (a.status, a.gasUsed) = (SUCCESS, _charge(m, call));
        } else if (selector == IInference.TwinCannotRun.selector) {
            string memory reason = abi.decode(_tail(a.data), (string));
            _fail(string.concat("the reference back end cannot run this (", reason, "): set LOCKSTEP_BACKEND=native"));
        } else if (selector == 0) {
            _fail(
                "the twin did not finish with the gas that this call was given: give the call more, or set LOCKSTEP_BACKEND=native"
            );
        } else {
            (a.status, a.gasUsed) = (REVERT, _chargeOfError(m, call, selector));
        }
    }

    function _noGraph(uint256 callLength) private pure returns (Answer memory a) {
        (a.status, a.gasUsed) = (REVERT, KitGas.entry(callLength));
        a.data = abi.encodeWithSelector(
            IInference.InvalidGraph.selector, "not a canonical model file at byte 0: the section ends early"
        );
    }

    function _describe(ModelFixture memory m, uint256 callLength) private pure returns (Answer memory a) {
        ModelInfo memory info = abi.decode(m.description, (ModelInfo));
        (a.gasUsed, a.data) = (KitGas.description(m, callLength, info), m.description);
    }

    /// @dev The model that a call, or the call within a quote, is for.
    function _fixtureOf(bytes calldata call) private view returns (ModelFixture memory m) {
        bytes calldata asked = call;
        if (call.length >= 104 && bytes4(call[:4]) == IInference.quote.selector) asked = call[68:];
        if (asked.length >= 36) m = _fixtures[bytes32(asked[4:36])];
    }

    function _charge(ModelFixture memory m, bytes calldata call) private view returns (uint256) {
        if (bytes4(call[:4]) == IInference.quote.selector) {
            return m.shapeItems == 0 ? GAS_ESTIMATE : KitGas.throughShapes(m, call.length);
        }
        (bool ok, bytes memory quoted) = KIT_TWIN.staticcall(abi.encodeCall(IInference.quote, (call)));
        return ok ? abi.decode(quoted, (uint256)) : GAS_ESTIMATE;
    }

    function _chargeOfError(ModelFixture memory m, bytes calldata call, bytes4 error_) private view returns (uint256) {
        uint256 stage = KitGas.stageOf(error_, m.classifies);
        if (stage == 1) return KitGas.base();
        if (stage == 2) return KitGas.entry(call.length);
        if (stage == 3) return KitGas.throughRegistry(call.length);
        if (stage == 4) return m.shapeItems == 0 ? GAS_ESTIMATE : KitGas.throughShapes(m, call.length);
        return _charge(m, call);
    }
}
