// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Feature, IInference, ModelInfo, Tensor, TensorInfo} from "../src/IInference.sol";
import {Inference} from "../src/Inference.sol";
import {InferenceCall} from "../src/InferenceCall.sol";
import {Tensors} from "../src/Tensors.sol";
import {Test} from "./utils/Test.sol";

/// @notice The library against a mocked precompile.
contract InferenceLibraryTest is Test {
    address private constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;
    bytes32 private constant ID = keccak256("model");
    int256[] private x;

    function setUp() public {
        x = ints(1e18, -2e18, 0);
        vm.etch(PRECOMPILE, hex"fe");
    }

    // Answers

    function test_infer() public {
        vm.mockCall(PRECOMPILE, abi.encodeCall(IInference.infer, (ID, x)), abi.encode(ints(4, 5, 6)));
        vm.assertEq(Inference.infer(ID, x), ints(4, 5, 6));
        vm.assertEq(Inference.inferScalar(ID, x), 4);
        (bool ok, int256[] memory y, bytes memory reason) = Inference.tryInfer(ID, x);
        vm.assertTrue(ok, "ok");
        vm.assertEq(y, ints(4, 5, 6));
        vm.assertEq(reason.length, 0);
    }

    function test_classify() public {
        uint256[] memory class = new uint256[](1);
        class[0] = 3;
        vm.mockCall(PRECOMPILE, abi.encodeCall(IInference.classify, (ID, x)), abi.encode(class, ints(7, 8, 9)));
        (uint256[] memory gotClass, int256[] memory gotScore) = Inference.classify(ID, x);
        vm.assertEq(gotClass, class);
        vm.assertEq(gotScore, ints(7, 8, 9));
        (bool ok, uint256[] memory tryClass, int256[] memory tryScore,) = Inference.tryClassify(ID, x);
        vm.assertTrue(ok, "ok");
        vm.assertEq(tryClass, class);
        vm.assertEq(tryScore, ints(7, 8, 9));
    }

    function test_run() public {
        Tensor[] memory inputs = new Tensor[](2);
        inputs[0] = Tensors.fromUint8(hex"010203", Tensors.shape2(1, 3));
        inputs[1] = Tensors.fromInt64Array(new int64[](1), new uint32[](0));
        Tensor[] memory outputs = new Tensor[](1);
        outputs[0] = Tensors.fromWad(ints(1e18, 2e18, 3e18), Tensors.shape1(3));
        vm.mockCall(PRECOMPILE, abi.encodeCall(IInference.run, (ID, inputs)), abi.encode(outputs));
        vm.assertEq(Tensors.toWad(Inference.run(ID, inputs)[0]), ints(1e18, 2e18, 3e18));
    }

    function test_describe() public {
        ModelInfo memory info;
        info.rowFeatures = 30;
        info.labels = new string[](2);
        info.labels[1] = "benign";
        info.features = new Feature[](1);
        info.features[0] = Feature({name: "radius", categories: new string[](0)});
        info.inputs = new TensorInfo[](1);
        info.inputs[0] = TensorInfo({name: "x", dtype: 1, shape: new string[](2)});
        vm.mockCall(PRECOMPILE, abi.encodeCall(IInference.describe, (ID)), abi.encode(info));
        vm.assertEq(keccak256(abi.encode(Inference.describe(ID))), keccak256(abi.encode(info)));
    }

    function test_quote() public {
        bytes memory call = Inference.encodeInfer(ID, x);
        vm.mockCall(PRECOMPILE, abi.encodeCall(IInference.quote, (call)), abi.encode(uint256(1234)));
        vm.assertEq(Inference.quote(call), 1234);
    }

    // Failures

    function test_callersFaultIsCaught() public {
        bytes[] memory reasons = _refusals();
        for (uint256 i; i < reasons.length; ++i) {
            _answerWith(reasons[i]);
            (bool ok, int256[] memory y, bytes memory reason) = Inference.tryInfer(ID, x);
            vm.assertFalse(ok, "infer");
            vm.assertEq(y.length, 0);
            vm.assertEq(reason, reasons[i]);
            uint256[] memory class;
            (ok, class, y, reason) = Inference.tryClassify(ID, x);
            vm.assertFalse(ok, "classify");
            vm.assertEq(class.length, 0);
            vm.assertEq(reason, reasons[i]);
        }
    }

    function test_otherFailuresAreRaisedUnchanged() public {
        bytes[4] memory reasons = [
            abi.encodeWithSelector(IInference.TwinCannotRun.selector, "why"),
            abi.encodeWithSignature("Error(string)", "no error of ours"),
            bytes(hex"010203"),
            abi.encodeWithSignature("Panic(uint256)", 0x11)
        ];
        for (uint256 i; i < reasons.length; ++i) {
            _answerWith(reasons[i]);
            _expectRaised(reasons[i]);
        }
    }

    function test_refusalsAreRaisedUnchangedWhereNotTried() public {
        bytes[] memory reasons = _refusals();
        for (uint256 i; i < reasons.length; ++i) {
            _answerWith(reasons[i]);
            vm.expectRevert(reasons[i]);
            this.infer();
            vm.expectRevert(reasons[i]);
            this.classify();
        }
    }

    /// @dev The code at the address is INVALID here: all gas of the call is gone, nothing is returned.
    function test_outOfGasIsRaised() public {
        _expectRaised("");
    }

    function test_addressWithoutCode() public {
        vm.etch(PRECOMPILE, "");
        _expectRaised(abi.encodeWithSelector(InferenceCall.MissingPrecompile.selector, PRECOMPILE));
    }

    function test_emptyAnswerOfCodeIsNoAnswer() public {
        vm.etch(PRECOMPILE, hex"00");
        vm.expectRevert(bytes(""));
        this.infer();
    }

    function testFuzz_onlyListedSelectorsAreRefusals(bytes4 selector) public pure {
        bytes[] memory reasons = _refusals();
        bool listed;
        for (uint256 i; i < reasons.length; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            listed = listed || bytes4(reasons[i]) == selector;
        }
        vm.assertEq(Inference.isRefusal(abi.encodePacked(selector)), listed, "listed");
    }

    function infer() external view returns (int256[] memory) {
        return Inference.infer(ID, x);
    }

    function tryInfer() external view {
        Inference.tryInfer(ID, x);
    }

    function classify() external view {
        Inference.classify(ID, x);
    }

    function tryClassify() external view {
        Inference.tryClassify(ID, x);
    }

    function _answerWith(bytes memory reason) private {
        vm.mockCallRevert(PRECOMPILE, abi.encodeWithSelector(IInference.infer.selector), reason);
        vm.mockCallRevert(PRECOMPILE, abi.encodeWithSelector(IInference.classify.selector), reason);
    }

    function _expectRaised(bytes memory reason) private {
        vm.expectRevert(reason);
        this.infer();
        vm.expectRevert(reason);
        this.tryInfer();
        vm.expectRevert(reason);
        this.classify();
        vm.expectRevert(reason);
        this.tryClassify();
    }

    /// @dev Every error of docs/spec.md, section 5, but TwinCannotRun.
    function _refusals() private pure returns (bytes[] memory r) {
        r = new bytes[](21);
        r[0] = abi.encodeWithSelector(IInference.UnknownSelector.selector, bytes4(0));
        r[1] = abi.encodeWithSelector(IInference.NotCanonical.selector, 4);
        r[2] = abi.encodeWithSelector(IInference.UnknownModel.selector, ID);
        r[3] = abi.encodeWithSelector(IInference.ModelNotActive.selector, ID, 7);
        r[4] = abi.encodeWithSelector(IInference.NotTabular.selector, ID);
        r[5] = abi.encodeWithSelector(IInference.NotAClassifier.selector, ID);
        r[6] = abi.encodeWithSelector(IInference.WrongInputCount.selector, 1, 2);
        r[7] = abi.encodeWithSelector(IInference.WrongLength.selector, 0, 0, 30, 3);
        r[8] = abi.encodeWithSelector(IInference.WrongType.selector, 0, 0, 1, 2);
        r[9] = abi.encodeWithSelector(IInference.WrongShape.selector, 0, 0, 1, 2, 3);
        r[10] = abi.encodeWithSelector(IInference.DimensionConflict.selector, "batch", 1, 2);
        r[11] = abi.encodeWithSelector(IInference.OutOfRange.selector, 0, 0, 2);
        r[12] = abi.encodeWithSelector(IInference.NotANumber.selector, 1, 0, 2);
        r[13] = abi.encodeWithSelector(IInference.NotRepresentable.selector, 1, 0, 2);
        r[14] = abi.encodeWithSelector(IInference.ShapeMismatch.selector, 3, "MatMul");
        r[15] = abi.encodeWithSelector(IInference.ComputationFailed.selector, 3, "Div", "division by zero");
        r[16] = abi.encodeWithSelector(IInference.LimitExceeded.selector, "maxPeakMemory", 1, 2);
        r[17] = abi.encodeWithSelector(IInference.InvalidGraph.selector, "why");
        r[18] = abi.encodeWithSelector(IInference.ValueNotAccepted.selector, 1);
        r[19] = abi.encodeWithSelector(IInference.DelegateCall.selector, address(1));
        r[20] = abi.encodeWithSelector(IInference.InvalidWeights.selector, "why");
    }
}
