// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference, Tensor} from "lockstep/IInference.sol";
import {ModelRegistry} from "lockstep/ModelRegistry.sol";
import {TwinVectors} from "./Vectors.sol";

/// @notice Places the twin and the registry as genesis does, and registers models in it.
abstract contract TwinChain is TwinVectors {
    address internal constant TWIN = 0x0000000000000000000000000000000000000a11;
    ModelRegistry internal constant REGISTRY = ModelRegistry(0x0000000000000000000000000000000000000A12);

    /// @dev The build for genesis.
    function placeTwin() internal {
        string memory json = vm.readFile("contracts/twin.json");
        for (uint256 i; i < 9; ++i) {
            string memory module = string.concat(".modules[", vm.toString(i), "]");
            vm.etch(
                address(bytes20(vm.parseJsonBytes(json, string.concat(module, ".address")))),
                vm.parseJsonBytes(json, string.concat(module, ".code"))
            );
        }
        json = vm.readFile("contracts/predeploys.json");
        vm.etch(address(REGISTRY), vm.parseJsonBytes(json, ".registry.code"));
    }

    function register(bytes memory graph, bytes memory weights) internal returns (bytes32 modelId) {
        modelId = REGISTRY.register(1, chunks(graph), chunks(weights));
    }

    /// @dev Activated from a block on; only a node's `validate` lets the registry itself do it.
    function activate(bytes32 modelId, uint64 from) internal {
        bytes32 slot = keccak256(abi.encode(modelId, 0));
        uint256 word = uint256(vm.load(address(REGISTRY), slot)) & ~uint256(0xffffffffffffffffff);
        vm.store(address(REGISTRY), slot, bytes32(word | 2 | uint256(from) << 8));
    }

    function chunks(bytes memory data) private returns (address[] memory list) {
        list = new address[]((data.length + 24_511) / 24_512);
        for (uint256 i; i < list.length; ++i) {
            uint256 n = data.length - i * 24_512;
            bytes memory part = new bytes(n < 24_512 ? n : 24_512);
            for (uint256 k; k < part.length; k += 32) {
                assembly {
                    mstore(add(add(part, 32), k), mload(add(add(data, 32), add(mul(i, 24512), k))))
                }
            }
            // The last word may have run over the end: the rest of it is cut here.
            list[i] = REGISTRY.storeChunk(part);
        }
    }

    /// @dev Registered and active.
    function load(string memory name) internal returns (bytes32 modelId) {
        string memory json = vm.readFile(string.concat("contracts/test/twin/vectors/model_", name, ".json"));
        modelId = register(vm.parseJsonBytes(json, ".graph"), vm.parseJsonBytes(json, ".weights"));
        activate(modelId, 1);
    }
}

/// @notice The twin as genesis places it: the node's answers to the node's calls, with no flag.
contract TwinAnswersTest is TwinChain {
    event GasOfCall(string model, uint256 gas);

    function setUp() public {
        placeTwin();
    }

    /// @dev contracts/test/native/models.json holds a call of each committed model, the node's answer and its gas.
    function test_everyModelHasTheNodesAnswerAndItsPrice() public {
        string memory json = vm.readFile("contracts/test/native/models.json");
        string[] memory names = vm.parseJsonKeys(json, "$");
        vm.assertGe(names.length, 9, "models");
        for (uint256 i; i < names.length; ++i) {
            load(names[i]);
            string memory path = string.concat(".", names[i]);
            bytes memory call = vm.parseJsonBytes(json, string.concat(path, ".call"));
            uint256 gas = gasleft();
            (bool ok, bytes memory answer) = TWIN.staticcall(call);
            emit GasOfCall(names[i], gas - gasleft());
            vm.assertTrue(ok, names[i]);
            vm.assertEq(answer, vm.parseJsonBytes(json, string.concat(path, ".answer")), names[i]);
            uint256 price = IInference(TWIN).quote(call);
            vm.assertEq(price, vm.parseJsonUint(json, string.concat(path, ".gas")), names[i]);
        }
    }
}
