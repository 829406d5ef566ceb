// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {InferenceProofs} from "../src/InferenceProofs.sol";
import {Test} from "./utils/Test.sol";

/// @notice The vectors are written, and held to the node's own check, by node-ext/tests/it/proof_vectors.rs.
contract InferenceProofsTest is Test {
    string private json;
    bytes private first; // header of the first case

    function setUp() public {
        json = vm.readFile("contracts/test/vectors/inference_proofs.json");
        first = vm.parseJsonBytes(json, ".cases[0].header");
        vm.etch(InferenceProofs.BLOCK_HASHES, vm.parseJsonBytes(json, ".historyCode"));
    }

    function verify(InferenceProofs.Proof memory proof) public view returns (uint256) {
        return InferenceProofs.verify(proof);
    }

    function verifyAnswer(InferenceProofs.Proof memory proof, bytes32 modelId, bytes memory returned)
        public
        view
        returns (uint256)
    {
        return InferenceProofs.verifyAnswer(proof, modelId, returned);
    }

    function check(InferenceProofs.Proof memory proof, bytes32 hash) public pure {
        InferenceProofs.check(proof, hash);
    }

    function header(bytes memory rlp) public pure returns (uint256, bytes32) {
        return InferenceProofs.header(rlp);
    }

    function test_everyProofIsAccepted() public {
        uint256 count = vm.parseJsonUint(json, ".right");
        vm.assertGt(count, 10, "cases");
        for (uint256 k; k < count; ++k) {
            string memory place = string.concat(".cases[", vm.toString(k), "]");
            InferenceProofs.Proof memory proof = read(place);
            bytes32 hash = b32(place, ".blockHash");
            uint256 number = vm.parseJsonUint(json, string.concat(place, ".blockNumber"));
            vm.assertEq(InferenceProofs.leafHash(proof.leaf), b32(place, ".leafHash"));
            check(proof, hash);
            remember(number, hash);
            vm.assertEq(verify(proof), number);
        }
    }

    function test_everyForgeryIsRefused() public {
        uint256 begin = vm.parseJsonUint(json, ".right");
        uint256 end = begin + vm.parseJsonUint(json, ".wrong");
        vm.assertGt(end - begin, 10, "forgeries");
        for (uint256 k = begin; k < end; ++k) {
            string memory place = string.concat(".cases[", vm.toString(k), "]");
            InferenceProofs.Proof memory proof = read(place);
            bytes32 hash = b32(place, ".blockHash");
            remember(vm.parseJsonUint(json, string.concat(place, ".blockNumber")), hash);
            string memory name = vm.parseJsonString(json, string.concat(place, ".name"));
            try this.check(proof, hash) {
                vm.assertTrue(false, name);
            } catch {}
            try this.verify(proof) {
                vm.assertTrue(false, name);
            } catch {}
        }
    }

    function test_theAnswerIsTheModels() public {
        string memory place = ".cases[0]";
        InferenceProofs.Proof memory proof = read(place);
        bytes memory returned = vm.parseJsonBytes(json, ".returned");
        uint256 number = vm.parseJsonUint(json, string.concat(place, ".blockNumber"));
        remember(number, b32(place, ".blockHash"));
        bytes32 model = proof.leaf.modelId;
        vm.assertEq(verifyAnswer(proof, model, returned), number);
        vm.expectRevert(abi.encodeWithSelector(InferenceProofs.WrongModel.selector, bytes32(uint256(1)), model));
        this.verifyAnswer(proof, bytes32(uint256(1)), returned);
        bytes32 said = proof.leaf.returnedHash;
        vm.expectRevert(abi.encodeWithSelector(InferenceProofs.WrongAnswer.selector, keccak256(""), said));
        this.verifyAnswer(proof, model, "");
    }

    function test_aBlockThatNobodyRemembers() public {
        InferenceProofs.Proof memory proof = read(".cases[0]");
        uint256 number = vm.parseJsonUint(json, ".cases[0].blockNumber");
        bytes memory unknown = abi.encodeWithSelector(InferenceProofs.UnknownBlock.selector, number);
        remember(number, b32(".cases[0]", ".blockHash"));
        vm.roll(number + 8192);
        vm.expectRevert(unknown);
        this.verify(proof);
        vm.roll(number); // not there yet
        vm.expectRevert(unknown);
        this.verify(proof);
        vm.etch(InferenceProofs.BLOCK_HASHES, ""); // a chain without EIP-2935
        vm.roll(number + 300);
        vm.expectRevert(unknown);
        this.verify(proof);
    }

    function testFuzz_headersThatAreNone(bytes memory rlp, uint256 place, uint8 value) public {
        vm.expectRevert(InferenceProofs.MalformedHeader.selector);
        this.header("");
        // Whatever a byte becomes: an answer or MalformedHeader, no panic.
        bytes memory changed = first;
        changed[place % changed.length] = bytes1(value);
        for (uint256 k; k < 2; ++k) {
            try this.header(k == 0 ? changed : rlp) {}
            catch (bytes memory reason) {
                vm.assertEq(bytes4(reason), InferenceProofs.MalformedHeader.selector);
            }
        }
    }

    /// As the system call of EIP-2935 does, one block later.
    function remember(uint256 number, bytes32 hash) private {
        vm.store(InferenceProofs.BLOCK_HASHES, bytes32(number % 8191), hash);
        vm.roll(number + 1);
    }

    function b32(string memory place, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(place, key));
    }

    function read(string memory place) private view returns (InferenceProofs.Proof memory proof) {
        proof.header = vm.parseJsonBytes(json, string.concat(place, ".header"));
        proof.count = vm.parseJsonUint(json, string.concat(place, ".path.count"));
        proof.index = vm.parseJsonUint(json, string.concat(place, ".path.index"));
        proof.siblings = vm.parseJsonBytes32Array(json, string.concat(place, ".path.siblings"));
        proof.leaf = InferenceProofs.Leaf({
            transactionIndex: vm.parseJsonUint(json, string.concat(place, ".leaf.transactionIndex")),
            transactionHash: b32(place, ".leaf.transactionHash"),
            modelId: b32(place, ".leaf.modelId"),
            selector: bytes4(vm.parseJsonBytes(json, string.concat(place, ".leaf.selector"))),
            inputsHash: b32(place, ".leaf.inputsHash"),
            outputsHash: b32(place, ".leaf.outputsHash"),
            returnedHash: b32(place, ".leaf.returnedHash"),
            gas: vm.parseJsonUint(json, string.concat(place, ".leaf.gas"))
        });
    }
}
