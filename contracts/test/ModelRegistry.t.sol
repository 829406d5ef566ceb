// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "../src/IInference.sol";
import {IModelRegistry, Model} from "../src/IModelRegistry.sol";
import {MerkleReference} from "./utils/MerkleReference.sol";
import {RegistryTest, VanishingChunk} from "./utils/RegistryTest.sol";

/// @notice The registry as genesis places it: the code of contracts/predeploys.json at 0x…0A12.
contract ModelRegistryTest is RegistryTest {
    // Chunks

    function testFuzz_chunkIsStopAndData(bytes calldata data, uint256 length) public {
        bytes memory stored = _data(data, bound(length, 1, FULL));
        address chunk = REGISTRY.storeChunk(stored);
        vm.assertEq(chunk.code, bytes.concat(hex"00", stored));
        vm.assertEq(REGISTRY.chunkAddress(keccak256(_initCode(stored))), chunk);
        vm.assertEq(chunk.codehash, MerkleReference.leaf(stored));
    }

    function test_chunkIsStoredOnce() public {
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.ChunkStored(REGISTRY.chunkAddress(keccak256(_initCode("abc"))));
        address first = REGISTRY.storeChunk("abc");
        vm.recordLogs();
        vm.assertEq(REGISTRY.storeChunk("abc"), first);
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_chunkAddressWithEtherIsNoHindrance() public {
        address chunk = REGISTRY.chunkAddress(keccak256(_initCode("abc")));
        vm.deal(chunk, 1 ether);
        vm.assertEq(REGISTRY.storeChunk("abc"), chunk);
    }

    function test_chunkRunsAsNothing() public {
        (bool ok, bytes memory returned) = REGISTRY.storeChunk(hex"fe").call(hex"12345678");
        vm.assertTrue(ok, "STOP");
        vm.assertEq(returned.length, 0);
    }

    function test_chunkLengthIsBounded() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChunkLength.selector, FULL, 0));
        REGISTRY.storeChunk("");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChunkLength.selector, FULL, FULL + 1));
        REGISTRY.storeChunk(new bytes(FULL + 1));
    }

    function test_chunkThatCannotBePaidFor() public {
        bytes memory data = new bytes(FULL);
        address chunk = REGISTRY.chunkAddress(keccak256(_initCode(data)));
        // CREATE2 gets 63/64 of this, which is less than 200 gas for each byte of code.
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChunkNotCreated.selector, chunk));
        REGISTRY.storeChunk{gas: 4_900_000}(data);
    }

    // Registration

    function test_registerStoresTheRecord() public {
        address[] memory graph = _store(_data("graph", FULL + 100));
        address[] memory weights = _store(_data("weights", 3 * FULL + 5));
        bytes32 graphHash = keccak256(_data("graph", FULL + 100));
        bytes32 root = MerkleReference.root(_data("weights", 3 * FULL + 5), FULL);
        bytes32 id = keccak256(abi.encode(keccak256("lockstep.model.v1"), uint256(1), graphHash, root));

        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.ModelRegistered(id, address(this), graphHash, root);
        vm.assertEq(REGISTRY.register(1, graph, weights), id);

        Model memory model = REGISTRY.getModel(id);
        vm.assertEq(model.status, 1);
        vm.assertEq(model.activationBlock, 0);
        vm.assertEq(model.ls1Version, 1);
        vm.assertEq(model.graphLength, FULL + 100);
        vm.assertEq(model.weightsLength, 3 * FULL + 5);
        vm.assertEq(model.graphHash, graphHash);
        vm.assertEq(model.weightsRoot, root);
        vm.assertEq(keccak256(abi.encode(model.graphChunks)), keccak256(abi.encode(graph)));
        vm.assertEq(keccak256(abi.encode(model.weightChunks)), keccak256(abi.encode(weights)));
        vm.assertEq(REGISTRY.modelCount(), 1);
        vm.assertEq(REGISTRY.modelAt(0), id);
        vm.assertEq(REGISTRY.activeCount(), 0);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_rootsAgreeWithTheReference(uint256 graphLength, uint256 weightsLength, bytes32 seed) public {
        bytes memory graph = _data(abi.encode(seed), bound(graphLength, 1, 3 * FULL));
        bytes memory weights = _data(abi.encode(seed, 1), bound(weightsLength, 0, 7 * FULL));
        Model memory model = REGISTRY.getModel(REGISTRY.register(1, _store(graph), _store(weights)));
        vm.assertEq(model.graphHash, keccak256(graph));
        vm.assertEq(model.weightsRoot, MerkleReference.root(weights, FULL));
        vm.assertEq(model.graphLength, graph.length);
        vm.assertEq(model.weightsLength, weights.length);
    }

    function test_rootsOverChunkCounts() public {
        address[] memory graph = _store("graph");
        for (uint256 chunks; chunks < 10; ++chunks) {
            bytes memory weights = _data("weights", chunks * FULL);
            Model memory model = REGISTRY.getModel(REGISTRY.register(1, graph, _store(weights)));
            vm.assertEq(model.weightsRoot, MerkleReference.root(weights, FULL));
        }
    }

    function test_registeringAgainChangesNothing() public {
        address[] memory graph = _store("graph");
        bytes32 id = REGISTRY.register(1, graph, new address[](0));
        vm.recordLogs();
        vm.prank(address(1));
        vm.assertEq(REGISTRY.register(1, graph, new address[](0)), id);
        vm.assertEq(vm.getRecordedLogs().length, 0);
        vm.assertEq(REGISTRY.modelCount(), 1);
    }

    function test_versionAndOrderArePartOfTheId() public {
        address[] memory none = new address[](0);
        bytes32 one = REGISTRY.register(1, _store("graph"), none);
        vm.assertTrue(REGISTRY.register(2, _store("graph"), none) != one, "version");
        vm.assertTrue(REGISTRY.register(1, _store("graph"), _store("weights")) != one, "weights");
    }

    function test_noGraph() public {
        vm.expectRevert(IModelRegistry.NoGraphChunks.selector);
        REGISTRY.register(1, new address[](0), new address[](0));
    }

    function test_onlyTheLastChunkMayBeShort() public {
        address[] memory chunks = new address[](2);
        chunks[0] = REGISTRY.storeChunk(new bytes(FULL - 1));
        chunks[1] = REGISTRY.storeChunk("rest");
        address[] memory graph = _store("graph");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChunkNotFull.selector, chunks[0], FULL, FULL - 1));
        REGISTRY.register(1, chunks, new address[](0));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChunkNotFull.selector, chunks[0], FULL, FULL - 1));
        REGISTRY.register(1, graph, chunks);
    }

    function test_otherAccountsAreNoChunks() public {
        _expectNoChunk(address(0xdead)); // no code
        _expectNoChunk(address(this)); // a contract
        _expectNoChunk(address(REGISTRY));
        vm.etch(address(0xabc), hex"00"); // empty
        _expectNoChunk(address(0xabc));
        vm.etch(address(0xabc), bytes.concat(hex"00", new bytes(FULL + 1))); // too long
        _expectNoChunk(address(0xabc));
        vm.etch(address(0xabc), bytes.concat(hex"00", "graph")); // right code, not made by the registry
        _expectNoChunk(address(0xabc));
    }

    function test_chunkThatWillVanishIsRefused() public {
        vm.etch(address(0xabc), hex"5fff"); // SELFDESTRUCT to 0
        address vanishing = address(new VanishingChunk(address(0xabc), "graph"));
        vm.assertEq(vanishing.code, bytes.concat(hex"00", "graph"));
        _expectNoChunk(vanishing);
    }

    // Activation

    function test_activate() public {
        bytes32 id = _registered(100, FULL);
        _validates(1, uint64(FULL));
        vm.roll(1000);
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.ModelActivated(id, 1001);
        REGISTRY.activate(id);
        (uint8 status, uint64 activationBlock) = REGISTRY.status(id);
        vm.assertEq(status, 2);
        vm.assertEq(activationBlock, 1001);
        vm.assertEq(REGISTRY.activeCount(), 1);
        vm.assertEq(REGISTRY.activeAt(0), id);
        vm.assertEq(uint256(vm.load(address(REGISTRY), bytes32(uint256(4)))), FULL);
    }

    function test_activationWaitsOneBlockForEachMebibyte() public {
        bytes32 id = _registered(FULL, 85 * FULL); // 2.01 MiB
        _validates(1, uint64(85 * FULL));
        vm.roll(10);
        REGISTRY.activate(id);
        (, uint64 activationBlock) = REGISTRY.status(id);
        vm.assertEq(activationBlock, 10 + 1 + 2);
    }

    function test_validateSeesTheWholeGraph() public {
        bytes memory graph = _data("graph", 2 * FULL + 77);
        bytes32 id = REGISTRY.register(1, _store(graph), new address[](0));
        vm.mockCall(PRECOMPILE, abi.encodeCall(IInference.validate, (graph)), abi.encode(uint32(1), uint64(0)));
        REGISTRY.activate(id);
    }

    function test_activateUnknown() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, bytes32("x")));
        REGISTRY.activate("x");
    }

    function test_activateTwice() public {
        bytes32 id = _registered(100, 0);
        _validates(1, 0);
        vm.roll(7);
        REGISTRY.activate(id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyActive.selector, id, 8));
        REGISTRY.activate(id);
    }

    function test_activateWithOtherVersion() public {
        bytes32 id = _registered(100, 0);
        _validates(2, 0);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongLs1Version.selector, id, 2, 1));
        REGISTRY.activate(id);
    }

    function test_activateWithOtherWeights() public {
        bytes32 id = _registered(100, 5);
        _validates(1, 6);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongWeightsLength.selector, id, 6, 5));
        REGISTRY.activate(id);
    }

    function test_refusedGraphStaysRegistered() public {
        bytes32 id = _registered(100, 0);
        bytes memory reason = abi.encodeWithSelector(IInference.InvalidGraph.selector, "no nodes");
        vm.mockCallRevert(PRECOMPILE, abi.encodeWithSelector(IInference.validate.selector), reason);
        vm.expectRevert(reason);
        REGISTRY.activate(id);
        (uint8 status,) = REGISTRY.status(id);
        vm.assertEq(status, 1);
    }

    function test_withoutPrecompileTheTwinRefuses() public {
        bytes32 id = _registered(100, 0);
        vm.etch(PRECOMPILE, vm.parseJsonBytes(vm.readFile("contracts/twin.json"), ".modules[0].code"));
        vm.expectPartialRevert(IInference.TwinCannotRun.selector);
        REGISTRY.activate(id);
    }

    function test_capOfModels() public {
        _setCaps(1, 0);
        bytes32 first = _registered(100, 0);
        bytes32 second = _registered(101, 0);
        _validates(1, 0);
        REGISTRY.activate(first);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.TooManyActiveModels.selector, 1));
        REGISTRY.activate(second);
    }

    function test_capOfWeights() public {
        _setCaps(0, 1000);
        bytes32 first = _registered(100, 600);
        bytes32 second = _registered(101, 401);
        bytes32 third = _registered(101, 400);
        _validates(1, 600);
        REGISTRY.activate(first);
        _validates(1, 401);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.TooManyActiveWeights.selector, 1000, 1001));
        REGISTRY.activate(second);
        _validates(1, 400);
        REGISTRY.activate(third);
    }

    // Layout: docs/spec.md, section 8

    function test_storageLayout() public {
        _setCaps(0x11223344, 0x5566778899aabbcc);
        bytes32 id = _registered(100, 5);
        _validates(1, 5);
        vm.roll(0xabcdef);
        REGISTRY.activate(id);

        uint256 record = uint256(keccak256(abi.encode(id, uint256(0))));
        uint256 word = 2 | (0xabcdef + 1) << 8 | 1 << 72 | 100 << 104 | 5 << 136;
        vm.assertEq(_slot(record), word, "word 0");
        vm.assertEq(bytes32(_slot(record + 1)), keccak256(_data("graph", 100)), "graphHash");
        vm.assertEq(bytes32(_slot(record + 2)), MerkleReference.root(_data("weights", 5), FULL), "weightsRoot");
        vm.assertEq(_slot(record + 3), 1, "graphChunks");
        vm.assertEq(_slot(record + 4), 1, "weightChunks");
        address chunk = REGISTRY.storeChunk(_data("graph", 100));
        vm.assertEq(_slot(uint256(keccak256(abi.encode(record + 3)))), uint160(chunk), "graphChunks[0]");
        vm.assertEq(_slot(1), 1, "registered");
        vm.assertEq(bytes32(_slot(uint256(keccak256(abi.encode(1))))), id, "registered[0]");
        vm.assertEq(_slot(2), 1, "activated");
        vm.assertEq(bytes32(_slot(uint256(keccak256(abi.encode(2))))), id, "activated[0]");
        vm.assertEq(_slot(3), 0x5566778899aabbcc << 32 | 0x11223344, "caps");
        vm.assertEq(_slot(4), 5, "activeWeightBytes");
    }

    // Helpers

    function _expectNoChunk(address account) private {
        address[] memory chunks = new address[](1);
        chunks[0] = account;
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAChunk.selector, account));
        REGISTRY.register(1, chunks, new address[](0));
    }
}
