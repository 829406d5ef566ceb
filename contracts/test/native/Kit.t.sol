// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {IInference, ModelInfo, Tensor} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {Tensors} from "../../src/Tensors.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Backend} from "../../src/test-kit/KitStore.sol";
import {Caller} from "../utils/Caller.sol";
import {Test} from "../utils/Test.sol";

/// @notice The native back end with real models (scripts/models.sh makes them) and the real binary.
contract NativeKitTest is Test, InferenceTest {
    uint256 private constant ROWS = 20;
    bytes32 private volatility;
    bytes32 private cancer;
    string private json;
    Caller private caller;

    function setUp() public {
        useBackend(Backend.Native);
        caller = new Caller();
        volatility = useModel("target/models/volatility_mlp.lsm");
        cancer = useModel("target/models/breast_cancer_logreg.lsm");
        json = vm.readFile("contracts/test/native/fixtures.json");
    }

    function test_regressorAgreesWithItsLibrary() public view {
        int256[] memory y = Inference.infer(volatility, _ints(".volatility_mlp.x"));
        int256[] memory expected = _ints(".volatility_mlp.y");
        vm.assertEq(y.length, ROWS);
        for (uint256 i; i < ROWS; ++i) {
            // 10^-6 of the range of answers, which is more than 100 basis points
            vm.assertApproxEqAbs(y[i], expected[i], 1e14, "volatility");
        }
    }

    function test_classifierAgreesWithItsLibrary() public {
        ModelConsumer consumer = new ModelConsumer();
        (uint256[] memory class, int256[] memory score) = consumer.classify(cancer, _ints(".breast_cancer_logreg.x"));
        int256[] memory labels = _ints(".breast_cancer_logreg.class");
        int256[] memory probability = _ints(".breast_cancer_logreg.probability");
        vm.assertEq(class.length, ROWS);
        for (uint256 i; i < ROWS; ++i) {
            vm.assertEq(int256(class[i]), labels[i]);
            vm.assertApproxEqAbs(score[i], probability[2 * i + class[i]], 1e12, "score");
        }
        vm.assertEq(consumer.lastAnswer(), keccak256(abi.encode(class, score)));
    }

    function test_rowsDoNotDependOnTheirBatch() public view {
        int256[] memory x = _ints(".volatility_mlp.x");
        int256[] memory y = Inference.infer(volatility, x);
        for (uint256 i; i < ROWS; i += 7) {
            vm.assertEq(Inference.inferScalar(volatility, _row(x, i, 8)), y[i]);
        }
    }

    function test_runGivesTheSameAsInfer() public view {
        int256[] memory x = _row(_ints(".volatility_mlp.x"), 0, 8);
        Tensor[] memory inputs = new Tensor[](1);
        inputs[0] = Tensors.fromWad(x, Tensors.shape2(1, 8));
        Tensor[] memory outputs = Inference.run(volatility, inputs);
        vm.assertEq(Tensors.toWad(outputs[0])[0], Inference.inferScalar(volatility, x));
    }

    function test_quoteIsTheGasUsed() public view {
        int256[] memory x = _ints(".breast_cancer_logreg.x");
        _checkQuote(Inference.encodeInfer(cancer, x));
        _checkQuote(Inference.encodeClassify(cancer, x));
        _checkQuote(Inference.encodeClassify(cancer, _row(x, 3, 30)));
        _checkQuote(Inference.encodeInfer(volatility, _row(x, 0, 8)));
        _checkQuote(abi.encodeCall(IInference.describe, (cancer)));
        Tensor[] memory inputs = new Tensor[](1);
        inputs[0] = Tensors.fromWad(x, Tensors.shape2(20, 30));
        _checkQuote(Inference.encodeRun(cancer, inputs));
    }

    function test_lessGasThanQuotedBurnsAll() public view {
        bytes memory call = Inference.encodeInfer(volatility, new int256[](8));
        uint256 quoted = Inference.quote(call);
        (bool ok, bytes memory answer) = address(0xa11).staticcall{gas: quoted - 1}(call);
        vm.assertFalse(ok, "one less");
        vm.assertEq(answer.length, 0);
        (ok, answer) = address(0xa11).staticcall{gas: quoted}(call);
        vm.assertTrue(ok, "exactly");
    }

    function test_describeAndTheRegistryAgree() public view {
        ModelInfo memory info = Inference.describe(cancer);
        vm.assertEq(info.rowFeatures, 30);
        vm.assertEq(info.inputs.length, 1);
        vm.assertGe(info.labels.length, 2, "labels");
        vm.assertEq(ModelRegistry(MODEL_REGISTRY).getModel(cancer).graphHash, info.graphHash);
        bytes32 domain = keccak256("lockstep.model.v1");
        bytes memory identity = abi.encode(domain, uint256(info.ls1Version), info.graphHash, info.weightsRoot);
        vm.assertEq(keccak256(identity), cancer);
    }

    function test_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IInference.UnknownModel.selector, bytes32("x")));
        this.infer("x", new int256[](8));
        vm.expectPartialRevert(IInference.WrongLength.selector);
        this.infer(volatility, new int256[](7));
        vm.expectPartialRevert(IInference.WrongLength.selector);
        this.infer(volatility, new int256[](0));
        int256[] memory x = new int256[](8);
        x[3] = type(int256).max;
        vm.expectRevert(abi.encodeWithSelector(IInference.OutOfRange.selector, 0, 0, 3));
        this.infer(volatility, x);
        (bool ok, bytes memory reason) = address(0xa11).call(hex"01020304");
        vm.assertFalse(ok, "selector");
        vm.assertEq(reason, abi.encodeWithSelector(IInference.UnknownSelector.selector, bytes4(hex"01020304")));
        (ok, reason) = address(0xa11).call(bytes.concat(Inference.encodeInfer(volatility, x), hex"00"));
        vm.assertEq(bytes32(bytes4(reason)), bytes32(IInference.NotCanonical.selector));
        vm.deal(address(this), 5);
        (ok, reason) = address(0xa11).call{value: 5}(hex"01020304");
        vm.assertEq(reason, abi.encodeWithSelector(IInference.ValueNotAccepted.selector, 5));
        (ok, reason) = address(0xa11).delegatecall(hex"01020304");
        vm.assertEq(reason, abi.encodeWithSelector(IInference.DelegateCall.selector, address(this)));
    }

    function test_validateRefusesWhatIsNoGraph() public {
        vm.expectPartialRevert(IInference.InvalidGraph.selector);
        IInference(address(0xa11)).validate("no graph");
    }

    function infer(bytes32 modelId, int256[] memory x) external view {
        Inference.infer(modelId, x);
    }

    /// @dev The gas of the call, to the unit, with more than enough gas and with exactly enough.
    function _checkQuote(bytes memory data) private view {
        uint256 quoted = Inference.quote(data);
        uint256[2] memory given = [uint256(10_000_000), quoted];
        for (uint256 i; i < 2; ++i) {
            (bool ok, uint256 used,) = caller.measure(INFERENCE_PRECOMPILE, given[i], data);
            vm.assertTrue(ok, "call");
            vm.assertEq(used, quoted, "gas");
        }
    }

    function _ints(string memory key) private view returns (int256[] memory) {
        return vm.parseJsonIntArray(json, key);
    }

    function _row(int256[] memory x, uint256 row, uint256 width) private pure returns (int256[] memory out) {
        out = new int256[](width);
        for (uint256 i; i < width; ++i) {
            out[i] = x[row * width + i];
        }
    }
}
