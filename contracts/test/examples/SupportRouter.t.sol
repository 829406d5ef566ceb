// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Embedding} from "../../examples/support-router/Embedding.sol";
import {SupportRouter} from "../../examples/support-router/SupportRouter.sol";
import {Tensor} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {Tensors} from "../../src/Tensors.sol";
import {Test} from "../utils/Test.sol";

/// @notice The router with a model of three dimensions that the test makes up: each text has the vector it is given.
contract SupportRouterTest is Test {
    bytes32 private constant MODEL = keccak256("model");
    SupportRouter private router;

    event RequestRouted(
        uint256 indexed request, uint256 indexed topic, address indexed desk, int256 similarity, bytes32 tokens
    );

    function setUp() public {
        router = new SupportRouter(MODEL, 0.3e18);
        router.addTopic("billing", address(1), _text(10, ints(1e18, 0, 0)));
        router.addTopic("delivery", address(2), _text(20, ints(0, 0.6e18, 0.8e18)));
        router.addTopic("account", address(3), _text(30, ints(0, -1e18, 0)));
    }

    function test_theNearestTopicIsTaken() public {
        (uint256 topic, int256 similarity) = router.route(_text(1, ints(0, 0, 1e18)));
        vm.assertEq(topic, 1);
        vm.assertApproxEqAbs(similarity, 0.8e18, 1e11, "0.8 in f32");
        (topic,) = router.route(_text(2, ints(0.8e18, -0.6e18, 0)));
        vm.assertEq(topic, 0);
        (topic,) = router.route(_text(3, ints(0.6e18, -0.8e18, 0)));
        vm.assertEq(topic, 2);
    }

    function test_whatIsNearToNoneGoesNowhere() public {
        int32[] memory text = _text(4, ints(-1e18, 0, 0));
        (uint256 topic, int256 similarity) = router.route(text);
        vm.assertEq(topic, router.NO_TOPIC());
        vm.assertEq(similarity, 0);
        vm.expectEmit(true, true, true, true, address(router));
        emit RequestRouted(0, topic, address(0), 0, keccak256(abi.encode(text)));
        router.submit(text);
    }

    function test_requestsAreNumberedAndSentToTheDesk() public {
        int32[] memory text = _text(5, ints(1e18, 0, 0));
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(true, true, true, true, address(router));
            emit RequestRouted(i, 0, address(1), 1e18, keccak256(abi.encode(text)));
            (uint256 request, uint256 topic) = router.submit(text);
            vm.assertEq(request, i);
            vm.assertEq(topic, 0);
        }
        (string memory name, address desk) = router.topicAt(0);
        vm.assertEq(name, "billing");
        vm.assertEq(desk, address(1));
        vm.assertEq(router.topicCount(), 3);
    }

    function test_refusals() public {
        int32[] memory text = _text(6, ints(1e18, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(SupportRouter.TokenCount.selector, 64, 0));
        router.route(new int32[](0));
        vm.expectRevert(abi.encodeWithSelector(SupportRouter.TokenCount.selector, 64, 65));
        router.route(new int32[](65));
        vm.prank(address(7));
        vm.expectRevert(abi.encodeWithSelector(SupportRouter.NotOwner.selector, address(this), address(7)));
        router.addTopic("x", address(7), text);
        SupportRouter empty = new SupportRouter(MODEL, 0);
        vm.expectRevert(SupportRouter.NoTopics.selector);
        empty.route(text);
        for (uint256 i = 3; i < 32; ++i) {
            router.addTopic("x", address(7), text);
        }
        vm.expectRevert(abi.encodeWithSelector(SupportRouter.TooManyTopics.selector, 32));
        router.addTopic("x", address(7), text);
    }

    function test_anotherSpaceIsRefused() public {
        int256[] memory two = new int256[](2);
        vm.expectRevert(abi.encodeWithSelector(Embedding.WidthsDiffer.selector, 2, 3));
        router.route(_text(8, two));
    }

    function test_valuesBeyondTheFormatAreRefused() public {
        int32[] memory text = _text(9, ints(0, 10e18, 0));
        vm.expectRevert(abi.encodeWithSelector(Embedding.ValueTooLarge.selector, 1, 10e18));
        router.route(text);
    }

    /// @dev The packed dot product against one over words.
    function testFuzz_dotIsTheSumOfProducts(int256[7] memory a, int256[7] memory b) public pure {
        (int256[] memory x, int256[] memory y) = (new int256[](7), new int256[](7));
        int256 want;
        for (uint256 i; i < 7; ++i) {
            // Multiples of 2^-18 below 8: exact in f32 and with 18 decimals.
            x[i] = bound(a[i], -2097151, 2097151) * 3814697265625;
            y[i] = bound(b[i], -2097151, 2097151) * 3814697265625;
            want += x[i] * y[i];
        }
        uint32[] memory shape = Tensors.shape1(7);
        bytes memory p = Embedding.fromTensor(Tensors.fromWad(x, shape));
        bytes memory q = Embedding.fromTensor(Tensors.fromWad(y, shape));
        vm.assertEq(p.length, 56, "packed");
        vm.assertEq(Embedding.dot(p, q), want / 1e18);
    }

    /// @dev Token ids for which the model gives this vector.
    function _text(int32 id, int256[] memory vector) private returns (int32[] memory ids) {
        ids = new int32[](2);
        (ids[0], ids[1]) = (101, id);
        bool[] memory mask = new bool[](2);
        (mask[0], mask[1]) = (true, true);
        Tensor[] memory inputs = new Tensor[](2);
        inputs[0] = Tensors.fromInt32Array(ids, Tensors.shape2(1, 2));
        inputs[1] = Tensors.fromBoolArray(mask, Tensors.shape2(1, 2));
        Tensor[] memory outputs = new Tensor[](1);
        outputs[0] = Tensors.fromWad(vector, Tensors.shape2(1, uint32(vector.length)));
        vm.mockCall(Inference.PRECOMPILE, Inference.encodeRun(MODEL, inputs), abi.encode(outputs));
    }
}
