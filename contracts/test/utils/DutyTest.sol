// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Attestation} from "../../src/IModelRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @notice What tests of weights off chain share: three attesters, two of whom make the quorum, and prices.
abstract contract DutyTest is RegistryTest {
    uint256 internal constant KEY = 0xa77e57;
    uint256 internal constant ATTESTERS = 3;
    uint64 internal constant NOTICE = 100;
    uint32 internal constant CHALLENGE = 50;
    uint256 internal constant SLOT = 5 ether;
    uint256 internal constant PER_MEBIBYTE = 1 ether;
    uint256 internal constant ON_CHAIN = 2 ether;
    uint64 internal constant LENGTH = 3 * 24_512 + 9; // 72 KiB: one MiB begun
    bytes32 internal constant POSSESSION = keccak256("salted leaves");

    function _configure(uint16 quorum, uint256 attesters) internal {
        _configure(0, 0, quorum, attesters);
    }

    function _configure(uint32 models, uint64 weightBytes, uint16 quorum, uint256 attesters) internal {
        uint256 word = models | uint256(weightBytes) << 32 | uint256(NOTICE) << 96 | uint256(CHALLENGE) << 160;
        vm.store(address(REGISTRY), bytes32(uint256(3)), bytes32(word | uint256(quorum) << 192));
        _setDeposits(SLOT, PER_MEBIBYTE, ON_CHAIN);
        vm.store(address(REGISTRY), bytes32(uint256(6)), bytes32(attesters));
        for (uint256 i; i < attesters; ++i) {
            bytes32 slot = bytes32(uint256(keccak256(abi.encode(6))) + i);
            vm.store(address(REGISTRY), slot, bytes32(uint256(uint160(vm.addr(KEY + i)))));
        }
    }

    function _setDeposits(uint256 slot, uint256 perMebibyte, uint256 onChain) internal {
        vm.store(address(REGISTRY), bytes32(uint256(5)), bytes32(slot | perMebibyte << 80 | onChain << 160));
    }

    /// @dev An open model whose weights, so many bytes, are named only.
    function _open(bytes memory seed, uint64 length) internal returns (bytes32) {
        _validates(1, length);
        return REGISTRY.open(_store(_data(seed, 100)), keccak256(seed));
    }

    function _attestation(bytes32 modelId, uint8 attester) internal view returns (Attestation memory) {
        return _signed(REGISTRY.attestationDigest(modelId, POSSESSION), attester);
    }

    function _signed(bytes32 digest, uint8 attester) internal pure returns (Attestation memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY + attester, digest);
        return Attestation({attester: attester, v: v, r: r, s: s, possession: POSSESSION});
    }

    function _one(Attestation memory a) internal pure returns (Attestation[] memory list) {
        list = new Attestation[](1);
        list[0] = a;
    }

    function _attested(bytes32 modelId) internal {
        REGISTRY.challenge(modelId);
        REGISTRY.attest(modelId, _one(_attestation(modelId, 0)));
        REGISTRY.attest(modelId, _one(_attestation(modelId, 2)));
    }

    /// @dev A model that is active with its weights off chain, paid for by `payer`.
    function _active(bytes memory seed, uint64 length, address payer) internal returns (bytes32 modelId) {
        modelId = _open(seed, length);
        _attested(modelId);
        _activateBy(modelId, payer);
    }

    function _activateBy(bytes32 modelId, address payer) internal {
        uint256 price = REGISTRY.depositFor(modelId);
        vm.deal(payer, payer.balance + price);
        vm.prank(payer);
        REGISTRY.activate{value: price}(modelId);
    }

    function _status(bytes32 modelId) internal view returns (uint8 status) {
        (status,) = REGISTRY.status(modelId);
    }
}
