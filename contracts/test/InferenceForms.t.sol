// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, Tensor} from "../src/IInference.sol";
import {Inference} from "../src/Inference.sol";
import {InferenceCall} from "../src/InferenceCall.sol";
import {InferenceNative} from "../src/InferenceNative.sol";
import {InferenceSolidity} from "../src/InferenceSolidity.sol";
import {Tensors} from "../src/Tensors.sol";
import {InferenceTest} from "../src/test-kit/InferenceTest.sol";
import {KIT_TWIN} from "../src/test-kit/KitVm.sol";
import {BreastCancerLogreg} from "./models/BreastCancerLogreg.sol";
import {BreastCancerLogregFixture} from "./models/BreastCancerLogregFixture.sol";
import {Test} from "./utils/Test.sol";

/// @notice Precompile, twin, and whichever is there: one answer.
contract InferenceFormsTest is Test, InferenceTest {
    bytes32 private constant ID = BreastCancerLogreg.MODEL_ID;
    int256[] private x;

    function setUp() public {
        useModel(BreastCancerLogregFixture.model());
        x = BreastCancerLogreg.row(BreastCancerLogreg.example());
    }

    function test_allFormsGiveOneAnswer() public view {
        int256[] memory y = Inference.infer(ID, x);
        vm.assertEq(InferenceNative.infer(ID, x), y);
        vm.assertEq(InferenceSolidity.infer(KIT_TWIN, ID, x), y);
        (uint256[] memory class, int256[] memory score) = Inference.classify(ID, x);
        (uint256[] memory native, int256[] memory nativeScore) = InferenceNative.classify(ID, x);
        (uint256[] memory twin, int256[] memory twinScore) = InferenceSolidity.classify(KIT_TWIN, ID, x);
        vm.assertEq(native, class);
        vm.assertEq(twin, class);
        vm.assertEq(nativeScore, score);
        vm.assertEq(twinScore, score);
        bytes32 tensors = keccak256(abi.encode(Inference.run(ID, _tensors())));
        vm.assertEq(keccak256(abi.encode(InferenceNative.run(ID, _tensors()))), tensors);
        vm.assertEq(keccak256(abi.encode(InferenceSolidity.run(KIT_TWIN, ID, _tensors()))), tensors);
        vm.assertEq(InferenceSolidity.quote(KIT_TWIN, Inference.encodeInfer(ID, x)), Inference.quoteInfer(ID, x));
    }

    function test_triesGiveOneAnswer() public view {
        int256[] memory y = Inference.infer(ID, x);
        (bool ok, int256[] memory got, bytes memory reason) = InferenceNative.tryInfer(ID, x);
        vm.assertTrue(ok && reason.length == 0, "native");
        vm.assertEq(got, y);
        (ok, got, reason) = InferenceSolidity.tryInfer(KIT_TWIN, ID, x);
        vm.assertTrue(ok && reason.length == 0, "twin");
        vm.assertEq(got, y);
        int256[] memory short = new int256[](3);
        uint256[] memory class;
        (ok,,, reason) = InferenceNative.tryClassify(ID, short);
        vm.assertFalse(ok, "native");
        bytes memory expected = abi.encodeWithSelector(IInference.WrongLength.selector, 0, 0, 30, 3);
        vm.assertEq(reason, expected);
        (ok, class, got, reason) = InferenceSolidity.tryClassify(KIT_TWIN, ID, short);
        vm.assertFalse(ok, "twin");
        vm.assertEq(reason, expected);
        (ok, class,,) = InferenceSolidity.tryClassify(KIT_TWIN, ID, x);
        vm.assertEq(class[0], BreastCancerLogreg.EXAMPLE_CLASS);
        (ok, got,) = InferenceSolidity.tryInfer(KIT_TWIN, "unknown", x);
        vm.assertFalse(ok, "unknown");
        (ok, got,) = InferenceNative.tryInfer("unknown", x);
        vm.assertFalse(ok, "unknown");
    }

    function test_batches() public view {
        int256[][] memory rows = new int256[][](3);
        (rows[0], rows[1], rows[2]) = (x, new int256[](30), x);
        int256[] memory y = Inference.inferBatch(ID, rows);
        int256[] memory one = Inference.infer(ID, x);
        vm.assertEq(y.length, 3 * one.length);
        vm.assertEq(y[y.length - 1], one[one.length - 1]);
        (uint256[] memory class,) = Inference.classifyBatch(ID, rows);
        vm.assertEq(class.length, 3);
        vm.assertEq(class[2], BreastCancerLogreg.EXAMPLE_CLASS);
    }

    function test_quotes() public view {
        vm.assertEq(Inference.quoteClassify(ID, x), Inference.quote(Inference.encodeClassify(ID, x)));
        vm.assertEq(Inference.quoteRun(ID, _tensors()), Inference.quote(Inference.encodeRun(ID, _tensors())));
    }

    function test_isRefusalIsPublic() public pure {
        vm.assertTrue(Inference.isRefusal(abi.encodeWithSelector(IInference.UnknownModel.selector, ID)), "refusal");
        vm.assertFalse(Inference.isRefusal(""), "out of gas");
    }

    function test_nativeNeedsThePrecompile() public {
        vm.assertTrue(InferenceNative.isPresent(), "the kit stands for it");
        bytes memory twin = KIT_TWIN.code;
        vm.etch(INFERENCE_PRECOMPILE, twin);
        vm.assertFalse(InferenceNative.isPresent(), "the twin is not the precompile");
        vm.assertEq(Inference.infer(ID, x), InferenceSolidity.infer(KIT_TWIN, ID, x));
        bytes memory missing = abi.encodeWithSelector(InferenceCall.MissingPrecompile.selector, INFERENCE_PRECOMPILE);
        vm.expectRevert(missing);
        this.nativeInfer();
        vm.expectRevert(missing);
        this.nativeClassify();
        vm.etch(INFERENCE_PRECOMPILE, "");
        vm.expectRevert(missing);
        this.nativeInfer();
    }

    function test_twinThatIsNotThereIsNamed() public {
        vm.expectRevert(abi.encodeWithSelector(InferenceCall.MissingPrecompile.selector, address(0x7777)));
        this.twinInfer();
    }

    function nativeInfer() external view {
        InferenceNative.infer(ID, x);
    }

    function nativeClassify() external view {
        InferenceNative.tryClassify(ID, x);
    }

    function twinInfer() external view {
        InferenceSolidity.infer(address(0x7777), ID, x);
    }

    function _tensors() private view returns (Tensor[] memory inputs) {
        inputs = new Tensor[](1);
        inputs[0] = Tensors.fromWad(x, Tensors.shape2(1, 30));
    }
}
