// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelConsumer} from "../../examples/ModelConsumer.sol";
import {IInference, Tensor} from "../../src/IInference.sol";
import {Tensors} from "../../src/Tensors.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Test} from "../utils/Test.sol";

contract ModelConsumerTest is Test, InferenceTest {
    bytes32 private constant ID = keccak256("model");
    ModelConsumer private consumer;

    function setUp() public {
        consumer = new ModelConsumer();
    }

    function test_infer() public {
        int256[] memory y = ints(1e18, -2e18, 3e18);
        mockOutput(ID, y);
        vm.expectEmit(true, true, true, true, address(consumer));
        emit ModelConsumer.Inferred(ID, y);
        vm.assertEq(consumer.infer(ID, ints(0, 0, 0)), y);
        vm.assertEq(consumer.lastAnswer(), keccak256(abi.encode(y)));
    }

    function test_classify() public {
        uint256[] memory class = new uint256[](3);
        class[1] = 7;
        int256[] memory score = ints(0.5e18, 0.9e18, 1e18);
        mockOutput(ID, class, score);
        vm.expectEmit(true, true, true, true, address(consumer));
        emit ModelConsumer.Classified(ID, class, score);
        consumer.classify(ID, ints(0, 0, 0));
        vm.assertEq(consumer.lastAnswer(), keccak256(abi.encode(class, score)));
    }

    function test_run() public {
        Tensor[] memory outputs = new Tensor[](1);
        outputs[0] = Tensors.fromWad(ints(1e18, 0, 0), Tensors.shape1(3));
        mockOutput(ID, outputs);
        vm.expectEmit(true, true, true, true, address(consumer));
        emit ModelConsumer.Ran(ID, outputs);
        consumer.run(ID, new Tensor[](0));
        vm.assertEq(consumer.lastAnswer(), keccak256(abi.encode(outputs)));
    }

    function test_failureLeavesTheLastAnswer() public {
        mockOutput(ID, ints(1, 2, 3));
        consumer.infer(ID, ints(0, 0, 0));
        bytes32 last = consumer.lastAnswer();
        bytes memory reason = abi.encodeWithSelector(IInference.WrongLength.selector, 0, 0, 8, 3);
        mockFailure(ID, reason);
        vm.expectRevert(reason);
        consumer.infer(ID, ints(0, 0, 0));
        vm.assertEq(consumer.lastAnswer(), last);
    }
}
