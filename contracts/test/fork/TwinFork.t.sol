// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Inference} from "../../src/Inference.sol";
import {Test} from "../utils/Test.sol";

/// @notice On a fork of a running node, with no flag but its URL: forge's EVM knows no precompile, runs the twin that the
/// node's genesis holds, and gets the node's answers.
/// @dev tests/tests/twin.rs starts the node and runs this with --fork-url. The calls are those of contracts/test/native.
contract TwinForkTest is Test {
    function test_everyModelOfTheNodeAnswersOnAFork() public view {
        string memory json = vm.readFile("contracts/test/native/models.json");
        string[] memory names = vm.parseJsonKeys(json, "$");
        vm.assertGe(names.length, 9, "models");
        for (uint256 i; i < names.length; ++i) {
            string memory path = string.concat(".", names[i]);
            bytes memory call = vm.parseJsonBytes(json, string.concat(path, ".call"));
            (bool ok, bytes memory answer) = address(0xa11).staticcall(call);
            vm.assertTrue(ok, names[i]);
            vm.assertEq(keccak256(answer), keccak256(vm.parseJsonBytes(json, string.concat(path, ".answer"))));
            vm.assertEq(Inference.quote(call), vm.parseJsonUint(json, string.concat(path, ".gas")));
        }
    }
}
