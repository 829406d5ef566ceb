// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title Constant data kept as a contract's code, which is the cheapest place to read much of it from
library CodeData {
    /// @notice The most that one contract holds.
    uint256 internal constant MAX_LENGTH = 24_575;

    /// @notice The data exceeds MAX_LENGTH.
    error DataTooLong(uint256 maximum, uint256 actual);
    /// @notice The contract could not be created.
    error NotStored();

    /// @notice Stores data behind a STOP.
    function store(bytes memory data) internal returns (address pointer) {
        if (data.length > MAX_LENGTH) revert DataTooLong(MAX_LENGTH, data.length);
        // Init code of 12 bytes: copy what follows it to memory and return it.
        bytes memory initCode = abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600c6000396000f300", data);
        assembly ("memory-safe") {
            pointer := create(0, add(initCode, 32), mload(initCode))
        }
        if (pointer == address(0)) revert NotStored();
    }

    /// @notice Loads all of it.
    function load(address pointer) internal view returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := sub(extcodesize(pointer), 1)
            data := mload(0x40)
            mstore(data, size)
            extcodecopy(pointer, add(data, 32), 1, size)
            // 32 bytes more, so that a whole word can be read at the last entry.
            mstore(0x40, add(add(data, 96), and(add(size, 31), not(31))))
        }
    }
}
