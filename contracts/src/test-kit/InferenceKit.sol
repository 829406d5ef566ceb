// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, ModelInfo, Tensor} from "../IInference.sol";
import {Kit} from "./Kit.sol";
import {KitBinary} from "./KitBinary.sol";
import {KitInstaller} from "./KitInstaller.sol";
import {Backend, Mock} from "./KitStore.sol";
import {ModelFiles} from "./ModelFiles.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {KIT_ACCOUNT, KIT_VM} from "./KitVm.sol";

/// @title What InferenceTest and InferenceScript share
/// @notice Puts a stand-in for the precompile and for the registry into forge's EVM.
///
/// `useModel` gives real answers; where they come from is chosen by the environment variable LOCKSTEP_BACKEND or by
/// `useBackend`: `reference` (the default: the Solidity twin), `native` (the binary), `replay` (recorded answers), `rpc` (a
/// running node). `mockOutput` and `mockFailure` give the test's own answers. A call that cannot be answered for a reason of
/// the machine fails the test, even where a contract catches the revert. docs/testing-contracts.md shows each.
/// @dev The stand-in makes 0x…0A11 the block's coinbase: so the address is warm from a transaction's start, as a precompile
/// is, and callers pay what they pay on a node. Gas is exact for charges from 3,500 on, and below that if the test has called
/// a cheatcode before; a call that is given less than 3,000 gas ends out of gas. An inference ends `vm.pauseGasMetering`.
abstract contract InferenceKit {
    address internal constant INFERENCE_PRECOMPILE = 0x0000000000000000000000000000000000000a11;
    address internal constant MODEL_REGISTRY = 0x0000000000000000000000000000000000000A12;

    /// @notice The gas of a mocked call, unless setMockGas says otherwise.
    uint256 internal constant DEFAULT_MOCK_GAS = 20_000;

    /// @notice Largest model, in bytes of graph and weights, that the back end `reference` takes.
    uint256 internal constant LARGEST_REFERENCE_MODEL = 2 << 20;

    /// @notice The model cannot be used. The text says what to do.
    error UnusableModel(string reason);

    /// @notice Makes a fixture's model callable, active from block 0 on. It needs no file, whatever the back end but `native`,
    /// which is handed the model in cache/lockstep-kit.
    /// @param model What `lockstep bind` wrote: `RiskFixture.model()`.
    /// @return modelId The id to call it by.
    function useModel(ModelFixture memory model) internal returns (bytes32 modelId) {
        Kit kit = _kit();
        Backend backend = kit.backend();
        _checkSize(backend, model);
        modelId = KitInstaller.registerModel(model.graph, model.weights);
        if (modelId != model.modelId) {
            revert UnusableModel(string.concat(
                    model.name, ": the fixture's bytes are not its modelId's: bind it again"
                ));
        }
        if (backend == Backend.Native) _giveToBinary(kit, model);
        (model.graph, model.weights) = ("", "");
        kit.addModel(model);
    }

    /// @notice Makes a model file callable, active from block 0 on.
    /// @param path An .lsm file, from the project's root.
    /// @return modelId The id to call it by.
    function useModel(string memory path) internal returns (bytes32 modelId) {
        Kit kit = _kit();
        Backend backend = kit.backend();
        ModelFixture memory known;
        known.name = path;
        if (backend == Backend.Native) {
            _findBinary(kit);
            modelId = abi.decode(KitBinary.ask(kit.binary(), "id", path), (bytes32));
            kit.addModelFile(path);
            known.modelId = modelId;
            kit.addModel(known);
            _registerAsDescribed(modelId);
        } else if (backend == Backend.Replay) {
            modelId = KitInstaller.recordedId(kit, path);
            known.modelId = modelId;
            kit.addModel(known);
            _registerAsDescribed(modelId);
        } else {
            known = ModelFiles.read(path);
            _checkSize(backend, known);
            modelId = KitInstaller.registerModel(known.graph, known.weights);
            (known.modelId, known.graph, known.weights) = (modelId, "", "");
            kit.addModel(known);
        }
        KitInstaller.recordId(kit, path, modelId);
    }

    /// @notice Takes this back end for all calls to come. Call it before useModel.
    function useBackend(Backend backend) internal {
        Kit kit = _kit();
        if (kit.backend() != backend) KitInstaller.choose(kit, backend, DEFAULT_MOCK_GAS);
    }

    /// @notice Takes the back end `native` with this binary in place of the one that it would find.
    function useBinary(string memory path) internal {
        Kit kit = _kit();
        useBackend(Backend.Native);
        kit.setBinary(KitBinary.check(path));
    }

    /// @notice Takes the back end `replay` with the answers recorded in this file.
    function useRecording(string memory path) internal {
        KitInstaller.replay(_kit(), path, DEFAULT_MOCK_GAS);
    }

    /// @notice From here on writes every answer that is found to a file, for the back end `replay`.
    function recordAnswers(string memory path) internal {
        _kit().setReplayFile(path, true);
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
        _kit().setMockGas(amount);
    }

    /// @notice The test fails unless `infer` is called with this row before it ends.
    function expectInference(bytes32 modelId, int256[] memory x) internal {
        _kit();
        KIT_VM.expectCall(INFERENCE_PRECOMPILE, abi.encodeCall(IInference.infer, (modelId, x)));
    }

    /// @notice The test fails unless `infer`, `classify` or `run`, named by its selector, is called `count` times for a model,
    /// whatever its input; 0: never.
    function expectInference(bytes32 modelId, bytes4 selector, uint64 count) internal {
        _kit();
        KIT_VM.expectCall(INFERENCE_PRECOMPILE, abi.encodeWithSelector(selector, modelId), count);
    }

    /// @notice The test fails unless `classify` is called with this row before it ends.
    function expectClassification(bytes32 modelId, int256[] memory x) internal {
        _kit();
        KIT_VM.expectCall(INFERENCE_PRECOMPILE, abi.encodeCall(IInference.classify, (modelId, x)));
    }

    function _mock(bytes32 modelId, bytes4 selector, bool failure, bytes memory data) private {
        _kit().addMock(Mock({modelId: modelId, selector: selector, failure: failure, data: data}));
    }

    /// @dev The kit's account, installed by its first use.
    function _kit() private returns (Kit kit) {
        kit = Kit(KIT_ACCOUNT);
        if (address(kit).code.length == 0) KitInstaller.install(DEFAULT_MOCK_GAS);
    }

    function _findBinary(Kit kit) private {
        if (bytes(kit.binary()).length == 0) kit.setBinary(KitBinary.find());
    }

    function _checkSize(Backend backend, ModelFixture memory model) private pure {
        uint256 size = model.graph.length + model.weights.length;
        if (backend != Backend.Reference || size <= LARGEST_REFERENCE_MODEL) return;
        revert UnusableModel(string.concat(
                model.name,
                " has ",
                KIT_VM.toString(size),
                " bytes, the reference back end takes ",
                KIT_VM.toString(LARGEST_REFERENCE_MODEL),
                ": set LOCKSTEP_BACKEND=native"
            ));
    }

    /// @dev Writes the model to a file that the binary reads.
    function _giveToBinary(Kit kit, ModelFixture memory model) private {
        _findBinary(kit);
        string memory path = string.concat("cache/lockstep-kit/", KIT_VM.toString(model.modelId), ".lsm");
        KIT_VM.createDir("cache/lockstep-kit", true);
        KIT_VM.writeFileBinary(path, ModelFiles.encode(model));
        kit.addModelFile(path);
    }

    /// @dev The registry's record of a model whose bytes are not here: its chunk lists stay empty.
    function _registerAsDescribed(bytes32 modelId) private {
        if (KitInstaller.isRegistered(modelId)) return;
        ModelInfo memory info = IInference(INFERENCE_PRECOMPILE).describe(modelId);
        KitInstaller.writeRecord(modelId, info);
    }
}
