// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @notice Calls an account with a given amount of gas and measures what that cost.
contract Caller {
    /// @dev What the caller itself uses around a call: the CALL's fixed price and the steps between the two readings.
    uint256 private constant AROUND = 100 + 23;

    function measure(address target, uint256 amount, bytes memory data)
        external
        view
        returns (bool ok, uint256 used, bytes memory answer)
    {
        assembly ("memory-safe") {
            let pointer := add(data, 32)
            let size := mload(data)
            let before := gas()
            ok := staticcall(amount, target, pointer, size, 0, 0)
            used := sub(before, gas())
        }
        used -= AROUND;
        answer = new bytes(0);
        assembly ("memory-safe") {
            answer := mload(0x40)
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 32), 0, returndatasize())
            mstore(0x40, add(answer, add(32, and(add(returndatasize(), 31), not(31)))))
        }
    }

    function delegated(bytes memory data) external returns (bool ok, bytes memory answer) {
        return address(0xa11).delegatecall(data);
    }

    function paid(bytes memory data) external payable returns (bool ok, bytes memory answer) {
        return address(0xa11).call{value: msg.value}(data);
    }
}
