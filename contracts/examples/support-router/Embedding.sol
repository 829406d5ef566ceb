// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Tensor} from "../../src/IInference.sol";
import {Tensors} from "../../src/Tensors.sol";

/// @title Vectors of meaning, and how near two of them are
/// @notice A vector is kept as signed 64-bit numbers with 18 decimals, packed: a quarter of the words that int256[] takes.
/// @dev Sentence transformers give vectors of length 1, so that every value fits and the dot product is the cosine.
library Embedding {
    /// @notice A value beyond 64 bits with 18 decimals (about 9.2): no vector of length 1 has one.
    error ValueTooLarge(uint256 index, int256 value);
    /// @notice Vectors of different spaces.
    error WidthsDiffer(uint256 expected, uint256 actual);

    uint256 private constant BYTES = 8;

    /// @notice The vector in an f32 tensor.
    function fromTensor(Tensor memory t) internal pure returns (bytes memory vector) {
        int256[] memory wad = Tensors.toWad(t);
        vector = new bytes(wad.length * BYTES);
        for (uint256 i; i < wad.length; ++i) {
            int256 v = wad[i];
            if (v > type(int64).max || v < type(int64).min) revert ValueTooLarge(i, v);
            assembly ("memory-safe") {
                // Eight bytes at their place; those after it are zero still, or are not written here at all.
                let at := add(add(vector, 32), mul(i, 8))
                mstore(at, or(and(mload(at), shr(64, not(0))), shl(192, v)))
            }
        }
    }

    /// @notice The dot product of two vectors, 18 decimals; cut off towards zero once, at the end.
    function dot(bytes memory a, bytes memory b) internal pure returns (int256 product) {
        if (a.length != b.length) revert WidthsDiffer(a.length / BYTES, b.length / BYTES);
        assembly ("memory-safe") {
            let offset := sub(b, a)
            // A product is below 2^126, and a vector has fewer than 2^64 values.
            for {
                let at := add(a, 32)
                let end := add(at, mload(a))
            } lt(at, end) { at := add(at, 8) } {
                product := add(product, mul(sar(192, mload(at)), sar(192, mload(add(at, offset)))))
            }
        }
        product /= 1e18;
    }
}
