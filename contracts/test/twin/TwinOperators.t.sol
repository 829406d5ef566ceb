// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference, Tensor} from "lockstep/IInference.sol";
import {TwinInterpreter} from "lockstep/twin/TwinInterpreter.sol";
import {TwinVectors} from "./Vectors.sol";

/// @notice Graphs of one operator, each kind on each type with special values, against the engine's answers.
contract TwinOperatorsTest is TwinVectors {
    TwinInterpreter private twin;

    function setUp() public {
        twin = new TwinInterpreter();
    }

    /// @dev The part at `position`: its length, then its bytes.
    function part(bytes memory v, uint256 position) private pure returns (bytes memory p, uint256 next) {
        uint256 n = wordAt(v, position);
        p = new bytes(n);
        for (uint256 i; i < n; i += 32) {
            assembly ("memory-safe") {
                mstore(add(add(p, 32), i), mload(add(add(add(v, 36), position), i)))
            }
        }
        assembly ("memory-safe") {
            mstore(0x40, and(add(add(p, 95), n), not(31)))
        }
        next = position + 4 + n;
    }

    function check(string calldata file) external view returns (uint256 cases, uint256 failures) {
        bytes memory v = readVectors(file, "cases");
        uint256 position;
        while (position < v.length) {
            bytes memory graph;
            bytes memory p;
            (graph, position) = part(v, position);
            (p, position) = part(v, position);
            Tensor[] memory x = new Tensor[](uint8(p[0]));
            for (uint256 i; i < x.length; ++i) {
                (p, position) = part(v, position);
                x[i] = tensor(p);
            }
            (p, position) = part(v, position);
            try twin.run(graph, "", x) returns (Tensor[] memory y) {
                assert(y.length == 1 && p.length > 0);
                vm.assertEq(abi.encode(y[0]), abi.encode(tensor(p)), string.concat(file, " case ", vm.toString(cases)));
            } catch (bytes memory reason) {
                assert(p.length == 0 && bytes4(reason) == IInference.ComputationFailed.selector);
                ++failures;
            }
            ++cases;
        }
    }

    function test_operators() public view {
        (uint256 cases, uint256 failures) = (0, 0);
        for (uint256 i;; ++i) {
            string memory file = string.concat("operators_", vm.toString(i), ".json");
            if (!vm.exists(string.concat("contracts/test/twin/vectors/", file))) break;
            // In a frame of its own, whose memory goes with it.
            (uint256 n, uint256 failed) = this.check(file);
            (cases, failures) = (cases + n, failures + failed);
        }
        vm.assertGt(cases, 900, "cases");
        vm.assertGt(failures, 20, "calls that fail");
    }

    function test_ensemblesOfEveryAggregate() public view {
        bytes memory v = readVectors("trees.json", "cases");
        (uint256 position, uint256 cases) = (0, 0);
        for (; position < v.length; ++cases) {
            bytes memory graph;
            bytes memory weights;
            bytes memory p;
            (graph, position) = part(v, position);
            (weights, position) = part(v, position);
            (p, position) = part(v, position);
            Tensor[] memory x = new Tensor[](1);
            x[0] = tensor(p);
            (p, position) = part(v, position);
            Tensor[] memory y = twin.run(graph, weights, x);
            vm.assertEq(abi.encode(y[0]), abi.encode(tensor(p)), string.concat("ensemble ", vm.toString(cases)));
        }
        vm.assertEq(cases, 24);
    }
}
