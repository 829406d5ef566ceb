// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ModelFixture} from "./ModelFixture.sol";
import {KIT_VM} from "./KitVm.sol";

/// @notice Where answers come from.
/// @dev Reference: the Solidity twin, in forge's own EVM. Native: the binary `lockstep`, by ffi. Replay: a file of recorded
/// answers. Rpc: a running node.
enum Backend {
    Reference,
    Native,
    Replay,
    Rpc
}

/// @notice One answer that a test made up.
/// @param modelId The model it is for.
/// @param selector The function it is for.
/// @param failure Whether `data` is reverted with.
/// @param data What is returned, or reverted with.
struct Mock {
    bytes32 modelId;
    bytes4 selector;
    bool failure;
    bytes data;
}

/// @notice What the precompile would do: `status` is one of KitStore's constants.
struct Answer {
    uint256 status;
    uint256 gasUsed;
    bytes data;
}

/// @title What the kit knows during a test
/// @notice The state of the account at KIT, the answers found so far, and how a failure of the kit itself is reported.
abstract contract KitStore {
    /// @notice How an answer ends; the numbers are those of `lockstep kit call`, which has one more: 3, this machine's fault.
    uint256 internal constant SUCCESS = 0;
    uint256 internal constant REVERT = 1;
    uint256 internal constant OUT_OF_GAS = 2;

    address internal constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;

    Backend internal _backend;
    bool internal _recording;
    string internal _binary;
    string internal _rpcUrl;
    string internal _replayFile;
    string[] internal _modelFiles;
    uint256 internal _modelCount;
    uint256 internal _mockGas;
    Mock[] internal _mocks;
    /// @dev Without graph and weights, which lie in the registry's chunks.
    mapping(bytes32 modelId => ModelFixture) internal _fixtures;

    /// @notice The test kit could not answer. Never an answer of the precompile.
    error KitFailed(string reason);

    /// @dev Reverts, and fails the test also where a contract catches the revert: a call that never comes is expected.
    function _fail(string memory reason) internal {
        KIT_VM.expectCall(address(0x4C6f636B73746570), bytes(reason));
        revert KitFailed(reason);
    }

    /// @dev The answer to a call that was answered before, in this test or in the recording. Answers are kept as code: that
    /// can be written in a static call.
    function _cached(bytes32 key) internal view returns (bool found, Answer memory a) {
        bytes memory code = _place(key).code;
        if (code.length == 0) return (false, a);
        (a.status, a.gasUsed, a.data) = abi.decode(code, (uint256, uint256, bytes));
        found = true;
    }

    /// @dev The first byte of the code is that of a number below 256: STOP.
    function _cache(bytes32 key, Answer memory a) internal {
        KIT_VM.etch(_place(key), abi.encode(a.status, a.gasUsed, a.data));
    }

    /// @dev The text of a cheatcode's error, CheatcodeError(string).
    function _text(bytes memory reason) internal pure returns (string memory) {
        if (reason.length < 68) return string(reason);
        return abi.decode(_tail(reason), (string));
    }

    /// @dev What follows the first four bytes.
    function _tail(bytes memory data) internal pure returns (bytes memory rest) {
        rest = new bytes(data.length - 4);
        for (uint256 i; i < rest.length; i += 32) {
            assembly ("memory-safe") {
                // The last word may end beyond both, within the padding of `rest`; `data` is longer by four bytes.
                mstore(add(add(rest, 32), i), mload(add(add(data, 36), i)))
            }
        }
        // What the last word wrote beyond the end is padding, which abi.decode ignores.
    }

    function _place(bytes32 key) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("lockstep.kit.answer", key)))));
    }
}
