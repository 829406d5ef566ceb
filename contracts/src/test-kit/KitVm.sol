// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title The cheatcodes that the test kit uses
/// @notice A part of Foundry's interface, so that the kit depends on no library and stands beside any.
/// @dev https://getfoundry.sh/reference/cheatcodes/overview describes each.
interface KitVm {
    function allowCheatcodes(address account) external;
    function coinbase(address account) external;
    function createDir(string calldata path, bool recursive) external;
    function envOr(string calldata name, string calldata defaultValue) external view returns (string memory);
    function envOr(string calldata name, bool defaultValue) external view returns (bool);
    function etch(address account, bytes calldata code) external;
    function expectCall(address callee, bytes calldata data) external;
    function expectCall(address callee, bytes calldata data, uint64 count) external;
    function ffi(string[] calldata command) external returns (bytes memory);
    function getDeployedCode(string calldata artifact) external view returns (bytes memory);
    function load(address account, bytes32 slot) external view returns (bytes32);
    function makePersistent(address account) external;
    function parseBytes(string calldata text) external pure returns (bytes memory);
    function parseBytes32(string calldata text) external pure returns (bytes32);
    function projectRoot() external view returns (string memory);
    function readFile(string calldata path) external view returns (string memory);
    function readFileBinary(string calldata path) external view returns (bytes memory);
    function removeFile(string calldata path) external;
    function rpc(string calldata url, string calldata method, string calldata params) external returns (bytes memory);
    function setNonce(address account, uint64 nonce) external;
    function split(string calldata text, string calldata delimiter) external pure returns (string[] memory);
    function store(address account, bytes32 slot, bytes32 value) external;
    function toString(address value) external pure returns (string memory);
    function toString(bytes calldata value) external pure returns (string memory);
    function toString(bytes32 value) external pure returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
    function toString(int256 value) external pure returns (string memory);
    function unixTime() external view returns (uint256);
    function writeFile(string calldata path, string calldata data) external;
    function writeFileBinary(string calldata path, bytes calldata data) external;
    function writeLine(string calldata path, string calldata line) external;
}

/// @dev Where Foundry answers cheatcodes.
KitVm constant KIT_VM = KitVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

/// @dev Where the kit keeps itself: "LockstepKit" in ASCII.
address constant KIT_ACCOUNT = 0x0000000000000000004c6f636b737465704B6974;

/// @dev Where the kit keeps the Solidity twin: "LockstepTwin" in ASCII.
address constant KIT_TWIN = 0x00000000000000004C6f636B737465705477696e;
