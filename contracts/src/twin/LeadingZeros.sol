// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

/// @notice Zero bits above the highest bit of x; 256 for 0. By the opcode CLZ (EIP-7939), which chains have from osaka on:
/// for others the twin is compiled with portable/LeadingZeros.sol in place of this file.
function leadingZeros(uint256 x) pure returns (uint256 n) {
    assembly ("memory-safe") {
        n := clz(x)
    }
}
