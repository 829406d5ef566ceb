// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @notice One answer that a test made up.
/// @param modelId The model it is for.
/// @param selector The function it is for.
/// @param failure Whether `data` is reverted with.
/// @param data What is returned, or reverted with.
struct Mock {
    bytes32 modelId;
    bytes4 selector;
    bool failure;
    bytes data;
}

/// @notice What the shim must know to answer.
/// @param binary The path of `lockstep`; empty: none.
/// @param models Model files that the binary shall know.
/// @param mockGas What a mocked call uses.
/// @param mocks The made-up answers; the last one for a model and function holds.
struct KitConfig {
    string binary;
    string[] models;
    uint256 mockGas;
    Mock[] mocks;
}

/// @title Keeps a KitConfig behind the shim's code
/// @dev Code, not storage: reading it costs little gas and leaves no warmth behind. Layout of the account's code: the shim,
/// abi.encode(KitConfig), its length in 32 bytes.
library KitConfigs {
    /// @notice The code of a shim that has this configuration.
    function append(bytes memory shim, KitConfig memory config) internal pure returns (bytes memory) {
        bytes memory encoded = abi.encode(config);
        return abi.encodePacked(shim, encoded, encoded.length);
    }

    /// @notice The configuration behind this code.
    function read(bytes memory code) internal pure returns (KitConfig memory) {
        uint256 length;
        assembly ("memory-safe") {
            length := mload(add(code, mload(code)))
        }
        bytes memory encoded = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(encoded, 32), sub(add(code, mload(code)), length), length)
        }
        return abi.decode(encoded, (KitConfig));
    }
}
