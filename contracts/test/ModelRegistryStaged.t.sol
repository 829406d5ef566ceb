// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "../src/IInference.sol";
import {IModelRegistry, Model} from "../src/IModelRegistry.sol";
import {MerkleReference} from "./utils/MerkleReference.sol";
import {RegistryTest, VanishingChunk} from "./utils/RegistryTest.sol";

/// @notice Registration in steps: docs/spec.md, section 8, REG-10 and REG-11.
contract ModelRegistryStagedTest is RegistryTest {
    bytes internal graph = _data("graph", 1000);

    // What it gives

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_inStepsAsAtOnce(uint256 length, uint256 steps, bytes32 seed) public {
        bytes memory weights = _data(abi.encode(seed), bound(length, 0, 9 * FULL));
        address[] memory chunks = _store(weights);
        uint256 before = vm.snapshotState();
        bytes32 id = REGISTRY.register(1, _store(graph), chunks);
        bytes memory record = abi.encode(REGISTRY.getModel(id));
        vm.revertToState(before);

        vm.assertEq(_open(weights), id);
        for (uint256 first; first < chunks.length;) {
            steps = uint256(keccak256(abi.encode(steps)));
            uint256 count = 1 + steps % (chunks.length - first);
            vm.prank(address(uint160(steps)));
            vm.assertEq(_append(id, weights, first, count), first + count);
            first += count;
        }
        vm.assertEq(abi.encode(REGISTRY.getModel(id)), record, "the record is the one of register");
        vm.assertEq(REGISTRY.modelCount(), 1);
        vm.assertEq(REGISTRY.modelAt(0), id);
    }

    function test_everyRangeOfEveryTree() public {
        for (uint256 chunks = 1; chunks <= 7; ++chunks) {
            _store(_data(abi.encode(chunks), (chunks - 1) * FULL + 7));
            for (uint256 split = 1; split < chunks; ++split) {
                for (uint256 again; again <= split; ++again) {
                    uint256 before = vm.snapshotState();
                    this.inTwoSteps(chunks, split, again); // a call, for its memory
                    vm.revertToState(before);
                }
            }
        }
    }

    /// @dev The second step begins before or at the end of the first.
    function inTwoSteps(uint256 chunks, uint256 split, uint256 again) external {
        bytes memory weights = _data(abi.encode(chunks), (chunks - 1) * FULL + 7);
        bytes32 id = _open(weights);
        vm.assertEq(_append(id, weights, 0, split), split);
        vm.assertEq(_append(id, weights, again, chunks - again), chunks);
        vm.assertEq(REGISTRY.getModel(id).status, 1);
        vm.assertEq(abi.encode(REGISTRY.getModel(id).weightChunks), abi.encode(_store(weights)), "list");
    }

    function test_eventsAndProgress() public {
        bytes memory weights = _data("weights", 3 * FULL + 5);
        bytes32 root = MerkleReference.root(weights, FULL);
        bytes32 id = keccak256(abi.encode(keccak256("lockstep.model.v1"), uint256(1), keccak256(graph), root));
        address[] memory graphChunks = _store(graph);
        address[] memory chunks = _store(weights);
        _validates(1, uint64(weights.length));
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.ModelOpened(id, address(this), uint64(weights.length));
        REGISTRY.open(graphChunks, root);
        _assertProgress(id, 0, 4);
        (uint8 status,) = REGISTRY.status(id);
        vm.assertEq(status, 0, "open is not registered");
        vm.assertEq(REGISTRY.modelCount(), 0);

        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.WeightsAppended(id, 3, 4);
        REGISTRY.append(id, 0, _part(chunks, 0, 3), MerkleReference.proof(weights, FULL, 0, 3));
        _assertProgress(id, 3, 4);
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.ModelRegistered(id, address(this), keccak256(graph), root);
        REGISTRY.append(id, 3, _part(chunks, 3, 1), MerkleReference.proof(weights, FULL, 3, 1));
        _assertProgress(id, 4, 4);
        _assertProgress("unknown", 0, 0);
    }

    function test_withoutWeightsOpeningRegisters() public {
        bytes32 id = _open("");
        vm.assertEq(REGISTRY.getModel(id).status, 1);
        vm.assertEq(id, REGISTRY.register(1, _store(graph), new address[](0)));
        vm.assertEq(REGISTRY.modelCount(), 1);
    }

    function test_activateWhatWasStaged() public {
        bytes memory weights = _data("weights", 2 * FULL);
        bytes32 id = _open(weights);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, id));
        REGISTRY.activate(id);
        _append(id, weights, 0, 2);
        REGISTRY.activate(id);
        (uint8 status,) = REGISTRY.status(id);
        vm.assertEq(status, 2);
    }

    function test_atOnceAfterOpening() public {
        bytes memory weights = _data("weights", 3 * FULL);
        bytes32 id = _open(weights);
        _append(id, weights, 0, 2);
        vm.assertEq(REGISTRY.register(1, _store(graph), _store(weights)), id);
        vm.assertEq(REGISTRY.getModel(id).weightChunks.length, 3);
        vm.assertEq(_append(id, weights, 2, 1), 3, "nothing is left to append");
        vm.assertEq(REGISTRY.getModel(id).weightChunks.length, 3);
        vm.assertEq(REGISTRY.modelCount(), 1);
    }

    // Nothing twice

    function test_whatIsDoneIsPassedOver() public {
        bytes memory weights = _data("weights", 4 * FULL);
        bytes32 id = _open(weights);
        _append(id, weights, 0, 2);
        vm.recordLogs();
        vm.assertEq(_open(weights), id);
        vm.assertEq(_append(id, weights, 0, 2), 2);
        vm.assertEq(_append(id, weights, 1, 1), 2);
        vm.assertEq(REGISTRY.append(id, 0, new address[](0), new bytes32[](0)), 2);
        vm.assertEq(vm.getRecordedLogs().length, 0);
        _append(id, weights, 2, 2);
        vm.recordLogs();
        vm.assertEq(_append(id, weights, 2, 2), 4, "after the last");
        vm.assertEq(_open(weights), id);
        vm.assertEq(vm.getRecordedLogs().length, 0);
        vm.assertEq(REGISTRY.modelCount(), 1);
    }

    function test_anotherRootIsAnotherModelAndHindersNothing() public {
        bytes memory weights = _data("weights", 2 * FULL);
        _validates(1, uint64(weights.length));
        address[] memory graphChunks = _store(graph);
        vm.prank(address(0xbad));
        bytes32 other = REGISTRY.open(graphChunks, keccak256("no tree"));
        bytes32 id = _open(weights);
        vm.assertTrue(other != id, "ids");
        _append(id, weights, 0, 2);
        vm.assertEq(REGISTRY.getModel(id).status, 1);
        (uint8 status,) = REGISTRY.status(other);
        vm.assertEq(status, 0);
    }

    // What is refused

    function test_onlyTheModelsChunksInTheirOrder() public {
        bytes memory weights = _data("weights", 5 * FULL);
        bytes32 id = _open(weights);
        address[] memory chunks = _store(weights);
        bytes32[] memory proof = MerkleReference.proof(weights, FULL, 0, 2);
        address[] memory list = new address[](2);
        (list[0], list[1]) = (chunks[1], chunks[0]);
        _expectWrongRoot(id, 0, list, proof, "exchanged");
        (list[0], list[1]) = (chunks[0], chunks[0]);
        _expectWrongRoot(id, 0, list, proof, "repeated");
        (list[0], list[1]) = (chunks[0], REGISTRY.storeChunk(_data("foreign", FULL)));
        _expectWrongRoot(id, 0, list, proof, "foreign");
        (list[0], list[1]) = (chunks[2], chunks[3]);
        _expectWrongRoot(id, 0, list, MerkleReference.proof(weights, FULL, 2, 2), "of another place");
        _append(id, weights, 0, 2);
        (list[0], list[1]) = (chunks[0], chunks[1]);
        _expectWrongRoot(id, 2, list, MerkleReference.proof(weights, FULL, 0, 2), "again");
        _append(id, weights, 2, 3);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_aProofIsExact(uint256 chunkCount, uint256 count, uint256 place, bytes32 node) public {
        chunkCount = bound(chunkCount, 2, 9);
        count = bound(count, 1, chunkCount - 1);
        bytes memory weights = _data("weights", chunkCount * FULL);
        bytes32 id = _open(weights);
        address[] memory list = _part(_store(weights), 0, count);
        bytes32[] memory proof = MerkleReference.proof(weights, FULL, 0, count);
        place %= proof.length;
        vm.assume(node != proof[place]);
        bytes32 right = proof[place];
        proof[place] = node;
        _expectWrongRoot(id, 0, list, proof, "a node");
        proof[place] = right;

        bytes32[] memory longer = new bytes32[](proof.length + 1);
        bytes32[] memory shorter = new bytes32[](proof.length - 1);
        for (uint256 i; i < proof.length; ++i) {
            longer[i] = proof[i];
            if (i < shorter.length) shorter[i] = proof[i];
        }
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongProofLength.selector, proof.length, longer.length));
        REGISTRY.append(id, 0, list, longer);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongProofLength.selector, proof.length, shorter.length));
        REGISTRY.append(id, 0, list, shorter);
        vm.assertEq(REGISTRY.append(id, 0, list, proof), count);
    }

    function test_placesOutsideTheList() public {
        bytes memory weights = _data("weights", 3 * FULL);
        bytes32 id = _open(weights);
        address[] memory chunks = _store(weights);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AppendOutOfOrder.selector, id, 0, 1));
        REGISTRY.append(id, 1, _part(chunks, 1, 1), new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AppendOutOfOrder.selector, id, 0, type(uint256).max));
        REGISTRY.append(id, type(uint256).max, chunks, new bytes32[](0));
        address[] memory four = new address[](4);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.TooManyChunks.selector, id, 3, 4));
        REGISTRY.append(id, 0, four, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, bytes32("x")));
        REGISTRY.append("x", 0, chunks, new bytes32[](0));
    }

    /// @dev The tree is over a short chunk in the middle: the root is right, the list is none of a model.
    function test_aShortChunkInTheMiddle() public {
        address[] memory chunks = new address[](3);
        chunks[0] = REGISTRY.storeChunk(_data("a", FULL));
        chunks[1] = REGISTRY.storeChunk(_data("b", FULL - 1));
        chunks[2] = REGISTRY.storeChunk(_data("c", 5));
        bytes32 left = keccak256(bytes.concat(hex"01", chunks[0].codehash, chunks[1].codehash));
        _validates(1, uint64(2 * FULL + 4));
        bytes32 id = REGISTRY.open(_store(graph), keccak256(bytes.concat(hex"01", left, chunks[2].codehash)));
        bytes memory reason = abi.encodeWithSelector(IModelRegistry.ChunkNotFull.selector, chunks[1], FULL, FULL - 1);
        vm.expectRevert(reason);
        REGISTRY.append(id, 0, chunks, new bytes32[](0));
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = chunks[2].codehash;
        vm.expectRevert(reason);
        REGISTRY.append(id, 0, _part(chunks, 0, 2), proof);
    }

    function test_aLastChunkOfAnotherLength() public {
        bytes memory weights = _data("weights", 2 * FULL + 5);
        _validates(1, uint64(weights.length + 1));
        bytes32 id = REGISTRY.open(_store(graph), MerkleReference.root(weights, FULL));
        address[] memory chunks = _store(weights);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChunkNotFull.selector, chunks[2], 6, 5));
        REGISTRY.append(id, 0, chunks, new bytes32[](0));
    }

    function test_otherAccountsAreNoChunks() public {
        bytes memory weights = _data("weights", 2 * FULL);
        bytes32 id = _open(weights);
        address[] memory chunks = _store(weights);
        vm.etch(address(0xabc), hex"5fff"); // SELFDESTRUCT to 0
        address right = chunks[0];
        chunks[0] = address(new VanishingChunk(address(0xabc), _data("x", FULL)));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAChunk.selector, chunks[0]));
        REGISTRY.append(id, 0, chunks, new bytes32[](0));
        vm.etch(address(0xdef), right.code);
        chunks[0] = address(0xdef);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAChunk.selector, chunks[0]));
        REGISTRY.append(id, 0, chunks, new bytes32[](0));
        address[] memory list = _part(chunks, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAChunk.selector, chunks[0]));
        REGISTRY.open(list, bytes32(0));
    }

    function test_openingChecksTheGraph() public {
        address[] memory graphChunks = _store(graph);
        vm.expectRevert(IModelRegistry.NoGraphChunks.selector);
        REGISTRY.open(new address[](0), bytes32(0));
        bytes memory reason = abi.encodeWithSelector(IInference.InvalidGraph.selector, "no nodes");
        vm.mockCallRevert(PRECOMPILE, abi.encodeCall(IInference.validate, (graph)), reason);
        vm.expectRevert(reason);
        REGISTRY.open(graphChunks, bytes32("root"));
        _validates(1, 0);
        bytes32 root = "root";
        bytes32 id = keccak256(abi.encode(keccak256("lockstep.model.v1"), uint256(1), keccak256(graph), root));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongWeightsRoot.selector, id, root, 0));
        REGISTRY.open(graphChunks, root);
    }

    // Layout: docs/spec.md, section 8

    function test_anOpenRecord() public {
        bytes memory weights = _data("weights", 3 * FULL + 5);
        bytes32 id = _open(weights);
        _append(id, weights, 0, 2);
        uint256 record = uint256(keccak256(abi.encode(id, uint256(0))));
        // Status 0: for the precompile the model is unknown.
        vm.assertEq(_slot(record), 1 << 72 | graph.length << 104 | weights.length << 136, "word 0");
        vm.assertEq(bytes32(_slot(record + 1)), keccak256(graph), "graphHash");
        vm.assertEq(bytes32(_slot(record + 2)), MerkleReference.root(weights, FULL), "weightsRoot");
        vm.assertEq(_slot(record + 3), 1, "graphChunks");
        vm.assertEq(_slot(record + 4), 2, "weightChunks");
        vm.assertEq(_slot(1), 0, "registered");
    }

    // Helpers

    function _open(bytes memory weights) private returns (bytes32) {
        _validates(1, uint64(weights.length));
        return REGISTRY.open(_store(graph), MerkleReference.root(weights, FULL));
    }

    function _append(bytes32 id, bytes memory weights, uint256 first, uint256 count) private returns (uint256) {
        address[] memory chunks = new address[](count);
        for (uint256 i; i < count; ++i) {
            bytes memory data = MerkleReference.part(weights, (first + i) * FULL, FULL);
            chunks[i] = REGISTRY.chunkAddress(keccak256(_initCode(data)));
            if (chunks[i].code.length == 0) REGISTRY.storeChunk(data);
        }
        return REGISTRY.append(id, first, chunks, MerkleReference.proof(weights, FULL, first, count));
    }

    function _expectWrongRoot(
        bytes32 id,
        uint256 first,
        address[] memory list,
        bytes32[] memory proof,
        string memory what
    ) private {
        try REGISTRY.append(id, first, list, proof) {
            vm.assertTrue(false, what);
        } catch (bytes memory reason) {
            vm.assertEq(bytes32(bytes4(reason)), bytes32(IModelRegistry.WrongWeightsRoot.selector), what);
        }
    }

    function _assertProgress(bytes32 id, uint256 appended, uint256 all) private view {
        (uint256 listed, uint256 total) = REGISTRY.weightsAppended(id);
        vm.assertEq(listed, appended);
        vm.assertEq(total, all);
    }

    function _part(address[] memory list, uint256 first, uint256 count) private pure returns (address[] memory part) {
        part = new address[](count);
        for (uint256 i; i < count; ++i) {
            part[i] = list[first + i];
        }
    }
}
