// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Duty, IModelRegistry, Model} from "../src/IModelRegistry.sol";
import {DutyTest} from "./utils/DutyTest.sol";

/// @dev Takes ether only while it withdraws nothing, or tries to withdraw twice.
contract Greedy {
    IModelRegistry private immutable REGISTRY;
    bool public again;

    constructor(IModelRegistry registry) {
        REGISTRY = registry;
    }

    function activate(bytes32 id) external payable {
        REGISTRY.activate{value: msg.value}(id);
    }

    function announceEnd(bytes32 id) external {
        REGISTRY.announceEnd(id);
    }

    function take(bool twice) external {
        again = twice;
        REGISTRY.withdraw(payable(address(this)));
    }

    receive() external payable {
        require(again);
        again = false;
        try REGISTRY.withdraw(payable(address(this))) {
            revert("paid twice");
        } catch {}
    }
}

/// @notice Deposits, slots and the end of storage duty: docs/spec.md, section 8, REG-16 to REG-18.
contract RegistryDutyTest is DutyTest {
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    function _prepare() private {
        vm.roll(1000);
        _configure(2, ATTESTERS);
    }

    // Deposits and slots

    function test_activationTakesTheDepositOfItsSize() public {
        _prepare();
        vm.assertEq(abi.encode(REGISTRY.deposits()), abi.encode(SLOT, PER_MEBIBYTE, ON_CHAIN));
        vm.assertEq(abi.encode(REGISTRY.caps()), abi.encode(0, 0, NOTICE, CHALLENGE, 2));
        bytes32 id = _open("model", (1 << 20) + 1); // two MiB begun
        vm.assertEq(REGISTRY.depositFor(id), SLOT + 2 * PER_MEBIBYTE);
        vm.assertEq(REGISTRY.depositFor(_open("exact", 1 << 20)), SLOT + PER_MEBIBYTE);
        _attested(id);
        _validates(1, (1 << 20) + 1);
        vm.deal(ALICE, 20 ether);
        uint256 price = SLOT + 2 * PER_MEBIBYTE;
        for (uint256 wrong = price - 1; wrong <= price + 1; wrong += 2) {
            vm.prank(ALICE);
            vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongDeposit.selector, id, price, wrong));
            REGISTRY.activate{value: wrong}(id);
        }
        vm.prank(ALICE);
        REGISTRY.activate{value: price}(id);
        vm.assertEq(address(REGISTRY).balance, price);
        (bool offChain, Duty memory d) = REGISTRY.duty(id);
        vm.assertTrue(offChain, "off chain");
        vm.assertEq(d.deposit, price);
        vm.assertEq(d.depositor, ALICE);
        vm.assertEq(_status(id), 2);
        (, uint64 activationBlock) = REGISTRY.status(id);
        vm.assertEq(activationBlock, 1000 + 1 + 1);
    }

    function test_aModelOnChainPaysForItsSlotForEver() public {
        _prepare();
        bytes32 id = _registered(100, 5);
        _validates(1, 5);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongDeposit.selector, id, ON_CHAIN, 0));
        REGISTRY.activate(id);
        _activateBy(id, ALICE);
        vm.assertEq(address(REGISTRY).balance, ON_CHAIN);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WeightsOnChain.selector, id));
        vm.prank(ALICE);
        REGISTRY.announceEnd(id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WeightsOnChain.selector, id));
        REGISTRY.retire(id);
    }

    function test_withoutAPriceEtherIsRefused() public {
        _prepare();
        _setDeposits(0, 0, 0);
        bytes32 id = _registered(100, 5);
        _validates(1, 5);
        vm.deal(address(this), 1);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongDeposit.selector, id, 0, 1));
        REGISTRY.activate{value: 1}(id);
        REGISTRY.activate(id);
    }

    function test_theQuorumMustStandAtActivation() public {
        _prepare();
        bytes32 id = _open("model", LENGTH);
        _attested(id);
        vm.roll(block.number + CHALLENGE + 1);
        uint256 price = REGISTRY.depositFor(id);
        vm.deal(address(this), price);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAttested.selector, id, 2, 0));
        REGISTRY.activate{value: price}(id);
        REGISTRY.challenge(id);
        REGISTRY.attest(id, _one(_attestation(id, 1)));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAttested.selector, id, 2, 1));
        REGISTRY.activate{value: price}(id);
        REGISTRY.attest(id, _one(_attestation(id, 0)));
        REGISTRY.activate{value: price}(id);
        vm.assertEq(REGISTRY.modelCount(), 1, "registered once");
    }

    function test_slotsBoundModelsOffChainToo() public {
        _prepare();
        _configure(2, 2 * LENGTH, 2, ATTESTERS);
        bytes32 first = _active("first", LENGTH, ALICE);
        bytes32 large = _open("large", LENGTH + 1);
        _attested(large);
        uint256 price = REGISTRY.depositFor(large);
        vm.deal(address(this), price);
        _validates(1, LENGTH + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.TooManyActiveWeights.selector, 2 * LENGTH, 2 * LENGTH + 1)
        );
        REGISTRY.activate{value: price}(large);
        _active("second", LENGTH, ALICE);
        _validates(1, LENGTH + 1);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.TooManyActiveModels.selector, 2));
        REGISTRY.activate{value: price}(large);
        // A slot that is given up is free for another.
        _ended(first, ALICE);
        vm.assertEq(_slot(4), LENGTH);
        _active("third", LENGTH, BOB);
        vm.assertEq(_slot(4), 2 * LENGTH);
    }

    function test_etherThatIsForcedUponItChangesNothing() public {
        _prepare();
        bytes32 id = _active("model", LENGTH, ALICE);
        uint256 price = address(REGISTRY).balance;
        vm.deal(address(REGISTRY), price + 3 ether);
        (bool sent,) = address(REGISTRY).call{value: 0}("");
        vm.assertFalse(sent, "it takes no plain transfer");
        _ended(id, ALICE);
        vm.assertEq(REGISTRY.credit(ALICE), price);
        vm.prank(ALICE);
        REGISTRY.withdraw(payable(ALICE));
        vm.assertEq(address(REGISTRY).balance, 3 ether);
    }

    // The end

    function test_noticeThenRetired() public {
        _prepare();
        bytes32 id = _active("model", LENGTH, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoEndAnnounced.selector, id));
        REGISTRY.retire(id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotDepositor.selector, id, ALICE));
        vm.prank(BOB);
        REGISTRY.announceEnd(id);
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.EndAnnounced(id, 1000 + NOTICE);
        vm.prank(ALICE);
        vm.assertEq(REGISTRY.announceEnd(id), 1000 + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.EndIsAnnounced.selector, id, 1000 + NOTICE));
        vm.prank(ALICE);
        REGISTRY.announceEnd(id);
        vm.roll(999 + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoticeRuns.selector, id, 1000 + NOTICE));
        REGISTRY.retire(id);
        vm.assertEq(_status(id), 2, "callable until the end");
        vm.roll(1000 + NOTICE);
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.ModelRetired(id);
        vm.prank(BOB);
        REGISTRY.retire(id);
        (uint8 status, uint64 activationBlock) = REGISTRY.status(id);
        vm.assertEq(status, 3);
        vm.assertEq(activationBlock, 0);
        vm.assertEq(REGISTRY.activeCount(), 0);
        vm.assertEq(REGISTRY.credit(ALICE), SLOT + PER_MEBIBYTE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotActive.selector, id));
        REGISTRY.retire(id);
    }

    /// @dev Attestations of before do not count, also in the block in which it was retired.
    function test_aRetiredModelMayComeBackAttestedAgain() public {
        _prepare();
        bytes32 id = _active("model", LENGTH, ALICE);
        Model memory before = REGISTRY.getModel(id);
        _ended(id, ALICE);
        uint256 price = REGISTRY.depositFor(id);
        vm.deal(address(this), price);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAttested.selector, id, 2, 0));
        REGISTRY.activate{value: price}(id);
        _attested(id);
        _activateBy(id, BOB);
        Model memory again = REGISTRY.getModel(id);
        vm.assertEq(REGISTRY.modelCount(), 1);
        vm.assertTrue(again.activationBlock > before.activationBlock, "later");
        (before.activationBlock, again.activationBlock) = (0, 0);
        vm.assertEq(abi.encode(again), abi.encode(before), "and is what it was");
    }

    function test_whoExtendsTakesTheDepositOver() public {
        _prepare();
        bytes32 id = _active("model", LENGTH, ALICE);
        uint256 price = SLOT + PER_MEBIBYTE;
        vm.deal(BOB, 2 * price);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoEndAnnounced.selector, id));
        vm.prank(BOB);
        REGISTRY.extend{value: price}(id);
        vm.prank(ALICE);
        REGISTRY.announceEnd(id);
        // Also when the notice has run out, as long as nobody has retired it.
        vm.roll(block.number + NOTICE + 5);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongDeposit.selector, id, price, 1));
        vm.prank(BOB);
        REGISTRY.extend{value: 1}(id);
        vm.expectEmit(true, true, true, true, address(REGISTRY));
        emit IModelRegistry.DutyExtended(id, BOB);
        vm.prank(BOB);
        REGISTRY.extend{value: price}(id);
        vm.assertEq(REGISTRY.credit(ALICE), price);
        vm.assertEq(address(REGISTRY).balance, 2 * price);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoEndAnnounced.selector, id));
        REGISTRY.retire(id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotDepositor.selector, id, BOB));
        vm.prank(ALICE);
        REGISTRY.announceEnd(id);
        vm.prank(ALICE);
        REGISTRY.withdraw(payable(ALICE));
        _ended(id, BOB);
        vm.prank(BOB);
        REGISTRY.withdraw(payable(address(0xcafe)));
        vm.assertEq(address(0xcafe).balance, price);
        vm.assertEq(address(REGISTRY).balance, 0);
    }

    /// @dev The last of the list takes the place that gets free, and can be retired from there.
    function test_theListStaysWhole() public {
        _prepare();
        bytes32 a = _active("a", LENGTH, ALICE);
        bytes32 b = _active("b", LENGTH, ALICE);
        bytes32 stored = _registered(100, 5);
        _validates(1, 5);
        _activateBy(stored, BOB);
        bytes32 c = _active("c", LENGTH, ALICE);
        _ended(a, ALICE);
        vm.assertEq(REGISTRY.activeCount(), 3);
        vm.assertEq(REGISTRY.activeAt(0), c);
        _ended(c, ALICE);
        vm.assertEq(REGISTRY.activeAt(0), stored);
        _ended(b, ALICE);
        vm.assertEq(REGISTRY.activeCount(), 1);
        vm.assertEq(REGISTRY.activeAt(0), stored);
        vm.assertEq(_status(stored), 2, "on chain: for ever");
    }

    function test_onlyActiveModelsHaveAnEnd() public {
        _prepare();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, bytes32("x")));
        REGISTRY.announceEnd("x");
        bytes32 id = _open("model", LENGTH);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotActive.selector, id));
        REGISTRY.announceEnd(id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotActive.selector, id));
        REGISTRY.extend(id);
    }

    // Money out

    function test_nobodyIsPaidTwice() public {
        _prepare();
        Greedy greedy = new Greedy(REGISTRY);
        bytes32 other = _active("other", LENGTH, ALICE);
        bytes32 id = _open("model", LENGTH);
        _attested(id);
        uint256 price = REGISTRY.depositFor(id);
        vm.deal(address(this), price);
        greedy.activate{value: price}(id);
        greedy.announceEnd(id);
        vm.roll(block.number + NOTICE);
        REGISTRY.retire(id); // does not ask the depositor to take it
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WithdrawalRefused.selector, address(greedy)));
        greedy.take(false);
        vm.assertEq(REGISTRY.credit(address(greedy)), price, "kept");
        greedy.take(true);
        vm.assertEq(address(greedy).balance, price);
        vm.assertEq(address(REGISTRY).balance, price, "the other's deposit");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NothingToWithdraw.selector, address(greedy)));
        greedy.take(true);
        vm.assertEq(_status(other), 2);
    }

    // On chain after all

    function test_aModelCanStillBePutOnChain() public {
        _prepare();
        bytes memory weights = _data("weights", LENGTH);
        address[] memory graph = _store(_data("graph", 100));
        address[] memory chunks = _store(weights);
        bytes32 root = _rootOf(graph, chunks);
        _validates(1, LENGTH);
        bytes32 id = REGISTRY.open(graph, root);
        _attested(id);
        uint256 before = vm.snapshotState();
        for (uint256 how; how < 3; ++how) {
            if (how > 0) {
                _validates(1, LENGTH);
                _activateBy(id, ALICE);
            }
            if (how == 2) {
                vm.prank(ALICE);
                REGISTRY.announceEnd(id);
            }
            vm.expectEmit(true, true, true, true, address(REGISTRY));
            emit IModelRegistry.WeightsCompleted(id);
            if (how == 1) REGISTRY.register(1, graph, chunks);
            else vm.assertEq(REGISTRY.append(id, 0, chunks, new bytes32[](0)), chunks.length);
            (bool offChain, Duty memory d) = REGISTRY.duty(id);
            vm.assertFalse(offChain, "on chain");
            vm.assertEq(REGISTRY.modelCount(), 1);
            vm.assertEq(_status(id), how == 0 ? 1 : 2);
            vm.assertEq(d.noticeEnd, 0);
            if (how > 0) {
                vm.assertEq(d.deposit, ON_CHAIN, "the deposit of a slot for ever stays");
                vm.assertEq(REGISTRY.credit(ALICE), SLOT + PER_MEBIBYTE - ON_CHAIN);
                vm.roll(block.number + NOTICE + 1);
                vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WeightsOnChain.selector, id));
                REGISTRY.retire(id);
            }
            vm.assertEq(REGISTRY.append(id, 0, chunks, new bytes32[](0)), chunks.length, "passed over");
            vm.revertToState(before);
        }
    }

    /// @dev A list that is not finished takes nothing from the model: it is off chain as before.
    function test_aListThatIsNotFinishedChangesNothing() public {
        _prepare();
        bytes memory weights = _data("weights", 3 * FULL);
        address[] memory graph = _store(_data("graph", 100));
        address[] memory chunks = _store(weights);
        bytes32 root = _rootOf(graph, chunks);
        _validates(1, uint64(3 * FULL));
        bytes32 id = REGISTRY.open(graph, root);
        _attested(id);
        _activateBy(id, ALICE);
        address[] memory two = new address[](2);
        (two[0], two[1]) = (chunks[0], chunks[1]);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = chunks[2].codehash;
        REGISTRY.append(id, 0, two, proof);
        (bool offChain,) = REGISTRY.duty(id);
        vm.assertTrue(offChain, "two of three");
        _ended(id, ALICE);
        vm.assertEq(_status(id), 3);
    }

    /// @dev What the graph of an open model says of its weights cannot be changed by registering other bytes for it.
    function test_registeringCannotChangeTheLength() public {
        _prepare();
        address[] memory graph = _store(_data("graph", 100));
        address[] memory chunks = _store(_data("weights", 500));
        bytes32 root = _rootOf(graph, chunks);
        _validates(1, 499);
        bytes32 id = REGISTRY.open(graph, root);
        _attested(id);
        _activateBy(id, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongWeightsLength.selector, id, 499, 500));
        REGISTRY.register(1, graph, chunks);
    }

    // Helpers

    function _ended(bytes32 id, address depositor) private {
        vm.prank(depositor);
        uint256 end = REGISTRY.announceEnd(id);
        vm.roll(end);
        REGISTRY.retire(id);
    }

    function _rootOf(address[] memory graph, address[] memory chunks) private returns (bytes32 root) {
        uint256 before = vm.snapshotState();
        root = REGISTRY.getModel(REGISTRY.register(1, graph, chunks)).weightsRoot;
        vm.revertToState(before);
    }
}
