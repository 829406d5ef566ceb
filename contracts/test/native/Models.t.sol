// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Inference} from "../../src/Inference.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Backend} from "../../src/test-kit/KitStore.sol";
import {Test} from "../utils/Test.sol";

/// @notice Every committed model under forge: the bits of the scalar reference, and the node's gas.
/// @dev models.json is written by `cargo run --release -p lockstep-tests --example forge_models`.
contract NativeModelsTest is Test, InferenceTest {
    function test_everyModelHasTheBitsOfTheReference() public {
        useBackend(Backend.Native);
        string memory json = vm.readFile("contracts/test/native/models.json");
        string[] memory names = vm.parseJsonKeys(json, "$");
        vm.assertGe(names.length, 9, "models");
        for (uint256 i; i < names.length; ++i) {
            useModel(string.concat("target/models/", names[i], ".lsm"));
            string memory at_ = string.concat(".", names[i]);
            bytes memory call = vm.parseJsonBytes(json, string.concat(at_, ".call"));
            (bool ok, bytes memory answer) = address(0xa11).staticcall(call);
            vm.assertTrue(ok, names[i]);
            vm.assertEq(keccak256(answer), keccak256(vm.parseJsonBytes(json, string.concat(at_, ".answer"))));
            vm.assertEq(Inference.quote(call), vm.parseJsonUint(json, string.concat(at_, ".gas")));
        }
    }
}
