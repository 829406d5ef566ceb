// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference, ModelInfo, Tensor} from "../IInference.sol";
import {ModelRegistry} from "../ModelRegistry.sol";
import {KitBinary} from "./KitBinary.sol";
import {KitConfig, KitConfigs, Mock} from "./KitConfig.sol";
import {KIT_VM} from "./KitVm.sol";
import {SHIM_CODE} from "./ShimCode.sol";

/// @title What InferenceTest and InferenceScript share
/// @notice Puts a stand-in for the precompile and for the registry into forge's EVM.
///
/// `useModel` gives real answers at the node's exact gas, by the binary `lockstep`; `mockOutput` and `mockFailure` give the
/// test's own answers and need no binary. A call that cannot be answered for a reason of the machine fails the test, even
/// where a contract catches the revert.
/// @dev The stand-in makes 0x…0A11 the block's coinbase: so the address is warm from a transaction's start, as a precompile
/// is, and callers pay what they pay on a node. Gas is exact for charges from 3,500 on, and below that if the test has called
/// a cheatcode before; a call that is given less than 3,000 gas ends out of gas. An inference ends `vm.pauseGasMetering`.
abstract contract InferenceKit {
    address internal constant INFERENCE_PRECOMPILE = 0x0000000000000000000000000000000000000a11;
    address internal constant MODEL_REGISTRY = 0x0000000000000000000000000000000000000A12;

    /// @notice The gas of a mocked call, unless setMockGas says otherwise.
    uint256 internal constant DEFAULT_MOCK_GAS = 20_000;

    /// @notice Makes a model file callable, active from block 0 on.
    /// @param path An .lsm file, from the project's root.
    /// @return modelId The id to call it by.
    function useModel(string memory path) internal returns (bytes32 modelId) {
        KitConfig memory config = _kitConfig();
        if (bytes(config.binary).length == 0) config.binary = KitBinary.find();
        modelId = abi.decode(KitBinary.ask(config.binary, "id", path), (bytes32));

        string[] memory models = new string[](config.models.length + 1);
        for (uint256 i; i < config.models.length; ++i) {
            models[i] = config.models[i];
        }
        models[config.models.length] = path;
        config.models = models;
        _setKitConfig(config);
        _register(modelId);
    }

    /// @notice Takes this binary in place of the one that useModel would find.
    function useBinary(string memory path) internal {
        KitConfig memory config = _kitConfig();
        config.binary = KitBinary.check(path);
        _setKitConfig(config);
    }

    /// @notice Answers `infer` for a model that need not exist.
    /// @param y 18 decimals each.
    function mockOutput(bytes32 modelId, int256[] memory y) internal {
        _mock(modelId, IInference.infer.selector, false, abi.encode(y));
    }

    /// @notice Answers `infer` with one number.
    /// @param y 18 decimals.
    function mockOutput(bytes32 modelId, int256 y) internal {
        int256[] memory outputs = new int256[](1);
        outputs[0] = y;
        mockOutput(modelId, outputs);
    }

    /// @notice Answers `classify`.
    function mockOutput(bytes32 modelId, uint256[] memory classIndex, int256[] memory score) internal {
        _mock(modelId, IInference.classify.selector, false, abi.encode(classIndex, score));
    }

    /// @notice Answers `run`.
    function mockOutput(bytes32 modelId, Tensor[] memory outputs) internal {
        _mock(modelId, IInference.run.selector, false, abi.encode(outputs));
    }

    /// @notice Makes `infer`, `classify` and `run` revert.
    /// @param reason An error of IInference, as abi.encodeWithSelector makes it.
    function mockFailure(bytes32 modelId, bytes memory reason) internal {
        _mock(modelId, IInference.infer.selector, true, reason);
        _mock(modelId, IInference.classify.selector, true, reason);
        _mock(modelId, IInference.run.selector, true, reason);
    }

    /// @notice The gas that a mocked call uses, and that its quote says.
    function setMockGas(uint256 amount) internal {
        KitConfig memory config = _kitConfig();
        config.mockGas = amount;
        _setKitConfig(config);
    }

    function _mock(bytes32 modelId, bytes4 selector, bool failure, bytes memory data) private {
        KitConfig memory config = _kitConfig();
        Mock[] memory mocks = new Mock[](config.mocks.length + 1);
        for (uint256 i; i < config.mocks.length; ++i) {
            mocks[i] = config.mocks[i];
        }
        mocks[config.mocks.length] = Mock({modelId: modelId, selector: selector, failure: failure, data: data});
        config.mocks = mocks;
        _setKitConfig(config);
    }

    /// @dev The configuration; a new one, with the kit installed, where there is none.
    function _kitConfig() private returns (KitConfig memory config) {
        if (INFERENCE_PRECOMPILE.code.length > SHIM_CODE.length) return KitConfigs.read(INFERENCE_PRECOMPILE.code);
        config.mockGas = DEFAULT_MOCK_GAS;
        KIT_VM.etch(MODEL_REGISTRY, type(ModelRegistry).runtimeCode);
        KIT_VM.setNonce(MODEL_REGISTRY, 1);
        KIT_VM.coinbase(INFERENCE_PRECOMPILE);
        KIT_VM.makePersistent(INFERENCE_PRECOMPILE);
        KIT_VM.makePersistent(MODEL_REGISTRY);
        KIT_VM.allowCheatcodes(INFERENCE_PRECOMPILE);
    }

    function _setKitConfig(KitConfig memory config) private {
        KIT_VM.etch(INFERENCE_PRECOMPILE, KitConfigs.append(SHIM_CODE, config));
    }

    /// @dev Writes the registry's record as if the model had been activated in block 0; its chunk lists stay empty.
    function _register(bytes32 modelId) private {
        bytes32 record = keccak256(abi.encode(modelId, uint256(0)));
        if (uint8(uint256(KIT_VM.load(MODEL_REGISTRY, record))) != 0) return;
        ModelInfo memory info = IInference(INFERENCE_PRECOMPILE).describe(modelId);
        uint256 packed =
            2 | uint256(info.ls1Version) << 72 | uint256(info.graphLength) << 104 | uint256(info.weightsLength) << 136;
        KIT_VM.store(MODEL_REGISTRY, record, bytes32(packed));
        KIT_VM.store(MODEL_REGISTRY, _after(record, 1), info.graphHash);
        KIT_VM.store(MODEL_REGISTRY, _after(record, 2), info.weightsRoot);
        _append(1, modelId);
        _append(2, modelId);
    }

    function _append(uint256 slot, bytes32 value) private {
        uint256 length = uint256(KIT_VM.load(MODEL_REGISTRY, bytes32(slot)));
        KIT_VM.store(MODEL_REGISTRY, _after(keccak256(abi.encode(slot)), length), value);
        KIT_VM.store(MODEL_REGISTRY, bytes32(slot), bytes32(length + 1));
    }

    function _after(bytes32 slot, uint256 offset) private pure returns (bytes32) {
        return bytes32(uint256(slot) + offset);
    }
}
