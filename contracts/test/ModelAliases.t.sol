// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ModelAliases} from "../src/ModelAliases.sol";
import {Test} from "./utils/Test.sol";

contract ModelAliasesTest is Test {
    bytes32 private constant NAME = "risk";
    bytes32 private constant FIRST = keccak256("first");
    bytes32 private constant SECOND = keccak256("second");
    uint32 private constant DELAY = 3 days;
    address private constant OTHER = address(0xB0B);
    ModelAliases private aliases;

    function setUp() public {
        aliases = new ModelAliases();
        vm.warp(1_000_000);
        aliases.create(NAME, FIRST, DELAY);
    }

    function test_changeTakesEffectByTimeAlone() public {
        vm.assertEq(aliases.stableUntil(NAME), 1_000_000 + DELAY);
        aliases.announce(NAME, SECOND);
        vm.warp(1_000_000 + DELAY - 1);
        vm.assertEq(aliases.resolve(NAME), FIRST);
        vm.assertEq(aliases.stableUntil(NAME), 1_000_000 + DELAY);
        vm.warp(1_000_000 + DELAY);
        vm.assertEq(aliases.resolve(NAME), SECOND);
        ModelAliases.Alias memory a = aliases.get(NAME);
        vm.assertEq(a.model, SECOND);
        vm.assertEq(a.effectiveAt, 0);
        vm.assertEq(aliases.stableUntil(NAME), 1_000_000 + 2 * DELAY);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.NothingAnnounced.selector, NAME));
        aliases.cancel(NAME);
    }

    function test_cancelledChangeNeverComes() public {
        aliases.announce(NAME, SECOND);
        aliases.cancel(NAME);
        vm.warp(10_000_000);
        vm.assertEq(aliases.resolve(NAME), FIRST);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.NothingAnnounced.selector, NAME));
        aliases.cancel(NAME);
    }

    function test_announcingAgainBeginsTheDelayAgain() public {
        aliases.announce(NAME, SECOND);
        vm.warp(1_000_000 + DELAY - 1);
        aliases.announce(NAME, keccak256("third"));
        vm.warp(1_000_000 + 2 * uint256(DELAY) - 2);
        vm.assertEq(aliases.resolve(NAME), FIRST);
        vm.warp(1_000_000 + 2 * uint256(DELAY) - 1);
        vm.assertEq(aliases.resolve(NAME), keccak256("third"));
    }

    function test_onlyTheOwnerChanges() public {
        bytes memory reason = abi.encodeWithSelector(ModelAliases.NotOwner.selector, NAME, address(this), OTHER);
        vm.startPrank(OTHER);
        vm.expectRevert(reason);
        aliases.announce(NAME, SECOND);
        vm.expectRevert(reason);
        aliases.cancel(NAME);
        vm.expectRevert(reason);
        aliases.offer(NAME, OTHER);
        vm.expectRevert(reason);
        aliases.renounce(NAME);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.NotOffered.selector, NAME, address(0), OTHER));
        aliases.accept(NAME);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.AliasTaken.selector, NAME));
        aliases.create(NAME, SECOND, DELAY);
        vm.stopPrank();
    }

    function test_ownerIsHandedOverInTwoSteps() public {
        aliases.offer(NAME, OTHER);
        vm.assertEq(aliases.get(NAME).owner, address(this));
        vm.prank(OTHER);
        aliases.accept(NAME);
        vm.assertEq(aliases.get(NAME).owner, OTHER);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.NotOwner.selector, NAME, OTHER, address(this)));
        aliases.announce(NAME, SECOND);
    }

    function test_renouncedNameIsFixedAfterItsLastChange() public {
        aliases.announce(NAME, SECOND);
        aliases.renounce(NAME);
        vm.assertEq(aliases.stableUntil(NAME), 1_000_000 + DELAY);
        vm.warp(1_000_000 + DELAY);
        vm.assertEq(aliases.resolve(NAME), SECOND);
        vm.assertEq(aliases.stableUntil(NAME), type(uint64).max);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.AliasTaken.selector, NAME));
        aliases.create(NAME, FIRST, DELAY);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.NotOwner.selector, NAME, address(0), address(this)));
        aliases.announce(NAME, FIRST);
    }

    function test_bounds() public {
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.DelayOutOfRange.selector, 1 days, 365 days, 1 days - 1));
        aliases.create("x", FIRST, 1 days - 1);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.DelayOutOfRange.selector, 1 days, 365 days, 365 days + 1));
        aliases.create("x", FIRST, 365 days + 1);
        vm.expectRevert(ModelAliases.NoModel.selector);
        aliases.create("x", 0, DELAY);
        vm.expectRevert(ModelAliases.NoModel.selector);
        aliases.announce(NAME, 0);
        vm.expectRevert(abi.encodeWithSelector(ModelAliases.UnknownAlias.selector, bytes32("x")));
        aliases.resolve("x");
    }
}
