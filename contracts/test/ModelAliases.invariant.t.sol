// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ModelAliases} from "../src/ModelAliases.sol";
import {Test} from "./utils/Test.sol";

/// @dev Owners, strangers and time, over three names. Remembers what consumers saw.
contract AliasActors is Test {
    ModelAliases public immutable aliases = new ModelAliases();
    uint32 private constant DELAY = 2 days;
    address[3] private people = [address(0xA1), address(0xB2), address(0xC3)];

    /// @dev When a name was seen to have another model than before, without its having been announced a delay before.
    uint256 public surprises;
    /// @dev When somebody other than the owner changed something.
    uint256 public intrusions;
    mapping(bytes32 name => mapping(bytes32 modelId => uint256 time)) private announced;
    mapping(bytes32 name => bytes32 modelId) private seen;
    mapping(bytes32 name => uint64 time) private promised;

    constructor() {
        for (uint256 i; i < 3; ++i) {
            bytes32 name = bytes32(i + 1);
            vm.prank(people[i]);
            aliases.create(name, bytes32(uint256(100)), DELAY);
            seen[name] = bytes32(uint256(100));
        }
    }

    function announce(uint256 who, uint256 which, uint256 model) external {
        (address caller, bytes32 name) = _pick(who, which);
        bytes32 modelId = bytes32(bound(model, 100, 105));
        address owner = aliases.get(name).owner;
        vm.prank(caller);
        try aliases.announce(name, modelId) {
            if (caller != owner) ++intrusions;
            announced[name][modelId] = block.timestamp;
        } catch {}
        _look();
    }

    function cancel(uint256 who, uint256 which) external {
        (address caller, bytes32 name) = _pick(who, which);
        address owner = aliases.get(name).owner;
        vm.prank(caller);
        try aliases.cancel(name) {
            if (caller != owner) ++intrusions;
        } catch {}
        _look();
    }

    function handOver(uint256 who, uint256 which, uint256 to, bool taken) external {
        (address caller, bytes32 name) = _pick(who, which);
        ModelAliases.Alias memory a = aliases.get(name);
        address next = people[bound(to, 0, 2)];
        vm.prank(caller);
        try aliases.offer(name, next) {
            if (caller != a.owner) ++intrusions;
            if (taken) {
                vm.prank(next);
                aliases.accept(name);
            }
        } catch {}
        _look();
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 3 days));
        _look();
    }

    /// @dev A name may stand for another model only where that was announced a whole delay ago, and not before the time that
    /// stableUntil had promised.
    function _look() private {
        for (uint256 i = 1; i <= 3; ++i) {
            bytes32 name = bytes32(i);
            bytes32 modelId = aliases.resolve(name);
            if (modelId != seen[name]) {
                uint256 since = announced[name][modelId];
                if (since == 0 || block.timestamp < since + DELAY || block.timestamp < promised[name]) ++surprises;
                seen[name] = modelId;
            }
            promised[name] = aliases.stableUntil(name);
        }
    }

    function _pick(uint256 who, uint256 which) private view returns (address caller, bytes32 name) {
        return (people[bound(who, 0, 2)], bytes32(bound(which, 1, 3)));
    }
}

/// @notice Whoever follows a name has the delay to leave; nobody but the owner changes it.
contract ModelAliasesInvariantTest is Test {
    AliasActors private actors;

    function setUp() public {
        vm.warp(1_000_000);
        actors = new AliasActors();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actors);
    }

    function invariant_noChangeWithoutItsDelay() public view {
        vm.assertEq(actors.surprises(), 0);
    }

    function invariant_onlyTheOwnerChangesAName() public view {
        vm.assertEq(actors.intrusions(), 0);
    }
}
