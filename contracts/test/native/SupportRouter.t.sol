// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {SupportRouter} from "../../examples/support-router/SupportRouter.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Test} from "../utils/Test.sol";

/// @notice The router with the real sentence transformer. Skipped where scripts/minilm.sh has not imported it: the model
/// is too large to be committed.
/// @dev support.json holds texts and their token ids; tests/minilm/tokens.py writes it.
contract SupportRouterNativeTest is Test, InferenceTest {
    string private constant FILE = "target/minilm/i8.lsm";
    SupportRouter private router;
    string private json;

    function setUp() public {
        if (!vm.exists(FILE)) {
            vm.skip(true, "target/minilm/i8.lsm is missing: scripts/minilm.sh imports it");
            return;
        }
        json = vm.readFile("contracts/test/native/support.json");
        router = new SupportRouter(useModel(FILE), 0.1e18);
        for (uint256 i; i < 4; ++i) {
            string memory at_ = string.concat(".topics[", vm.toString(i), "]");
            string memory name = vm.parseJsonString(json, string.concat(at_, ".name"));
            router.addTopic(name, address(uint160(i + 1)), _ids(at_));
        }
    }

    function test_requestsGoToTheDeskTheyBelongTo() public view {
        for (uint256 i; i < 6; ++i) {
            string memory at_ = string.concat(".requests[", vm.toString(i), "]");
            int256 want = vm.parseJsonInt(json, string.concat(at_, ".topic"));
            (uint256 topic, int256 similarity) = router.route(_ids(at_));
            string memory text = vm.parseJsonString(json, string.concat(at_, ".text"));
            vm.assertEq(topic, want < 0 ? router.NO_TOPIC() : uint256(want), text);
            vm.assertTrue(similarity > -1e18 && similarity < 1e18, "a cosine");
        }
    }

    function _ids(string memory at_) private view returns (int32[] memory ids) {
        int256[] memory list = vm.parseJsonIntArray(json, string.concat(at_, ".ids"));
        ids = new int32[](list.length);
        for (uint256 i; i < list.length; ++i) {
            ids[i] = int32(list[i]);
        }
    }
}
