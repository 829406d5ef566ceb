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
        for (uint256 i; vm.keyExistsJson(json, string.concat(".modules[", vm.toString(i), "]")); ++i) {
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

    /// @dev Calls from another account's context.
    function test_itAnswersAlikeInEveryContext() public {
        bytes32 modelId = load("breast_cancer_logreg");
        bytes memory call = abi.encodeCall(IInference.infer, (modelId, new int256[](30)));
        (bool ok, bytes memory want) = TWIN.staticcall(call);
        vm.assertTrue(ok, "a call");
        bytes memory got;
        // forge-lint: disable-next-line(controlled-delegatecall)
        (ok, got) = TWIN.delegatecall(call);
        vm.assertTrue(ok, "DELEGATECALL");
        vm.assertEq(got, want);
        address account = vm.addr(7);
        vm.etch(account, abi.encodePacked(hex"ef0100", TWIN));
        (ok, got) = account.staticcall(call);
        vm.assertTrue(ok, "an account that delegates to the twin");
        vm.assertEq(got, want);
        vm.etch(address(0x7777), TWIN.code);
        (ok, got) = address(0x7777).staticcall(call);
        vm.assertTrue(ok, "a copy");
        vm.assertEq(got, want);
        vm.deal(address(this), 1);
        (ok, got) = TWIN.call{value: 1}(call);
        vm.assertFalse(ok, "ether");
        vm.assertEq(got, abi.encodeWithSelector(IInference.ValueNotAccepted.selector, 1));
    }

    function cannot(bytes memory call, string memory reason) private {
        vm.expectRevert(abi.encodeWithSelector(IInference.TwinCannotRun.selector, reason));
        (bool ok,) = TWIN.staticcall(call);
        ok;
    }

    function test_whatItCannotRunSaysSo() public {
        bytes32 modelId = load("digits_mlp");
        cannot(abi.encodeCall(IInference.describe, (modelId)), "describe: ask a Lockstep node");
        cannot(abi.encodeCall(IInference.validate, ("")), "validate: ask a Lockstep node");
        bytes memory call = abi.encodeCall(IInference.infer, (modelId, new int256[](64)));
        (bool ok,) = TWIN.staticcall(call);
        vm.assertTrue(ok, "with its weights");
        // The record's list of weight chunks is emptied, as for weights that are known by their hash alone.
        uint256 slot = uint256(keccak256(abi.encode(modelId, 0)));
        vm.store(address(REGISTRY), bytes32(slot + 4), 0);
        cannot(call, "the model's weights are not on this chain");
        vm.etch(address(REGISTRY), "");
        cannot(call, "there is no model registry here");
    }

    /// @dev Without a chunk, and with a list that is not finished; the price needs no weights. Retired, it is not active.
    function test_weightsOffChainCannotRunButBePriced() public {
        bytes32 modelId = load("digits_mlp");
        bytes memory call = abi.encodeCall(IInference.infer, (modelId, new int256[](64)));
        uint256 slot = uint256(keccak256(abi.encode(modelId, 0)));
        (bool ok, bytes memory price) = TWIN.staticcall(abi.encodeCall(IInference.quote, (call)));
        vm.assertTrue(ok, "with its weights");
        uint256 chunks = uint256(vm.load(address(REGISTRY), bytes32(slot + 4)));
        for (uint256 listed; listed < chunks; ++listed) {
            vm.store(address(REGISTRY), bytes32(slot + 4), bytes32(listed));
            cannot(call, "the model's weights are not on this chain");
            bytes memory same;
            (ok, same) = TWIN.staticcall(abi.encodeCall(IInference.quote, (call)));
            vm.assertTrue(ok, "priced");
            vm.assertEq(same, price);
        }
        uint256 word = uint256(vm.load(address(REGISTRY), bytes32(slot)));
        vm.store(address(REGISTRY), bytes32(slot), bytes32(word & ~uint256(type(uint72).max) | 3));
        vm.expectRevert(abi.encodeWithSelector(IInference.ModelNotActive.selector, modelId, 0));
        (ok,) = TWIN.staticcall(call);
    }

    function test_modelsThatCannotBeCalled() public {
        bytes memory call = abi.encodeCall(IInference.infer, (bytes32(uint256(1)), new int256[](1)));
        vm.expectRevert(abi.encodeWithSelector(IInference.UnknownModel.selector, 1));
        (bool ok,) = TWIN.staticcall(call);
        string memory json = vm.readFile("contracts/test/twin/vectors/model_volatility_mlp.json");
        bytes32 id = register(vm.parseJsonBytes(json, ".graph"), vm.parseJsonBytes(json, ".weights"));
        call = abi.encodeCall(IInference.infer, (id, new int256[](8)));
        vm.expectRevert(abi.encodeWithSelector(IInference.ModelNotActive.selector, id, 0));
        (ok,) = TWIN.staticcall(call);
        activate(id, 500);
        vm.expectRevert(abi.encodeWithSelector(IInference.ModelNotActive.selector, id, 500));
        (ok,) = TWIN.staticcall(call);
        vm.roll(500);
        vm.assertEq(IInference(TWIN).infer(id, new int256[](8)).length, 1, "from its block on");
    }
}
