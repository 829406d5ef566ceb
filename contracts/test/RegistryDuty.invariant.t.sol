// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Duty, IModelRegistry, Model} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {DutyTest} from "./utils/DutyTest.sol";

/// @dev Four accounts and three attesters that do whatever the registry takes, in any order, with right and wrong amounts;
/// ether is forced upon it too. Models are two MiB and less, some can be put on chain.
contract DutyUsers is DutyTest {
    uint256 private constant ACCOUNTS = 4;
    uint256 public constant MODELS = 6;
    uint32 public constant MAX_MODELS = 4;
    uint64 public constant MAX_BYTES = 4 << 20;

    bytes32[] public models;
    uint256 public forced;
    uint256 public withdrawn;
    uint256 public paid;
    uint256 public retired;
    uint256 public extended;
    uint256 public broken;
    mapping(bytes32 modelId => bytes32 hash) private meaning;
    bytes[] private weights;

    constructor() {
        vm.etch(address(REGISTRY), type(ModelRegistry).runtimeCode);
        vm.etch(PRECOMPILE, hex"fe");
        vm.roll(10);
        _configure(MAX_MODELS, MAX_BYTES, 2, ATTESTERS);
        address[] memory graph;
        for (uint256 i; i < MODELS; ++i) {
            graph = _store(_data(abi.encode(i), 50 + i));
            bool small = i % 3 == 0;
            weights.push(small ? _data(abi.encode("w", i), 300) : bytes(""));
            uint64 length = small ? 300 : uint64(1 + i * 400_000);
            _validates(1, length);
            bytes32 root = small ? keccak256(bytes.concat(hex"00", weights[i])) : keccak256(abi.encode(i));
            bytes32 id = REGISTRY.open(graph, root);
            models.push(id);
            Model memory m = REGISTRY.getModel(id);
            meaning[id] =
                keccak256(abi.encode(m.ls1Version, m.graphLength, m.weightsLength, m.graphHash, m.weightsRoot));
        }
    }

    function challenge(uint256 which) external {
        try REGISTRY.challenge(_model(which)) {} catch {}
    }

    function attest(uint256 which, uint8 attester) external {
        bytes32 id = _model(which);
        try REGISTRY.attest(id, _one(_attestation(id, attester % 3))) {} catch {}
    }

    function activate(uint256 which, uint256 who, uint8 wrong) external {
        bytes32 id = _model(which);
        uint8 before = _status(id);
        _validates(1, REGISTRY.getModel(id).weightsLength);
        uint256 amount = REGISTRY.depositFor(id) + (wrong % 8 == 0 ? 1 : 0);
        (, Duty memory d) = REGISTRY.duty(id);
        _pay(who, amount);
        try REGISTRY.activate{value: amount}(id) {
            paid += amount;
            bool attested = before == 3 && d.attestations >= 2 && block.number <= d.challengeEnd;
            if (before != 1 && !attested) ++broken;
        } catch {}
    }

    function announceEnd(uint256 which, uint256 who) external {
        bytes32 id = _model(which);
        (, Duty memory d) = REGISTRY.duty(id);
        vm.prank(_account(who));
        try REGISTRY.announceEnd(id) {
            if (_account(who) != d.depositor) ++broken;
        } catch {}
    }

    function extend(uint256 which, uint256 who) external {
        bytes32 id = _model(which);
        uint256 amount = REGISTRY.depositFor(id);
        _pay(who, amount);
        try REGISTRY.extend{value: amount}(id) {
            paid += amount;
            ++extended;
        } catch {}
    }

    function retire(uint256 which) external {
        bytes32 id = _model(which);
        (bool offChain, Duty memory d) = REGISTRY.duty(id);
        try REGISTRY.retire(id) {
            ++retired;
            if (!offChain || d.noticeEnd == 0 || block.number < d.noticeEnd) ++broken;
        } catch {}
    }

    function withdraw(uint256 who) external {
        vm.prank(_account(who));
        try REGISTRY.withdraw(payable(address(0xdead))) returns (uint256 amount) {
            withdrawn += amount;
        } catch {}
    }

    function complete(uint256 which) external {
        uint256 i = which % MODELS;
        if (weights[i].length == 0) return;
        try REGISTRY.append(models[i], 0, _store(weights[i]), new bytes32[](0)) {} catch {}
    }

    function force(uint96 amount) external {
        forced += amount;
        vm.deal(address(REGISTRY), address(REGISTRY).balance + amount);
    }

    function wait(uint256 blocks) external {
        vm.roll(block.number + bound(blocks, 1, 150));
    }

    /// @dev Deposits held and credits owed.
    function owed() external view returns (uint256 sum) {
        for (uint256 i; i < MODELS; ++i) {
            (, Duty memory d) = REGISTRY.duty(models[i]);
            sum += d.deposit;
        }
        for (uint256 i; i < ACCOUNTS; ++i) {
            sum += REGISTRY.credit(_account(i));
        }
    }

    /// @dev The list of active models, their bytes and their records say the same.
    function listed() external view returns (uint256 wrong) {
        uint256 active;
        uint64 sum;
        for (uint256 i; i < MODELS; ++i) {
            bytes32 id = models[i];
            Model memory m = REGISTRY.getModel(id);
            (bool offChain, Duty memory d) = REGISTRY.duty(id);
            if (m.status == 2) {
                ++active;
                sum += m.weightsLength;
                if (m.activationBlock == 0 || d.depositor == address(0) || d.deposit == 0) ++wrong;
                if (offChain && REGISTRY.activeAt(d.place) != id) ++wrong;
            } else {
                if (m.activationBlock != 0 || d.deposit != 0 || d.noticeEnd != 0) ++wrong;
                if (offChain != (m.status == 0 || m.status == 3)) ++wrong;
            }
            bytes32 is_ =
                keccak256(abi.encode(m.ls1Version, m.graphLength, m.weightsLength, m.graphHash, m.weightsRoot));
            if (is_ != meaning[id]) ++wrong;
        }
        if (active != REGISTRY.activeCount() || uint256(sum) != _slot(4)) ++wrong;
        for (uint256 i; i < REGISTRY.activeCount(); ++i) {
            if (_status(REGISTRY.activeAt(i)) != 2) ++wrong;
            for (uint256 j; j < i; ++j) {
                if (REGISTRY.activeAt(i) == REGISTRY.activeAt(j)) ++wrong;
            }
        }
        if (REGISTRY.activeCount() > MAX_MODELS || sum > MAX_BYTES) ++wrong;
    }

    function _model(uint256 which) private view returns (bytes32) {
        return models[which % MODELS];
    }

    function _account(uint256 who) private pure returns (address) {
        return address(uint160(0xacc0 + who % ACCOUNTS));
    }

    function _pay(uint256 who, uint256 amount) private {
        vm.deal(_account(who), amount);
        vm.prank(_account(who));
    }
}

/// @notice Whatever is done: the registry holds what it owes, slots are kept, and the list of active models is whole.
contract RegistryDutyInvariantTest is DutyTest {
    DutyUsers private users;

    function setUpUsers() private {
        if (address(users) == address(0)) users = new DutyUsers();
    }

    constructor() {
        setUpUsers();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(users);
    }

    /// forge-config: default.invariant.runs = 64
    /// forge-config: default.invariant.depth = 128
    function invariant_theRegistryHoldsWhatItOwes() public view {
        vm.assertEq(address(REGISTRY).balance, users.owed() + users.forced());
        vm.assertEq(users.paid(), users.owed() + users.withdrawn());
    }

    /// forge-config: default.invariant.runs = 64
    /// forge-config: default.invariant.depth = 128
    function invariant_slotsListAndRecordsAgree() public view {
        vm.assertEq(users.listed(), 0);
        vm.assertEq(users.broken(), 0);
    }

    /// @dev The invariants are not empty: these users activate, extend, retire, complete and withdraw, and a loss is seen.
    function test_theseUsersDoAllOfIt() public {
        for (uint256 round; round < 4; ++round) {
            for (uint256 i; i < users.MODELS(); ++i) {
                users.challenge(i);
                users.attest(i, 0);
                users.attest(i, 1);
                users.activate(i, i, 1);
                users.announceEnd(i, i);
                if (i == 1) users.extend(i, 2);
            }
            users.wait(120);
            for (uint256 i; i < users.MODELS(); ++i) {
                users.retire(i);
                users.withdraw(i);
            }
            if (round == 2) users.complete(0);
            users.force(3);
        }
        vm.assertGt(users.retired(), 5, "retired");
        vm.assertGt(users.extended(), 0, "extended");
        vm.assertGt(users.withdrawn(), 20 ether, "withdrawn");
        invariant_theRegistryHoldsWhatItOwes();
        invariant_slotsListAndRecordsAgree();
        vm.store(address(REGISTRY), bytes32(uint256(4)), bytes32(_slot(4) + 1));
        vm.assertEq(users.listed(), 1, "a sum that is wrong");
    }
}
