// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @notice Zero bits above the highest bit of x; 256 for 0. Without the opcode CLZ, for chains before osaka.
function leadingZeros(uint256 x) pure returns (uint256 n) {
    assembly ("memory-safe") {
        // The highest byte by halves, its highest bit by a table of half bytes.
        let h := shl(7, lt(0xffffffffffffffffffffffffffffffff, x))
        h := or(h, shl(6, lt(0xffffffffffffffff, shr(h, x))))
        h := or(h, shl(5, lt(0xffffffff, shr(h, x))))
        h := or(h, shl(4, lt(0xffff, shr(h, x))))
        h := or(h, shl(3, lt(0xff, shr(h, x))))
        h := or(h, shl(2, lt(0xf, shr(h, x))))
        n := sub(255, or(h, byte(add(16, shr(h, x)), 0x00000101020202020303030303030303)))
        n := add(n, iszero(x))
    }
}
