// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference, Tensor} from "lockstep/IInference.sol";
import {TwinCall} from "lockstep/twin/TwinCall.sol";
import {TwinGraph} from "lockstep/twin/TwinGraph.sol";
import {Program} from "lockstep/twin/TwinProgram.sol";
import {TwinVectors} from "./Vectors.sol";

/// @notice Graphs with one byte changed: what the engine's decoder refuses, the twin's refuses too.
contract TwinDecodingTest is TwinVectors {
    function decode(bytes memory graph, Tensor[] memory x) external pure {
        Program memory p = TwinGraph.decode(graph, TwinCall.request(x));
        TwinCall.readTensors(p, x);
    }

    function check(string memory name, uint256 inputs) private view {
        string memory json = vm.readFile(string.concat("contracts/test/twin/vectors/model_", name, ".json"));
        bytes memory graph = vm.parseJsonBytes(json, ".graph");
        Tensor[] memory x = new Tensor[](inputs);
        for (uint256 i; i < inputs; ++i) {
            x[i] = tensor(vm.parseJsonBytes(json, string.concat(".calls[0].inputs[", vm.toString(i), "]")));
        }
        bytes memory v = readVectors("mutations.json", name);
        uint256 refused;
        for (uint256 i; i < v.length; i += 4) {
            (uint256 position, bytes1 changed) = (wordAt(v, i) >> 16, v[i + 2]);
            bytes1 before = graph[position];
            graph[position] = changed;
            if (v[i + 3] == 0) {
                try this.decode(graph, x) {
                    vm.assertTrue(false, string.concat(name, " decodes with another byte at ", vm.toString(position)));
                } catch {}
                ++refused;
            } else if (changed == before) {
                this.decode(graph, x);
            }
            graph[position] = before;
        }
        vm.assertGt(refused, 50, "graphs that the engine refuses");
    }

    function test_changedGraphs() public view {
        check("wine_mixed", 8);
        check("breast_cancer_logreg", 1);
    }

    function test_everyPrefixIsRefused() public {
        string memory json = vm.readFile("contracts/test/twin/vectors/model_breast_cancer_logreg.json");
        bytes memory graph = vm.parseJsonBytes(json, ".graph");
        Tensor[] memory x = new Tensor[](1);
        x[0] = tensor(vm.parseJsonBytes(json, ".calls[0].inputs[0]"));
        this.decode(graph, x);
        for (uint256 n = graph.length; n > 0; --n) {
            bytes memory prefix = new bytes(n - 1);
            for (uint256 i; i < n - 1; ++i) {
                prefix[i] = graph[i];
            }
            vm.expectPartialRevert(IInference.InvalidGraph.selector);
            this.decode(prefix, x);
        }
    }

    function test_inputsAreChecked() public {
        string memory json = vm.readFile("contracts/test/twin/vectors/model_wine_mixed.json");
        bytes memory graph = vm.parseJsonBytes(json, ".graph");
        Tensor[] memory x = new Tensor[](8);
        for (uint256 i; i < 8; ++i) {
            x[i] = tensor(vm.parseJsonBytes(json, string.concat(".calls[0].inputs[", vm.toString(i), "]")));
        }
        x[1].dtype = 7;
        vm.expectRevert(abi.encodeWithSelector(IInference.WrongType.selector, 0, 1, 1, 7));
        this.decode(graph, x);
        x[1].dtype = 1;
        x[1].shape[0] = 2;
        vm.expectRevert(abi.encodeWithSelector(IInference.DimensionConflict.selector, "batch", 1, 2));
        this.decode(graph, x);
        x[1].shape[0] = 1;
        x[1].shape[1] = 2;
        vm.expectRevert(abi.encodeWithSelector(IInference.WrongShape.selector, 0, 1, 1, 1, 2));
        this.decode(graph, x);
        x[1].shape[1] = 1;
        x[1].data = hex"00";
        vm.expectRevert(abi.encodeWithSelector(IInference.WrongLength.selector, 0, 1, 4, 1));
        this.decode(graph, x);
        vm.expectRevert(abi.encodeWithSelector(IInference.WrongInputCount.selector, 8, 7));
        assembly {
            mstore(x, 7)
        }
        this.decode(graph, x);
    }
}
