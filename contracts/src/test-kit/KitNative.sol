// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {Answer, KitStore} from "./KitStore.sol";
import {KIT_VM} from "./KitVm.sol";

/// @title The back end `native`: the binary `lockstep` answers, by ffi
/// @notice The engine that a node runs, and the node's gas to the unit.
abstract contract KitNative is KitStore {
    /// @dev Linux takes 128 KiB in one argument, which is hex here.
    uint256 private constant LONGEST_ARGUMENT = 50_000;
    string private constant CALL_FOLDER = "cache/lockstep-kit";

    /// @param given The gas of the call.
    /// @param value The ether sent along.
    /// @param self The account that runs the precompile's code: another than the precompile's under DELEGATECALL.
    function _native(uint256 given, uint256 value, address self, bytes calldata call)
        internal
        returns (Answer memory a)
    {
        string[] memory command = _command(given, value, self != PRECOMPILE);
        bool inFile = call.length > LONGEST_ARGUMENT;
        command[command.length - 2] = inFile ? "--calldata-file" : "--calldata";
        string memory last = inFile ? _writeCall(call) : KIT_VM.toString(call);
        command[command.length - 1] = last;

        bytes memory output;
        try KIT_VM.ffi(command) returns (bytes memory printed) {
            output = printed;
        } catch (bytes memory reason) {
            _fail(string.concat(_binary, " kit call: ", _text(reason)));
        }
        if (inFile) KIT_VM.removeFile(last);
        if (output.length < 128) _fail(string.concat(_binary, " kit call: no answer: ", string(output)));
        (a.status, a.gasUsed, a.data) = abi.decode(output, (uint256, uint256, bytes));
        if (a.status > OUT_OF_GAS) _fail(string.concat("lockstep cannot compute this here: ", string(a.data)));
        // The binary is not told which account runs the precompile's code; its error shall name it.
        if (self != PRECOMPILE && a.data.length == 36 && bytes4(a.data) == IInference.DelegateCall.selector) {
            a.data = abi.encodeWithSelector(IInference.DelegateCall.selector, self);
        }
    }

    /// @dev `lockstep kit call`, with room for the call data at the end.
    function _command(uint256 given, uint256 value, bool delegated) private view returns (string[] memory command) {
        command = new string[](7 + (value == 0 ? 0 : 2) + (delegated ? 1 : 0) + 2 * _modelFiles.length);
        uint256 n;
        command[n++] = _binary;
        command[n++] = "kit";
        command[n++] = "call";
        command[n++] = "--gas";
        command[n++] = KIT_VM.toString(given);
        if (value != 0) {
            command[n++] = "--value";
            command[n++] = KIT_VM.toString(value);
        }
        if (delegated) command[n++] = "--delegate";
        for (uint256 i; i < _modelFiles.length; ++i) {
            command[n++] = "--model";
            command[n++] = _modelFiles[i];
        }
    }

    /// @dev The name is of this content and this moment: test suites run side by side.
    function _writeCall(bytes calldata call) private returns (string memory path) {
        KIT_VM.createDir(CALL_FOLDER, true);
        uint256 name = uint256(keccak256(abi.encode(call, KIT_VM.unixTime())));
        path = string.concat(CALL_FOLDER, "/", KIT_VM.toString(name), ".hex");
        KIT_VM.writeFile(path, KIT_VM.toString(call));
    }
}
