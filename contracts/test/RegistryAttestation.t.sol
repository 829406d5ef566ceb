// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Attestation, Duty, IModelRegistry} from "../src/IModelRegistry.sol";
import {MerkleReference} from "./utils/MerkleReference.sol";
import {DutyTest} from "./utils/DutyTest.sol";

/// @notice Challenges and attestations: docs/spec.md, section 8, REG-12 to REG-15.
contract RegistryAttestationTest is DutyTest {
    bytes32 private id;

    function _prepare() private {
        vm.roll(1000);
        _configure(2, ATTESTERS);
        id = _open("model", LENGTH);
    }

    // Challenges

    function test_aChallengeStandsForItsBlocks() public {
        _prepare();
        vm.expectEmit(true, true, true, false, address(REGISTRY));
        emit IModelRegistry.ModelChallenged(id, 0, 1000 + CHALLENGE);
        bytes32 first = REGISTRY.challenge(id);
        (bool offChain, Duty memory d) = REGISTRY.duty(id);
        vm.assertTrue(offChain, "off chain");
        vm.assertEq(d.challenge, first);
        vm.assertEq(d.challengeEnd, 1000 + CHALLENGE);

        vm.roll(1000 + CHALLENGE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChallengeStands.selector, id, 1000 + CHALLENGE));
        REGISTRY.challenge(id);
        REGISTRY.attest(id, _one(_attestation(id, 1)));
        vm.roll(1001 + CHALLENGE);
        Attestation[] memory late = _one(_attestation(id, 2));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoChallenge.selector, id));
        REGISTRY.attest(id, late);
        vm.assertTrue(REGISTRY.challenge(id) != first, "another challenge");
        (, d) = REGISTRY.duty(id);
        vm.assertEq(d.attestations + d.attested, 0, "counted from nothing");
    }

    /// @dev Model, round, chain, parent and the block's randomness are all in it.
    function test_aChallengeIsForeseenByNobody() public {
        _prepare();
        uint256 before = vm.snapshotState();
        bytes32 seed = REGISTRY.challenge(id);
        vm.revertToState(before);
        vm.chainId(77);
        vm.assertTrue(REGISTRY.challenge(id) != seed, "chain");
        vm.revertToState(before);
        vm.roll(1001);
        vm.assertTrue(REGISTRY.challenge(id) != seed, "parent");
        vm.revertToState(before);
        vm.assertTrue(REGISTRY.challenge(_open("other", LENGTH)) != seed, "model");
        vm.revertToState(before);
        bytes32 parent = blockhash(999);
        bytes32 domain = keccak256("lockstep.challenge.v1");
        vm.assertEq(
            REGISTRY.challenge(id),
            keccak256(abi.encode(domain, block.chainid, address(REGISTRY), id, uint32(1), parent, block.prevrandao))
        );
    }

    function test_whatCannotBeChallenged() public {
        _prepare();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, bytes32("x")));
        REGISTRY.challenge("x");
        bytes32 stored = _registered(100, 5);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WeightsOnChain.selector, stored));
        REGISTRY.challenge(stored);
        bytes32 none = _registered(101, 0);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WeightsOnChain.selector, none));
        REGISTRY.challenge(none);
        bytes32 active = _active("active", LENGTH, address(1));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyActive.selector, active, 1001));
        REGISTRY.challenge(active);
        _configure(0, 0);
        vm.expectRevert(IModelRegistry.NoAttesters.selector);
        REGISTRY.challenge(id);
    }

    // Attestations

    function test_theQuorumRegisters() public {
        _prepare();
        bytes32 seed = REGISTRY.challenge(id);
        vm.assertEq(REGISTRY.attesterCount(), ATTESTERS);
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.ModelAttested(id, REGISTRY.attesterAt(2), seed, POSSESSION);
        vm.assertEq(REGISTRY.attest(id, _one(_attestation(id, 2))), 1);
        vm.assertEq(_status(id), 0, "one is no quorum");
        vm.assertEq(REGISTRY.modelCount(), 0);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, id));
        REGISTRY.activate(id);
        Attestation[] memory both = new Attestation[](2);
        (both[0], both[1]) = (_attestation(id, 2), _attestation(id, 0));
        vm.prank(address(0xbeef));
        vm.assertEq(REGISTRY.attest(id, both), 2);
        vm.assertEq(_status(id), 3);
        vm.assertEq(REGISTRY.modelCount(), 1);
        vm.assertEq(REGISTRY.modelAt(0), id);
    }

    function test_anAttesterCountsOnce() public {
        _prepare();
        REGISTRY.challenge(id);
        Attestation[] memory twice = new Attestation[](2);
        (twice[0], twice[1]) = (_attestation(id, 1), _attestation(id, 1));
        vm.assertEq(REGISTRY.attest(id, twice), 1);
        vm.assertEq(REGISTRY.attest(id, twice), 1);
        (, Duty memory d) = REGISTRY.duty(id);
        vm.assertEq(d.attested, 2);
        vm.assertEq(d.attestations, 1);
    }

    function test_signaturesThatAreNone() public {
        _prepare();
        REGISTRY.challenge(id);
        Attestation memory a = _attestation(id, 0);
        a.v ^= 7; // 27 is 28 and 28 is 27
        bytes32 s = a.s;
        a.s = bytes32(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - uint256(s));
        _refused(a, abi.encodeWithSelector(IModelRegistry.MalformedSignature.selector, 0));
        vm.assertEq(ecrecover(REGISTRY.attestationDigest(id, POSSESSION), a.v, a.r, a.s), REGISTRY.attesterAt(0));
        (a.v, a.s) = (29, s);
        _refused(a, abi.encodeWithSelector(IModelRegistry.MalformedSignature.selector, 0));
        (a.v, a.r) = (27, 0);
        _refused(a, abi.encodeWithSelector(IModelRegistry.MalformedSignature.selector, 0));
        a = _attestation(id, 0);
        a.attester = 3;
        _refused(a, abi.encodeWithSelector(IModelRegistry.UnknownAttester.selector, 3, 3));
        a.attester = 1;
        (address zero, address one) = (REGISTRY.attesterAt(0), REGISTRY.attesterAt(1));
        _refused(a, abi.encodeWithSelector(IModelRegistry.WrongSigner.selector, 0, one, zero));
    }

    /// @dev An attester that is nobody cannot be signed for by a signature that recovers nobody.
    function test_nobodySignsForTheZeroAddress() public {
        _prepare();
        vm.store(address(REGISTRY), keccak256(abi.encode(6)), 0);
        REGISTRY.challenge(id);
        Attestation memory a = Attestation({attester: 0, v: 27, r: 0, s: bytes32(uint256(1)), possession: POSSESSION});
        _refused(a, abi.encodeWithSelector(IModelRegistry.MalformedSignature.selector, 0));
    }

    function test_aSignatureIsGoodForOneChallengeOnly() public {
        _prepare();
        REGISTRY.challenge(id);
        Attestation memory a = _attestation(id, 0);
        bytes32 other = _open("other", LENGTH);
        REGISTRY.challenge(other);
        uint256 before = vm.snapshotState();
        vm.expectPartialRevert(IModelRegistry.WrongSigner.selector);
        REGISTRY.attest(other, _one(a));
        vm.revertToState(before);
        vm.chainId(5);
        vm.expectPartialRevert(IModelRegistry.WrongSigner.selector);
        REGISTRY.attest(id, _one(a));
        vm.revertToState(before);
        a.possession = keccak256("another");
        vm.expectPartialRevert(IModelRegistry.WrongSigner.selector);
        REGISTRY.attest(id, _one(a));
        vm.revertToState(before);
        a = _attestation(id, 0);
        vm.roll(block.number + CHALLENGE + 1);
        REGISTRY.challenge(id);
        vm.expectPartialRevert(IModelRegistry.WrongSigner.selector);
        REGISTRY.attest(id, _one(a));
    }

    /// forge-config: default.fuzz.runs = 256
    function testFuzz_whatIsNotSignedIsNotCounted(uint8 v, bytes32 r, bytes32 s, uint8 attester) public {
        _prepare();
        REGISTRY.challenge(id);
        Attestation memory a = Attestation({attester: attester, v: v, r: r, s: s, possession: POSSESSION});
        vm.expectRevert();
        REGISTRY.attest(id, _one(a));
    }

    function test_256Attesters() public {
        _prepare();
        _configure(256, 256);
        REGISTRY.challenge(id);
        Attestation[] memory all = new Attestation[](256);
        for (uint256 i; i < 256; ++i) {
            all[i] = _attestation(id, uint8(i));
        }
        vm.assertEq(REGISTRY.attest(id, all), 256);
        (, Duty memory d) = REGISTRY.duty(id);
        vm.assertEq(d.attested, type(uint256).max);
        _activateBy(id, address(1));
    }

    // Vectors, shared with Rust

    /// @dev They are written, and held to what nodes compute, by node-ext/tests/it/attestation_vectors.rs.
    function test_theVectorsAreAccepted() public {
        string memory json = vm.readFile("contracts/test/vectors/attestations.json");
        uint256 count = vm.parseJsonUint(json, ".count");
        vm.assertGt(count, 3, "cases");
        for (uint256 k; k < count; ++k) {
            string memory place = string.concat(".cases[", vm.toString(k), "]");
            this.vector(json, place);
        }
    }

    function vector(string memory json, string memory place) external {
        bytes32 modelId = vm.parseJsonBytes32(json, string.concat(place, ".modelId"));
        bytes32 seed = vm.parseJsonBytes32(json, string.concat(place, ".challenge"));
        address attester = address(uint160(uint256(vm.parseJsonBytes32(json, string.concat(place, ".attester")))));
        bytes memory weights = vm.parseJsonBytes(json, string.concat(place, ".weights"));
        bytes32 possession = _possession(keccak256(abi.encode(seed, attester)), weights);
        vm.assertEq(possession, vm.parseJsonBytes32(json, string.concat(place, ".possession")), "possession");

        vm.chainId(vm.parseJsonUint(json, string.concat(place, ".chainId")));
        _configure(1, 1);
        vm.store(address(REGISTRY), keccak256(abi.encode(6)), bytes32(uint256(uint160(attester))));
        bytes32 record = keccak256(abi.encode(modelId, uint256(0)));
        vm.store(address(REGISTRY), record, bytes32(uint256(1) << 104 | weights.length << 136));
        vm.store(address(REGISTRY), bytes32(uint256(record) + 2), MerkleReference.root(weights, FULL));
        bytes32 d = keccak256(abi.encode(modelId, uint256(7)));
        vm.store(address(REGISTRY), d, seed);
        vm.store(address(REGISTRY), bytes32(uint256(d) + 4), bytes32(uint256(type(uint64).max)));

        Attestation memory a = Attestation({
            attester: 0,
            v: uint8(vm.parseJsonUint(json, string.concat(place, ".v"))),
            r: vm.parseJsonBytes32(json, string.concat(place, ".r")),
            s: vm.parseJsonBytes32(json, string.concat(place, ".s")),
            possession: possession
        });
        bytes32 digest = vm.parseJsonBytes32(json, string.concat(place, ".digest"));
        vm.assertEq(REGISTRY.attestationDigest(modelId, possession), digest, "digest");
        vm.assertEq(REGISTRY.attest(modelId, _one(a)), 1, "accepted");
    }

    /// @dev The tree of MOD-5 over leaves keccak256(0x02 ‖ salt ‖ bytes), recursively.
    function _possession(bytes32 salt, bytes memory weights) private pure returns (bytes32) {
        return _salted(salt, weights, 0, (weights.length + FULL - 1) / FULL);
    }

    function _salted(bytes32 salt, bytes memory data, uint256 first, uint256 count) private pure returns (bytes32) {
        if (count == 1) return keccak256(bytes.concat(hex"02", salt, MerkleReference.part(data, first * FULL, FULL)));
        uint256 split = 1;
        while (split * 2 < count) split *= 2;
        bytes32 left = _salted(salt, data, first, split);
        return keccak256(bytes.concat(hex"01", left, _salted(salt, data, first + split, count - split)));
    }

    function _refused(Attestation memory a, bytes memory reason) private {
        vm.expectRevert(reason);
        REGISTRY.attest(id, _one(a));
    }
}
