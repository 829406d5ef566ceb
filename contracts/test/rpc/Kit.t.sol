// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference, ModelInfo, Tensor} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {InferenceNative} from "../../src/InferenceNative.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Backend} from "../../src/test-kit/KitStore.sol";
import {BreastCancerLogreg} from "../models/BreastCancerLogreg.sol";
import {VolatilityMlp} from "../models/VolatilityMlp.sol";
import {VolatilityMlpFixture} from "../models/VolatilityMlpFixture.sol";
import {Caller} from "../utils/Caller.sol";
import {Test} from "../utils/Test.sol";

/// @notice The back end `rpc`: every function of the kit and of the library, answered by a running node.
/// @dev tests/tests/twin.rs starts the node and runs this with LOCKSTEP_RPC. No `useModel`: models are those of the node.
contract RpcKitTest is Test, InferenceTest {
    Caller private caller;

    function setUp() public {
        caller = new Caller();
        useBackend(Backend.Rpc);
    }

    /// @dev The calls, answers and gas that contracts/test/native/models.json holds: infer and classify of nine models.
    function test_everyModelHasTheNodesAnswerAndGas() public view {
        string memory json = vm.readFile("contracts/test/native/models.json");
        string[] memory names = vm.parseJsonKeys(json, "$");
        vm.assertGe(names.length, 9, "models");
        for (uint256 i; i < names.length; ++i) {
            string memory path = string.concat(".", names[i]);
            bytes memory call = vm.parseJsonBytes(json, string.concat(path, ".call"));
            (bool ok, uint256 used, bytes memory answer) = caller.measure(INFERENCE_PRECOMPILE, 15_000_000, call);
            vm.assertTrue(ok, names[i]);
            vm.assertEq(answer, vm.parseJsonBytes(json, string.concat(path, ".answer")), names[i]);
            uint256 gas = vm.parseJsonUint(json, string.concat(path, ".gas"));
            vm.assertEq(used, gas, string.concat("gas of ", names[i]));
            vm.assertEq(Inference.quote(call), gas, string.concat("quote of ", names[i]));
        }
    }

    function test_wrappersOfBind() public view {
        vm.assertEq(VolatilityMlp.infer(VolatilityMlp.example()), VolatilityMlp.EXAMPLE_ANSWER);
        (uint256 class, int256 score) = BreastCancerLogreg.classify(BreastCancerLogreg.example());
        vm.assertEq(class, BreastCancerLogreg.EXAMPLE_CLASS);
        vm.assertEq(score, BreastCancerLogreg.EXAMPLE_SCORE);
    }

    function test_runDescribeBatchAndTry() public view {
        int256[] memory row = VolatilityMlp.row(VolatilityMlp.example());
        int256[] memory two = new int256[](2 * row.length);
        Tensor[] memory x = new Tensor[](1);
        x[0].dtype = 1;
        x[0].shape = new uint32[](2);
        (x[0].shape[0], x[0].shape[1]) = (1, 8);
        x[0].data = new bytes(32);
        for (uint256 i; i < row.length; ++i) {
            (two[i], two[row.length + i]) = (row[i], row[i]);
        }
        int256[] memory y = Inference.infer(VolatilityMlp.MODEL_ID, two);
        vm.assertEq(y.length, 2, "a batch");
        vm.assertEq(y[1], VolatilityMlp.EXAMPLE_ANSWER);
        vm.assertEq(Inference.run(VolatilityMlp.MODEL_ID, x)[0].data.length, 4, "run");
        ModelInfo memory info = Inference.describe(VolatilityMlp.MODEL_ID);
        vm.assertEq(info.rowFeatures, 8, "describe");
        (bool ok, int256[] memory z,) = Inference.tryInfer(VolatilityMlp.MODEL_ID, row);
        vm.assertTrue(ok && z[0] == VolatilityMlp.EXAMPLE_ANSWER, "tryInfer");
        bytes memory reason;
        (ok,,, reason) = Inference.tryClassify(BreastCancerLogreg.MODEL_ID, row);
        vm.assertFalse(ok, "8 values for 30 features");
        vm.assertEq(bytes4(reason), IInference.WrongLength.selector, "tryClassify");
        vm.assertEq(InferenceNative.infer(VolatilityMlp.MODEL_ID, row)[0], z[0], "the precompile is there");
    }

    function test_errorsAreTheNodes() public {
        vm.expectRevert(abi.encodeWithSelector(IInference.UnknownModel.selector, bytes32("x")));
        this.infer("x", new int256[](8));
        vm.expectRevert(abi.encodeWithSelector(IInference.WrongLength.selector, 0, 0, 8, 7));
        this.infer(VolatilityMlp.MODEL_ID, new int256[](7));
    }

    function test_lessGasThanTheChargeBurnsAll() public view {
        bytes memory data = Inference.encodeInfer(VolatilityMlp.MODEL_ID, VolatilityMlp.row(VolatilityMlp.example()));
        uint256 quoted = Inference.quote(data);
        Inference.infer(VolatilityMlp.MODEL_ID, VolatilityMlp.row(VolatilityMlp.example()));
        (bool ok, uint256 used,) = caller.measure(INFERENCE_PRECOMPILE, quoted - 1, data);
        vm.assertFalse(ok, "one less");
        vm.assertEq(used, quoted - 1, "gas");
    }

    function test_mocksComeBeforeTheNode() public {
        setMockGas(50_000);
        mockOutput(VolatilityMlp.MODEL_ID, 7e18);
        vm.assertEq(Inference.infer(VolatilityMlp.MODEL_ID, new int256[](8))[0], 7e18);
        bytes memory reason = abi.encodeWithSelector(IInference.OutOfRange.selector, 0, 0, 2);
        mockFailure(BreastCancerLogreg.MODEL_ID, reason);
        vm.expectRevert(reason);
        this.infer(BreastCancerLogreg.MODEL_ID, new int256[](30));
    }

    function test_expectations() public {
        int256[] memory x = VolatilityMlp.row(VolatilityMlp.example());
        expectInference(VolatilityMlp.MODEL_ID, x);
        expectInference(VolatilityMlp.MODEL_ID, IInference.classify.selector, 0);
        Inference.infer(VolatilityMlp.MODEL_ID, x);
        int256[] memory row = BreastCancerLogreg.row(BreastCancerLogreg.example());
        expectClassification(BreastCancerLogreg.MODEL_ID, row);
        Inference.classify(BreastCancerLogreg.MODEL_ID, row);
    }

    /// @dev The fixture's registration is the test's own; the node answers.
    function test_fixturesMayBeUsedToo() public {
        vm.assertEq(useModel(VolatilityMlpFixture.model()), VolatilityMlp.MODEL_ID);
        vm.assertEq(VolatilityMlp.infer(VolatilityMlp.example()), VolatilityMlp.EXAMPLE_ANSWER);
    }

    function test_whatTheNodeSaidIsRecordedAndReplayed() public {
        string memory file = "cache/lockstep-kit/rpc.replay";
        if (vm.exists(file)) vm.removeFile(file);
        recordAnswers(file);
        vm.assertEq(VolatilityMlp.infer(VolatilityMlp.example()), VolatilityMlp.EXAMPLE_ANSWER);
        useRecording(file);
        vm.assertEq(VolatilityMlp.infer(VolatilityMlp.example()), VolatilityMlp.EXAMPLE_ANSWER);
    }

    function infer(bytes32 modelId, int256[] memory x) external view {
        Inference.infer(modelId, x);
    }
}
