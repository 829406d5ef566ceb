// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference} from "lockstep/IInference.sol";
import {Twin} from "lockstep/twin/Twin.sol";
import {TwinRegistry} from "lockstep/twin/deploy/TwinRegistry.sol";
import {TwinVectors} from "./Vectors.sol";

/// @notice The twin and its registry on a chain that has neither precompile nor genesis contracts.
contract TwinDeploymentTest is TwinVectors {
    TwinRegistry private registry;
    IInference private twin;

    function setUp() public {
        registry = new TwinRegistry();
        twin = IInference(address(new Twin(registry)));
    }

    function one(bytes memory data) private returns (address[] memory list) {
        list = new address[](1);
        list[0] = registry.storeChunk(data);
    }

    function test_registersActivatesAndAnswers() public {
        string memory json = vm.readFile("contracts/test/twin/vectors/model_breast_cancer_logreg.json");
        bytes32 id =
            registry.register(1, one(vm.parseJsonBytes(json, ".graph")), one(vm.parseJsonBytes(json, ".weights")));
        registry.activate(id);
        json = vm.readFile("contracts/test/native/models.json");
        bytes memory call = vm.parseJsonBytes(json, ".breast_cancer_logreg.call");
        vm.expectRevert(abi.encodeWithSelector(IInference.ModelNotActive.selector, id, block.number + 1));
        (bool ok,) = address(twin).staticcall(call);
        vm.roll(block.number + 1);
        bytes memory answer;
        (ok, answer) = address(twin).staticcall(call);
        vm.assertTrue(ok, "an answer");
        vm.assertEq(answer, vm.parseJsonBytes(json, ".breast_cancer_logreg.answer"));
    }

    function test_graphsThatDoNotDecodeAreNotActivated() public {
        string memory json = vm.readFile("contracts/test/twin/vectors/model_breast_cancer_logreg.json");
        bytes memory graph = vm.parseJsonBytes(json, ".graph");
        graph[0] = 0x02;
        bytes32 id = registry.register(1, one(graph), one(vm.parseJsonBytes(json, ".weights")));
        vm.expectPartialRevert(IInference.InvalidGraph.selector);
        registry.activate(id);
    }
}
