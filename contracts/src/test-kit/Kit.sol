// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {KitNative} from "./KitNative.sol";
import {KitRanges} from "./KitRanges.sol";
import {KitReference} from "./KitReference.sol";
import {KitRpc} from "./KitRpc.sol";
import {Answer, Backend, Mock} from "./KitStore.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {KIT_VM} from "./KitVm.sol";

/// @title The test kit's account: finds the answers that the shim at the precompile's address gives
/// @notice InferenceKit installs and configures it; tests have no business here.
contract Kit is KitNative, KitReference, KitRpc, KitRanges {
    /// @dev Code hash of an account that delegates to the precompile's address (EIP-7702).
    bytes32 private constant DELEGATION = keccak256(hex"ef01000000000000000000000000000000000000000a11");

    /// @notice Whether InferenceKit has configured this account.
    bool public installed;

    /// @notice Takes another back end; answers of the one before are forgotten for calls not yet made.
    function configure(Backend backend_, uint256 mockGas) external {
        (installed, _backend, _mockGas) = (true, backend_, mockGas);
    }

    /// @notice The back end in use.
    function backend() external view returns (Backend) {
        return _backend;
    }

    /// @notice The binary of the back end `native`; empty: none yet.
    function binary() external view returns (string memory) {
        return _binary;
    }

    /// @notice Takes this binary, which must have been checked.
    function setBinary(string calldata path) external {
        _binary = path;
    }

    /// @notice Takes this node, which must have been checked.
    function setRpcUrl(string calldata url) external {
        _rpcUrl = url;
    }

    /// @notice The file that answers are recorded in or replayed from.
    function setReplayFile(string calldata path, bool recording) external {
        (_replayFile, _recording) = (path, recording);
    }

    /// @notice A model file that the binary shall know.
    function addModelFile(string calldata path) external {
        _modelFiles.push(path);
    }

    /// @notice A model in use, with what is known of it; without graph and weights, which lie in the registry's chunks.
    function addModel(ModelFixture calldata model) external {
        _fixtures[model.modelId] = model;
        ++_modelCount;
    }

    /// @notice An answer that the test makes up.
    function addMock(Mock calldata mock) external {
        _mocks.push(mock);
    }

    /// @notice The gas of a mocked call.
    function setMockGas(uint256 amount) external {
        _mockGas = amount;
    }

    /// @notice Keeps an answer from a recording.
    function remember(bytes32 key, Answer calldata a) external {
        _cache(key, a);
    }

    /// @notice Writes an answer to the recording, where there is one.
    function record(bytes32 key, Answer calldata a) external {
        if (_recording) _record(key, a);
    }

    /// @notice An answer kept before, or its absence.
    function recall(bytes32 key) external view returns (bool found, Answer memory a) {
        return _cached(key);
    }

    /// @notice What the precompile would do, and the gas it would charge. Only the shim calls this, without metering.
    /// @dev Without metering only a single step can run out of gas. So memory is taken in small steps before anything asks
    /// for much of it at once, and a call with just enough gas for the precompile can be answered here.
    /// @param given The gas of the call.
    /// @param value The ether sent along.
    /// @param self The account that runs the precompile's code: another than the precompile's under DELEGATECALL.
    function answer(uint256 given, uint256 value, address self, bytes calldata call)
        external
        returns (uint256 status, uint256 gasUsed, bytes memory data)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let end := add(free, add(65536, mul(8, calldatasize())))
            for {} lt(free, end) { free := add(free, 1024) } { mstore(free, 0) }
        }
        Answer memory a = _answer(given, value, self, call);
        if (a.status <= REVERT && a.gasUsed > given) a.status = OUT_OF_GAS;
        return (a.status, a.gasUsed > given ? given : a.gasUsed, a.data);
    }

    function _answer(uint256 given, uint256 value, address self, bytes calldata call)
        private
        returns (Answer memory a)
    {
        if (self.codehash == DELEGATION) return _delegated();
        bool plain = value == 0 && self == PRECOMPILE;
        if (plain) {
            bool found;
            (found, a) = _mocked(call);
            if (found) return a;
        }
        bytes32 key = keccak256(call);
        // Before models are asked for: what a node answered was recorded without `useModel`.
        if (plain) {
            bool found;
            (found, a) = _cached(key);
            if (found) return a;
        }
        if (_modelCount == 0 && _backend != Backend.Rpc) return _unknownModel(call);
        if (!plain && _backend != Backend.Native) return _misused(value, self);

        _warnOfRanges(call);
        if (_backend == Backend.Native) {
            a = _native(given, value, self, call);
        } else if (_backend == Backend.Rpc) {
            a = _rpc(call);
        } else if (_backend == Backend.Reference) {
            a = _reference(call);
        } else {
            _fail(
                string.concat(
                    "this call was not recorded in ", _replayFile, ": record again (docs/testing-contracts.md)"
                )
            );
        }
        if (!plain || a.status > REVERT) return a;
        _cache(key, a);
        if (_recording) _record(key, a);
    }

    /// @dev What the code stored at the address does in a delegated account. Its gas is not known here.
    function _delegated() private pure returns (Answer memory a) {
        string memory reason = "this account delegates to 0xA11 (EIP-7702): call 0xA11 itself";
        (a.status, a.data) = (REVERT, abi.encodeWithSelector(IInference.TwinCannotRun.selector, reason));
    }

    /// @dev Ether, or another account's context: refused before anything is looked at.
    function _misused(uint256 value, address self) private pure returns (Answer memory a) {
        (a.status, a.gasUsed) = (REVERT, 700);
        a.data = self != PRECOMPILE
            ? abi.encodeWithSelector(IInference.DelegateCall.selector, self)
            : abi.encodeWithSelector(IInference.ValueNotAccepted.selector, value);
    }

    function _mocked(bytes calldata call) private view returns (bool found, Answer memory a) {
        // A quote's inner call follows the selector and the words of offset and length.
        bool isQuote = call.length >= 104 && bytes4(call[:4]) == IInference.quote.selector;
        bytes calldata asked = isQuote ? call[68:] : call;
        if (asked.length < 36) return (false, a);

        for (uint256 i = _mocks.length; i > 0; --i) {
            Mock storage mock = _mocks[i - 1];
            if (mock.modelId != bytes32(asked[4:36]) || mock.selector != bytes4(asked[:4])) continue;
            (a.status, a.gasUsed) = (mock.failure && !isQuote ? REVERT : SUCCESS, _mockGas);
            a.data = isQuote ? abi.encode(_mockGas) : mock.data;
            return (true, a);
        }
    }

    /// @dev Without a model nothing is known but the mocks.
    function _unknownModel(bytes calldata call) private returns (Answer memory a) {
        bytes4 selector = call.length < 36 ? bytes4(0) : bytes4(call[:4]);
        if (
            selector != IInference.infer.selector && selector != IInference.classify.selector
                && selector != IInference.run.selector && selector != IInference.describe.selector
        ) _fail("no model in use: call useModel first, or mock the answer");
        (a.status, a.gasUsed) = (REVERT, _mockGas);
        a.data = abi.encodeWithSelector(IInference.UnknownModel.selector, bytes32(call[4:36]));
    }

    function _record(bytes32 key, Answer memory a) private {
        string memory line =
            string.concat(KIT_VM.toString(key), " ", KIT_VM.toString(abi.encode(a.status, a.gasUsed, a.data)));
        try KIT_VM.writeLine(_replayFile, line) {}
        catch (bytes memory reason) {
            _fail(string.concat("cannot record in ", _replayFile, ": ", _text(reason)));
        }
    }
}
