// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @notice The cheatcodes that the test kit uses. A part of Foundry's interface, so that the kit depends on no library
/// and stands beside any.
interface KitVm {
    function allowCheatcodes(address account) external;
    function coinbase(address account) external;
    function envOr(string calldata name, string calldata defaultValue) external view returns (string memory);
    function etch(address account, bytes calldata code) external;
    function expectCall(address callee, bytes calldata data) external;
    function ffi(string[] calldata command) external returns (bytes memory);
    function load(address account, bytes32 slot) external view returns (bytes32);
    function makePersistent(address account) external;
    function projectRoot() external view returns (string memory);
    function removeFile(string calldata path) external;
    function setNonce(address account, uint64 nonce) external;
    function store(address account, bytes32 slot, bytes32 value) external;
    function toString(bytes calldata value) external pure returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
    function unixTime() external view returns (uint256);
    function writeFile(string calldata path, string calldata data) external;
    function createDir(string calldata path, bool recursive) external;
}

/// @dev Where Foundry answers cheatcodes.
KitVm constant KIT_VM = KitVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
