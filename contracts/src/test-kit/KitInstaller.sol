// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ModelInfo} from "../IInference.sol";
import {ModelRegistry} from "../ModelRegistry.sol";
import {Kit} from "./Kit.sol";
import {Answer, Backend} from "./KitStore.sol";
import {KIT_ACCOUNT, KIT_VM} from "./KitVm.sol";
import {KitTwin} from "./KitTwin.sol";
import {ModelFiles} from "./ModelFiles.sol";
import {SHIM_CODE} from "./ShimCode.sol";

/// @title Puts the kit's accounts into forge's EVM
/// @notice The shim at the precompile's address, the registry, the kit itself, and the twin where it is asked for.
library KitInstaller {
    address private constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;
    address private constant REGISTRY = 0x0000000000000000000000000000000000000A12;

    /// @dev Bytes of data in a full chunk.
    uint256 private constant CHUNK = 24_512;
    uint256 private constant LS1_VERSION = 1;
    string private constant RECORDED = "record with LOCKSTEP_RECORD=true and another back end: forge test -j 1";

    /// @notice The back end that was asked for cannot be used. The text says what to install or to switch on.
    error NoBackend(string reason);

    /// @notice Installs all that every back end needs, and chooses the one of the environment.
    function install(uint256 mockGas) internal {
        KIT_VM.etch(REGISTRY, type(ModelRegistry).runtimeCode);
        KIT_VM.setNonce(REGISTRY, 1);
        KIT_VM.etch(KIT_ACCOUNT, type(Kit).runtimeCode);
        KIT_VM.etch(PRECOMPILE, SHIM_CODE);
        KIT_VM.coinbase(PRECOMPILE);
        KIT_VM.makePersistent(PRECOMPILE);
        KIT_VM.makePersistent(REGISTRY);
        KIT_VM.makePersistent(KIT_ACCOUNT);
        KIT_VM.allowCheatcodes(PRECOMPILE);
        KIT_VM.allowCheatcodes(KIT_ACCOUNT);
        choose(Kit(KIT_ACCOUNT), _named(KIT_VM.envOr("LOCKSTEP_BACKEND", string("reference"))), mockGas);
    }

    /// @notice Switches to a back end, or says what it lacks.
    function choose(Kit kit, Backend backend, uint256 mockGas) internal {
        kit.configure(backend, mockGas);
        string memory file = KIT_VM.envOr("LOCKSTEP_REPLAY", string("test/lockstep.replay"));
        bool record = KIT_VM.envOr("LOCKSTEP_RECORD", false);
        if (record && backend == Backend.Replay) {
            revert NoBackend(string.concat("a replay cannot be recorded: ", RECORDED));
        }
        if (backend == Backend.Replay) return replay(kit, file, mockGas);
        kit.setReplayFile(file, record);
        if (backend == Backend.Rpc) _connect(kit);
        else if (backend == Backend.Reference) KitTwin.install();
    }

    /// @notice Switches to the answers recorded in a file.
    function replay(Kit kit, string memory file, uint256 mockGas) internal {
        kit.configure(Backend.Replay, mockGas);
        kit.setReplayFile(file, false);
        _loadRecording(kit, file);
    }

    /// @notice Stores and registers a model and makes it active from block 0 on, with its chunks where the registry has them.
    function registerModel(bytes memory graph, bytes memory weights) internal returns (bytes32 modelId) {
        // The constant 1.
        // forge-lint: disable-next-line(unsafe-typecast)
        modelId = ModelRegistry(REGISTRY).register(uint32(LS1_VERSION), _chunks(graph), _chunks(weights));
        bytes32 record = keccak256(abi.encode(modelId, uint256(0)));
        uint256 word = uint256(KIT_VM.load(REGISTRY, record));
        // The status is the lowest byte of the word.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (uint8(word) == 2) return modelId;
        KIT_VM.store(REGISTRY, record, bytes32(word & ~uint256(0xff) | 2));
        _append(2, modelId);
    }

    /// @notice Whether the registry knows a model.
    function isRegistered(bytes32 modelId) internal view returns (bool) {
        return uint8(uint256(KIT_VM.load(REGISTRY, keccak256(abi.encode(modelId, uint256(0)))))) != 0;
    }

    /// @notice Writes the registry's record as if the model had been activated in block 0.
    function writeRecord(bytes32 modelId, ModelInfo memory info) internal {
        bytes32 record = keccak256(abi.encode(modelId, uint256(0)));
        uint256 packed =
            2 | uint256(info.ls1Version) << 72 | uint256(info.graphLength) << 104 | uint256(info.weightsLength) << 136;
        KIT_VM.store(REGISTRY, record, bytes32(packed));
        KIT_VM.store(REGISTRY, _after(record, 1), info.graphHash);
        KIT_VM.store(REGISTRY, _after(record, 2), info.weightsRoot);
        _append(1, modelId);
        _append(2, modelId);
    }

    /// @notice The id that a model file had when the answers were recorded.
    function recordedId(Kit kit, string memory path) internal view returns (bytes32) {
        (bool found, Answer memory a) = kit.recall(_fileKey(path));
        if (!found) revert NoBackend(string.concat("no recorded answers for the model ", path, ": ", RECORDED));
        return abi.decode(a.data, (bytes32));
    }

    /// @notice Keeps a model file's id for a replay, where answers are being recorded.
    function recordId(Kit kit, string memory path, bytes32 modelId) internal {
        kit.record(_fileKey(path), Answer({status: 0, gasUsed: 0, data: abi.encode(modelId)}));
    }

    function _named(string memory name) private pure returns (Backend) {
        bytes32 hash = keccak256(bytes(name));
        if (hash == keccak256("reference")) return Backend.Reference;
        if (hash == keccak256("native")) return Backend.Native;
        if (hash == keccak256("replay")) return Backend.Replay;
        if (hash == keccak256("rpc")) return Backend.Rpc;
        revert NoBackend(string.concat("LOCKSTEP_BACKEND is ", name, ": it is reference, native, replay or rpc"));
    }

    /// @dev Lines of `key answer`, in hex; of two for one key the last holds.
    function _loadRecording(Kit kit, string memory file) private {
        string memory text;
        try KIT_VM.readFile(file) returns (string memory content) {
            text = content;
        } catch {
            revert NoBackend(string.concat(
                    "cannot read the recorded answers in ",
                    file,
                    ": record them (LOCKSTEP_RECORD=true, forge test -j 1), set LOCKSTEP_REPLAY, and allow it in foundry.toml: fs_permissions = [{ access = \"read\", path = \"./test\" }]"
                ));
        }
        string[] memory lines = KIT_VM.split(text, "\n");
        for (uint256 i; i < lines.length; ++i) {
            if (bytes(lines[i]).length == 0) continue;
            string[] memory words = KIT_VM.split(lines[i], " ");
            if (words.length != 2) revert NoBackend(string.concat(file, " is damaged: delete it and ", RECORDED));
            Answer memory a;
            (a.status, a.gasUsed, a.data) = abi.decode(KIT_VM.parseBytes(words[1]), (uint256, uint256, bytes));
            kit.remember(KIT_VM.parseBytes32(words[0]), a);
        }
    }

    function _connect(Kit kit) private {
        string memory url = KIT_VM.envOr("LOCKSTEP_RPC", string("http://127.0.0.1:8545"));
        try KIT_VM.rpc(url, "eth_getCode", "[\"0x0000000000000000000000000000000000000A12\",\"latest\"]") returns (
            bytes memory code
        ) {
            if (code.length == 0) {
                revert NoBackend(string.concat("the node at ", url, " has no model registry: it is no Lockstep node"));
            }
        } catch {
            revert NoBackend(string.concat(
                    "no node answers at ", url, ": start one (`lockstep node --dev`) or set LOCKSTEP_RPC"
                ));
        }
        kit.setRpcUrl(url);
    }

    /// @dev The chunks of a section, as storeChunk would have made them.
    function _chunks(bytes memory section) private returns (address[] memory chunks) {
        chunks = new address[]((section.length + CHUNK - 1) / CHUNK);
        for (uint256 i; i < chunks.length; ++i) {
            uint256 start = i * CHUNK;
            uint256 size = section.length - start < CHUNK ? section.length - start : CHUNK;
            bytes memory initCode =
                abi.encodePacked(hex"600b5981380380925939f300", ModelFiles.slice(section, start, size));
            chunks[i] = ModelRegistry(REGISTRY).chunkAddress(keccak256(initCode));
            KIT_VM.etch(chunks[i], ModelFiles.slice(initCode, 11, size + 1));
        }
    }

    function _fileKey(string memory path) private pure returns (bytes32) {
        return keccak256(abi.encode("lockstep.kit.file", path));
    }

    function _append(uint256 slot, bytes32 value) private {
        uint256 length = uint256(KIT_VM.load(REGISTRY, bytes32(slot)));
        KIT_VM.store(REGISTRY, _after(keccak256(abi.encode(slot)), length), value);
        KIT_VM.store(REGISTRY, bytes32(slot), bytes32(length + 1));
    }

    function _after(bytes32 slot, uint256 offset) private pure returns (bytes32) {
        return bytes32(uint256(slot) + offset);
    }
}
