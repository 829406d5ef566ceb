// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Test} from "./utils/Test.sol";

/// @notice The compiler's storage layout of the registry is the one of docs/spec.md, section 8, which the precompile reads.
contract RegistryLayoutTest is Test {
    string private json;

    function setUp() public {
        json = vm.readFile("contracts/registry-layout.json");
    }

    function test_contract() public view {
        _at(".ModelRegistry._models", 0, 0, 32, "mapping(bytes32 => struct Model)");
        _at(".ModelRegistry._registered", 1, 0, 32, "bytes32[]");
        _at(".ModelRegistry._activated", 2, 0, 32, "bytes32[]");
        _at(".ModelRegistry._caps", 3, 0, 32, "struct Caps");
        _at(".ModelRegistry._activeWeightBytes", 4, 0, 8, "uint64");
        _at(".ModelRegistry._deposits", 5, 0, 32, "struct Deposits");
        _at(".ModelRegistry._attesters", 6, 0, 32, "address[]");
        _at(".ModelRegistry._duties", 7, 0, 32, "mapping(bytes32 => struct Duty)");
        _at(".ModelRegistry._credits", 8, 0, 32, "mapping(address => uint256)");
    }

    function test_caps() public view {
        _at(".Caps.maxActiveModels", 0, 0, 4, "uint32");
        _at(".Caps.maxActiveWeightBytes", 0, 4, 8, "uint64");
        _at(".Caps.noticeBlocks", 0, 12, 8, "uint64");
        _at(".Caps.challengeBlocks", 0, 20, 4, "uint32");
        _at(".Caps.quorum", 0, 24, 2, "uint16");
    }

    function test_deposits() public view {
        _at(".Deposits.slot", 0, 0, 10, "uint80");
        _at(".Deposits.perMebibyte", 0, 10, 10, "uint80");
        _at(".Deposits.onChain", 0, 20, 10, "uint80");
    }

    function test_duty() public view {
        _at(".Duty.challenge", 0, 0, 32, "bytes32");
        _at(".Duty.attested", 1, 0, 32, "uint256");
        _at(".Duty.deposit", 2, 0, 32, "uint256");
        _at(".Duty.depositor", 3, 0, 20, "address");
        _at(".Duty.noticeEnd", 3, 20, 8, "uint64");
        _at(".Duty.place", 3, 28, 4, "uint32");
        _at(".Duty.challengeEnd", 4, 0, 8, "uint64");
        _at(".Duty.round", 4, 8, 4, "uint32");
        _at(".Duty.attestations", 4, 12, 2, "uint16");
    }

    function test_model() public view {
        _at(".Model.status", 0, 0, 1, "uint8");
        _at(".Model.activationBlock", 0, 1, 8, "uint64");
        _at(".Model.ls1Version", 0, 9, 4, "uint32");
        _at(".Model.graphLength", 0, 13, 4, "uint32");
        _at(".Model.weightsLength", 0, 17, 8, "uint64");
        _at(".Model.graphHash", 1, 0, 32, "bytes32");
        _at(".Model.weightsRoot", 2, 0, 32, "bytes32");
        _at(".Model.graphChunks", 3, 0, 32, "address[]");
        _at(".Model.weightChunks", 4, 0, 32, "address[]");
    }

    function _at(string memory key, uint256 slot, uint256 offset, uint256 size, string memory kind) private view {
        vm.assertEq(vm.parseJsonUint(json, string.concat(key, ".slot")), slot, key);
        vm.assertEq(vm.parseJsonUint(json, string.concat(key, ".offset")), offset, key);
        vm.assertEq(vm.parseJsonUint(json, string.concat(key, ".bytes")), size, key);
        vm.assertEq(vm.parseJsonString(json, string.concat(key, ".type")), kind);
    }
}
