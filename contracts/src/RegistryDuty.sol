// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Attestation, Caps, Deposits, Duty, IModelRegistry, Model} from "./IModelRegistry.sol";
import {RegistryChunks} from "./RegistryChunks.sol";
import {RegistryStorage} from "./RegistryStorage.sol";

/// @title Weights off chain: attestation, deposits, and the end of storage duty (docs/spec.md, REG-12 to REG-18)
/// @notice Part of ModelRegistry. Ether is owed in two ways: as deposits of active models and as credit of accounts, which
/// they withdraw. What is forced upon the registry beyond that counts for nothing.
abstract contract RegistryDuty is RegistryChunks, RegistryStorage {
    bytes32 private constant CHALLENGE_DOMAIN = keccak256("lockstep.challenge.v1");
    bytes32 private constant ATTESTATION_DOMAIN = keccak256("lockstep.attestation.v1");
    /// @dev Half the order of secp256k1: of the two signatures that ECDSA allows, the lower one is taken.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    uint256 private constant MEBIBYTE = 1 << 20;

    /// @inheritdoc IModelRegistry
    function challenge(bytes32 modelId) external returns (bytes32 seed) {
        Model storage model = _models[modelId];
        if (model.graphLength == 0) revert UnknownModel(modelId);
        if (!_isOffChain(model)) revert WeightsOnChain(modelId);
        if (model.status == ACTIVATED) revert AlreadyActive(modelId, model.activationBlock);
        Caps memory bounds = _caps;
        if (bounds.quorum == 0) revert NoAttesters();
        Duty storage d = _duties[modelId];
        // Whoever could replace a challenge that stands could hinder every quorum.
        if (block.number <= d.challengeEnd) revert ChallengeStands(modelId, d.challengeEnd);

        uint32 round = d.round + 1;
        bytes32 parent = blockhash(block.number - 1);
        seed = keccak256(
            abi.encode(CHALLENGE_DOMAIN, block.chainid, address(this), modelId, round, parent, block.prevrandao)
        );
        // Block numbers have 64 bits on every chain.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 end = uint64(block.number + bounds.challengeBlocks);
        (d.challenge, d.challengeEnd, d.round) = (seed, end, round);
        (d.attested, d.attestations) = (0, 0);
        emit ModelChallenged(modelId, seed, end);
    }

    /// @inheritdoc IModelRegistry
    function attest(bytes32 modelId, Attestation[] calldata attestations) external returns (uint256 count) {
        Duty storage d = _duties[modelId];
        if (block.number > d.challengeEnd) revert NoChallenge(modelId);
        uint256 attested = d.attested;
        count = d.attestations;
        uint256 all = _attesters.length;
        for (uint256 i; i < attestations.length; ++i) {
            Attestation calldata a = attestations[i];
            if (a.attester >= all) revert UnknownAttester(all, a.attester);
            uint256 bit = 1 << a.attester;
            if (attested & bit != 0) continue;
            address attester = _attesters[a.attester];
            _checkSignature(a, i, attester, attestationDigest(modelId, a.possession));
            attested |= bit;
            ++count;
            emit ModelAttested(modelId, attester, d.challenge, a.possession);
        }
        d.attested = attested;
        // At most one for each of 256 attesters.
        // forge-lint: disable-next-line(unsafe-typecast)
        d.attestations = uint16(count);

        Model storage model = _models[modelId];
        if (model.status == UNREGISTERED && count >= _caps.quorum) {
            model.status = OFF_CHAIN;
            _registered.push(modelId);
            emit ModelRegistered(modelId, msg.sender, model.graphHash, model.weightsRoot);
        }
    }

    /// @inheritdoc IModelRegistry
    function announceEnd(bytes32 modelId) external returns (uint64 noticeEnd) {
        Duty storage d = _activeOffChain(modelId);
        if (msg.sender != d.depositor) revert NotDepositor(modelId, d.depositor);
        if (d.noticeEnd != 0) revert EndIsAnnounced(modelId, d.noticeEnd);
        // forge-lint: disable-next-line(unsafe-typecast)
        noticeEnd = uint64(block.number + _caps.noticeBlocks);
        d.noticeEnd = noticeEnd;
        emit EndAnnounced(modelId, noticeEnd);
    }

    /// @inheritdoc IModelRegistry
    function extend(bytes32 modelId) external payable {
        Duty storage d = _activeOffChain(modelId);
        if (d.noticeEnd == 0) revert NoEndAnnounced(modelId);
        uint256 expected = depositFor(modelId);
        if (msg.value != expected) revert WrongDeposit(modelId, expected, msg.value);
        _giveBack(modelId, d, 0);
        (d.deposit, d.depositor, d.noticeEnd) = (msg.value, msg.sender, 0);
        emit DutyExtended(modelId, msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function retire(bytes32 modelId) external {
        Duty storage d = _activeOffChain(modelId);
        if (d.noticeEnd == 0) revert NoEndAnnounced(modelId);
        if (block.number < d.noticeEnd) revert NoticeRuns(modelId, d.noticeEnd);

        uint32 place = d.place;
        bytes32 last = _activated[_activated.length - 1];
        _activated[place] = last;
        _duties[last].place = place;
        _activated.pop();
        Model storage model = _models[modelId];
        _activeWeightBytes -= model.weightsLength;
        (model.status, model.activationBlock) = (OFF_CHAIN, 0);
        _giveBack(modelId, d, 0);
        (d.depositor, d.noticeEnd, d.place) = (address(0), 0, 0);
        emit ModelRetired(modelId);
    }

    /// @inheritdoc IModelRegistry
    function withdraw(address payable to) external returns (uint256 amount) {
        amount = _credits[msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        _credits[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert WithdrawalRefused(to);
    }

    /// @inheritdoc IModelRegistry
    function credit(address account) external view returns (uint256) {
        return _credits[account];
    }

    /// @inheritdoc IModelRegistry
    function duty(bytes32 modelId) external view returns (bool offChain, Duty memory) {
        return (_isOffChain(_models[modelId]), _duties[modelId]);
    }

    /// @inheritdoc IModelRegistry
    function attesterCount() external view returns (uint256) {
        return _attesters.length;
    }

    /// @inheritdoc IModelRegistry
    function attesterAt(uint256 index) external view returns (address) {
        return _attesters[index];
    }

    /// @inheritdoc IModelRegistry
    function caps() external view returns (Caps memory) {
        return _caps;
    }

    /// @inheritdoc IModelRegistry
    function deposits() external view returns (Deposits memory) {
        return _deposits;
    }

    /// @inheritdoc IModelRegistry
    function depositFor(bytes32 modelId) public view returns (uint256) {
        Deposits memory price = _deposits;
        Model storage model = _models[modelId];
        if (!_isOffChain(model)) return price.onChain;
        uint256 mebibytes = (uint256(model.weightsLength) + MEBIBYTE - 1) / MEBIBYTE;
        return price.slot + mebibytes * price.perMebibyte;
    }

    /// @inheritdoc IModelRegistry
    function attestationDigest(bytes32 modelId, bytes32 possession) public view returns (bytes32) {
        return keccak256(
            abi.encode(
                ATTESTATION_DOMAIN,
                block.chainid,
                address(this),
                modelId,
                _models[modelId].weightsRoot,
                _duties[modelId].challenge,
                possession
            )
        );
    }

    /// @dev Whether weights of the record are lacking on chain.
    function _isOffChain(Model storage model) internal view returns (bool) {
        return model.weightChunks.length < _chunkCount(model.weightsLength);
    }

    /// @dev The model becomes active: its deposit is held; where its weights are off chain, its attestations are used up.
    function _takeSlot(bytes32 modelId, Model storage model, uint256 place) internal {
        uint256 expected = depositFor(modelId);
        if (msg.value != expected) revert WrongDeposit(modelId, expected, msg.value);
        Duty storage d = _duties[modelId];
        if (model.status == OFF_CHAIN) {
            uint256 quorum = _caps.quorum;
            uint256 count = block.number > d.challengeEnd ? 0 : d.attestations;
            if (count < quorum) revert NotAttested(modelId, quorum, count);
            (d.challenge, d.attested) = (0, 0);
            (d.challengeEnd, d.attestations) = (0, 0);
            // A list of 2^32 models would take that many transactions.
            // forge-lint: disable-next-line(unsafe-typecast)
            d.place = uint32(place);
        } else if (expected == 0) {
            return;
        }
        (d.deposit, d.depositor) = (expected, msg.sender);
    }

    /// @dev The last chunk of the weights is listed: an active model stays for ever from now on, for the deposit of one.
    function _endDuty(bytes32 modelId) internal {
        Duty storage d = _duties[modelId];
        _giveBack(modelId, d, _deposits.onChain);
        d.noticeEnd = 0;
    }

    /// @dev Credits the depositor with the deposit but for what stays.
    function _giveBack(bytes32 modelId, Duty storage d, uint256 stays) private {
        uint256 held = d.deposit;
        if (held <= stays) return;
        d.deposit = stays;
        _credits[d.depositor] += held - stays;
        emit DepositReturned(modelId, d.depositor, held - stays);
    }

    function _activeOffChain(bytes32 modelId) private view returns (Duty storage) {
        Model storage model = _models[modelId];
        if (model.graphLength == 0) revert UnknownModel(modelId);
        if (model.status != ACTIVATED) revert NotActive(modelId);
        if (!_isOffChain(model)) revert WeightsOnChain(modelId);
        return _duties[modelId];
    }

    /// @dev Reverts where the attester has not signed this digest.
    function _checkSignature(Attestation calldata a, uint256 place, address attester, bytes32 digest) private pure {
        if (uint256(a.s) > HALF_ORDER || (a.v != 27 && a.v != 28)) revert MalformedSignature(place);
        address signer = ecrecover(digest, a.v, a.r, a.s);
        if (signer == address(0)) revert MalformedSignature(place);
        if (signer != attester) revert WrongSigner(place, attester, signer);
    }
}
