// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, ModelInfo} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {IModelRegistry, Model} from "../../src/IModelRegistry.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {KitStore} from "../../src/test-kit/KitStore.sol";
import {ModelFixture} from "../../src/test-kit/ModelFixture.sol";
import {BreastCancerLogreg} from "../models/BreastCancerLogreg.sol";
import {BreastCancerLogregFixture} from "../models/BreastCancerLogregFixture.sol";
import {VolatilityMlp} from "../models/VolatilityMlp.sol";
import {VolatilityMlpFixture} from "../models/VolatilityMlpFixture.sol";
import {Caller} from "../utils/Caller.sol";
import {Test} from "../utils/Test.sol";

/// @notice The back end `reference`: no file, no ffi, no Rust.
contract ReferenceKitTest is Test, InferenceTest {
    Caller private caller;

    function setUp() public {
        caller = new Caller();
        useModel(VolatilityMlpFixture.model());
        useModel(BreastCancerLogregFixture.model());
    }

    function test_examplesAreAnsweredToTheLastDigit() public view {
        vm.assertEq(VolatilityMlp.infer(VolatilityMlp.example()), VolatilityMlp.EXAMPLE_ANSWER);
        (uint256 class, int256 score) = BreastCancerLogreg.classify(BreastCancerLogreg.example());
        vm.assertEq(class, BreastCancerLogreg.EXAMPLE_CLASS);
        vm.assertEq(score, BreastCancerLogreg.EXAMPLE_SCORE);
    }

    function test_gasIsTheQuote() public view {
        _checkQuote(_volatility());
        _checkQuote(
            Inference.encodeClassify(BreastCancerLogreg.MODEL_ID, BreastCancerLogreg.row(BreastCancerLogreg.example()))
        );
    }

    function test_repeatedCallIsAnsweredFromTheCacheAtTheSameGas() public view {
        bytes memory data = _volatility();
        (, uint256 first, bytes memory a) = caller.measure(INFERENCE_PRECOMPILE, 10_000_000, data);
        (, uint256 second, bytes memory b) = caller.measure(INFERENCE_PRECOMPILE, 10_000_000, data);
        vm.assertEq(first, second, "gas");
        vm.assertEq(a, b);
    }

    function test_lessGasThanTheChargeBurnsAll() public view {
        bytes memory data = _volatility();
        uint256 quoted = Inference.quote(data);
        Inference.infer(VolatilityMlp.MODEL_ID, VolatilityMlp.row(VolatilityMlp.example()));
        (bool ok, uint256 used,) = caller.measure(INFERENCE_PRECOMPILE, quoted - 1, data);
        vm.assertFalse(ok, "one less");
        vm.assertEq(used, quoted - 1, "gas");
        (ok,,) = caller.measure(INFERENCE_PRECOMPILE, quoted, data);
        vm.assertTrue(ok, "exactly");
    }

    function test_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IInference.UnknownModel.selector, bytes32("x")));
        this.infer("x", new int256[](8));
        vm.expectPartialRevert(IInference.WrongLength.selector);
        this.infer(VolatilityMlp.MODEL_ID, new int256[](7));
        vm.deal(address(this), 5);
        (bool ok, bytes memory reason) = INFERENCE_PRECOMPILE.call{value: 5}(hex"01020304");
        vm.assertFalse(ok, "value");
        vm.assertEq(reason, abi.encodeWithSelector(IInference.ValueNotAccepted.selector, 5));
        (ok, reason) = INFERENCE_PRECOMPILE.delegatecall(hex"01020304");
        vm.assertEq(reason, abi.encodeWithSelector(IInference.DelegateCall.selector, address(this)));
    }

    /// @dev Stage by stage, as docs/spec.md has the charges.
    function test_refusalsAreChargedToTheirStage() public {
        ModelFixture memory m = VolatilityMlpFixture.model();
        bytes memory wrong = Inference.encodeInfer(VolatilityMlp.MODEL_ID, new int256[](7));
        (, uint256 used,) = caller.measure(INFERENCE_PRECOMPILE, 1_000_000, wrong);
        vm.assertEq(used, 700 + 16 * ((wrong.length + 31) / 32) + 2600 + 15 * m.shapeItems, "shapes");
        bytes memory unknown = Inference.encodeInfer("x", new int256[](7));
        (, used,) = caller.measure(INFERENCE_PRECOMPILE, 1_000_000, unknown);
        vm.assertEq(used, 700 + 16 * ((unknown.length + 31) / 32) + 2600, "registry");
        vm.roll(2);
        (, used,) = caller.measure(INFERENCE_PRECOMPILE, 1_000_000, hex"01020304");
        vm.assertEq(used, 716, "bytes");
    }

    function test_describe() public view {
        ModelInfo memory info = Inference.describe(VolatilityMlp.MODEL_ID);
        vm.assertEq(info.rowFeatures, 8);
        vm.assertEq(info.features.length, 8);
        Model memory model = IModelRegistry(MODEL_REGISTRY).getModel(VolatilityMlp.MODEL_ID);
        vm.assertEq(model.graphHash, info.graphHash);
        vm.assertEq(model.weightsRoot, info.weightsRoot);
    }

    function test_otherBytesAreRefused() public {
        vm.expectPartialRevert(UnusableModel.selector);
        this.useAltered();
    }

    function test_largeModelIsRefusedByNamingNative() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                UnusableModel.selector,
                "big has 2097153 bytes, the reference back end takes 2097152: set LOCKSTEP_BACKEND=native"
            )
        );
        this.useLarge();
    }

    function test_expectedInferenceIsSeen() public {
        int256[] memory x = VolatilityMlp.row(VolatilityMlp.example());
        expectInference(VolatilityMlp.MODEL_ID, x);
        expectInference(VolatilityMlp.MODEL_ID, IInference.classify.selector, 0);
        Inference.infer(VolatilityMlp.MODEL_ID, x);
    }

    function infer(bytes32 modelId, int256[] memory x) external view {
        Inference.infer(modelId, x);
    }

    function useAltered() external {
        ModelFixture memory m = VolatilityMlpFixture.model();
        m.weights[3] ^= 0x01;
        useModel(m);
    }

    function useLarge() external {
        ModelFixture memory m;
        (m.name, m.graph, m.weights) = ("big", new bytes(1), new bytes(2 << 20));
        useModel(m);
    }

    function _volatility() private pure returns (bytes memory) {
        return Inference.encodeInfer(VolatilityMlp.MODEL_ID, VolatilityMlp.row(VolatilityMlp.example()));
    }

    function _checkQuote(bytes memory data) private view {
        (bool ok, uint256 used,) = caller.measure(INFERENCE_PRECOMPILE, 10_000_000, data);
        vm.assertTrue(ok, "call");
        vm.assertEq(used, Inference.quote(data), "gas");
    }
}
