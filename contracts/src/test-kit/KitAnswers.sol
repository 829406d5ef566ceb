// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "../IInference.sol";
import {KitConfig, KitConfigs, Mock} from "./KitConfig.sol";
import {KIT_VM} from "./KitVm.sol";

/// @title Where the test kit's answers come from
/// @notice From the test (`mockOutput`, `mockFailure`), else from the binary `lockstep` (`useModel`).
abstract contract KitAnswers {
    // How an answer ends; the numbers are those of `lockstep kit call`, which has one more: 3, this machine's fault.
    uint8 private constant SUCCESS = 0;
    uint8 private constant REVERT = 1;
    uint8 private constant OUT_OF_GAS = 2;

    address private constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;
    /// @dev Code hash of an account that delegates to the precompile's address (EIP-7702).
    bytes32 private constant DELEGATION = keccak256(hex"ef01000000000000000000000000000000000000000a11");
    /// @dev Linux takes 128 KiB in one argument, which is hex here.
    uint256 private constant LONGEST_ARGUMENT = 50_000;
    string private constant CALL_FOLDER = "cache/lockstep-kit";

    /// @notice The test kit, or the binary behind it, could not answer. Never an answer of the precompile.
    error KitFailed(string reason);

    /// @dev Returns abi.encode(uint8 status, uint256 gasUsed, bytes data).
    /// @param given The gas of the call.
    /// @param value The ether sent along.
    /// @param self The account that runs the precompile's code: another than the precompile's under DELEGATECALL.
    function _answer(uint256 given, uint256 value, address self, bytes calldata call) internal returns (bytes memory) {
        if (self.codehash == DELEGATION) return _delegated();
        KitConfig memory config = KitConfigs.read(PRECOMPILE.code);
        if (value == 0 && self == PRECOMPILE) {
            (bool found, bytes memory answer) = _mocked(config, given, call);
            if (found) return answer;
        }
        if (bytes(config.binary).length == 0) return _unknownModel(config, call);
        bytes memory native = _native(config, _command(config, given, value, self != PRECOMPILE), call);
        return self == PRECOMPILE ? native : _named(native, self);
    }

    /// @dev The binary is not told which account runs the precompile's code; its error shall name it.
    function _named(bytes memory answer, address self) private pure returns (bytes memory) {
        (uint8 status, uint256 gasUsed, bytes memory data) = abi.decode(answer, (uint8, uint256, bytes));
        // forge-lint: disable-next-line(unsafe-typecast)
        if (data.length != 36 || bytes4(data) != IInference.DelegateCall.selector) return answer;
        return abi.encode(status, gasUsed, abi.encodeWithSelector(IInference.DelegateCall.selector, self));
    }

    /// @dev What the code stored at the address does in a delegated account. Its gas is not known here.
    function _delegated() private pure returns (bytes memory) {
        string memory reason = "this account delegates to 0xA11 (EIP-7702): call 0xA11 itself";
        return abi.encode(REVERT, 0, abi.encodeWithSelector(IInference.TwinCannotRun.selector, reason));
    }

    function _mocked(KitConfig memory config, uint256 given, bytes calldata call)
        private
        pure
        returns (bool found, bytes memory answer)
    {
        // A quote's inner call follows the selector and the words of offset and length.
        bool isQuote = call.length >= 104 && bytes4(call[:4]) == IInference.quote.selector;
        bytes calldata asked = isQuote ? call[68:] : call;
        if (asked.length < 36) return (false, answer);

        for (uint256 i = config.mocks.length; i > 0; --i) {
            Mock memory mock = config.mocks[i - 1];
            if (mock.modelId != bytes32(asked[4:36]) || mock.selector != bytes4(asked[:4])) continue;
            if (given < config.mockGas) return (true, abi.encode(OUT_OF_GAS, given, ""));
            if (isQuote) return (true, abi.encode(SUCCESS, config.mockGas, abi.encode(config.mockGas)));
            return (true, abi.encode(mock.failure ? REVERT : SUCCESS, config.mockGas, mock.data));
        }
    }

    /// @dev Without a binary nothing is known but the mocks.
    function _unknownModel(KitConfig memory config, bytes calldata call) private returns (bytes memory) {
        bytes4 selector = call.length < 36 ? bytes4(0) : bytes4(call[:4]);
        if (
            selector != IInference.infer.selector && selector != IInference.classify.selector
                && selector != IInference.run.selector && selector != IInference.describe.selector
        ) _fail("no model in use: call useModel(path) first, or mock the answer");
        bytes memory reason = abi.encodeWithSelector(IInference.UnknownModel.selector, bytes32(call[4:36]));
        return abi.encode(REVERT, config.mockGas, reason);
    }

    /// @dev `lockstep kit call`, with room for the call data at the end.
    function _command(KitConfig memory config, uint256 given, uint256 value, bool delegated)
        private
        pure
        returns (string[] memory command)
    {
        command = new string[](7 + (value == 0 ? 0 : 2) + (delegated ? 1 : 0) + 2 * config.models.length);
        uint256 n;
        command[n++] = config.binary;
        command[n++] = "kit";
        command[n++] = "call";
        command[n++] = "--gas";
        command[n++] = KIT_VM.toString(given);
        if (value != 0) {
            command[n++] = "--value";
            command[n++] = KIT_VM.toString(value);
        }
        if (delegated) command[n++] = "--delegate";
        for (uint256 i; i < config.models.length; ++i) {
            command[n++] = "--model";
            command[n++] = config.models[i];
        }
    }

    function _native(KitConfig memory config, string[] memory command, bytes calldata call)
        private
        returns (bytes memory answer)
    {
        bool inFile = call.length > LONGEST_ARGUMENT;
        command[command.length - 2] = inFile ? "--calldata-file" : "--calldata";
        string memory last = inFile ? _writeCall(call) : KIT_VM.toString(call);
        command[command.length - 1] = last;

        try KIT_VM.ffi(command) returns (bytes memory output) {
            answer = output;
        } catch (bytes memory reason) {
            _fail(string.concat(config.binary, " kit call: ", _text(reason)));
        }
        if (inFile) KIT_VM.removeFile(last);
        if (answer.length < 128) _fail(string.concat(config.binary, " kit call: no answer: ", string(answer)));
        (uint8 status,, bytes memory data) = abi.decode(answer, (uint8, uint256, bytes));
        if (status > OUT_OF_GAS) _fail(string.concat("lockstep cannot compute this here: ", string(data)));
    }

    /// @dev The name is of this content and this moment: test suites run side by side.
    function _writeCall(bytes calldata call) private returns (string memory path) {
        KIT_VM.createDir(CALL_FOLDER, true);
        uint256 name = uint256(keccak256(abi.encode(call, KIT_VM.unixTime())));
        path = string.concat(CALL_FOLDER, "/", KIT_VM.toString(name), ".hex");
        KIT_VM.writeFile(path, KIT_VM.toString(call));
    }

    /// @dev Reverts, and fails the test also where a contract catches the revert: a call that never comes is expected.
    function _fail(string memory reason) private {
        KIT_VM.expectCall(address(0x4C6f636B73746570), bytes(reason));
        revert KitFailed(reason);
    }

    /// @dev The text of a cheatcode's error, CheatcodeError(string).
    function _text(bytes memory reason) private pure returns (string memory) {
        if (reason.length < 68) return string(reason);
        bytes memory encoded = new bytes(reason.length - 4);
        assembly ("memory-safe") {
            mcopy(add(encoded, 32), add(reason, 36), mload(encoded))
        }
        return abi.decode(encoded, (string));
    }
}
