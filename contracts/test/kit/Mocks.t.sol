// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference, Tensor} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {Tensors} from "../../src/Tensors.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Test} from "../utils/Test.sol";

/// @notice The kit's made-up answers, which need no binary.
contract MocksTest is Test, InferenceTest {
    bytes32 private constant ID = keccak256("a model");
    bytes32 private constant OTHER = keccak256("another model");

    function setUp() public {
        mockOutput(ID, 7e18);
    }

    function test_infer() public view {
        vm.assertEq(Inference.inferScalar(ID, ints(1, 2, 3)), 7e18);
    }

    function test_lastMockHolds() public {
        mockOutput(ID, ints(1, 2, 3));
        vm.assertEq(Inference.infer(ID, ints(0, 0, 0)), ints(1, 2, 3));
    }

    function test_classify() public {
        uint256[] memory class = new uint256[](1);
        int256[] memory score = new int256[](1);
        (class[0], score[0]) = (2, 0.75e18);
        mockOutput(ID, class, score);
        (uint256[] memory gotClass, int256[] memory gotScore) = Inference.classify(ID, ints(1, 2, 3));
        vm.assertEq(gotClass, class);
        vm.assertEq(gotScore, score);
    }

    function test_run() public {
        Tensor[] memory outputs = new Tensor[](1);
        outputs[0] = Tensors.fromUint8(hex"0102", Tensors.shape1(2));
        mockOutput(ID, outputs);
        Tensor[] memory got = Inference.run(ID, new Tensor[](0));
        vm.assertEq(got[0].data, hex"0102");
    }

    function test_failure() public {
        mockFailure(ID, abi.encodeWithSelector(IInference.OutOfRange.selector, 0, 0, 2));
        vm.expectRevert(abi.encodeWithSelector(IInference.OutOfRange.selector, 0, 0, 2));
        this.inferOutside(ID);
    }

    function test_otherModelIsUnknown() public {
        vm.expectRevert(abi.encodeWithSelector(IInference.UnknownModel.selector, OTHER));
        this.inferOutside(OTHER);
    }

    function test_quoteIsTheGasUsed() public {
        setMockGas(54_321);
        bytes memory call = Inference.encodeInfer(ID, ints(1, 2, 3));
        vm.assertEq(Inference.quote(call), 54_321);
        uint256 before = gasleft();
        (bool ok,) = address(0xa11).staticcall(call);
        uint256 used = before - gasleft();
        vm.assertTrue(ok, "status");
        vm.assertApproxEqAbs(used, 54_321 + 100, 600, "gas");
    }

    function test_lessGasThanTheMockUsesBurnsAll() public view {
        (bool ok, bytes memory answer) =
            address(0xa11).staticcall{gas: DEFAULT_MOCK_GAS - 1}(Inference.encodeInfer(ID, ints(1, 2, 3)));
        vm.assertFalse(ok, "status");
        vm.assertEq(answer.length, 0);
    }

    function inferOutside(bytes32 modelId) external view returns (int256[] memory) {
        return Inference.infer(modelId, ints(1, 2, 3));
    }
}
