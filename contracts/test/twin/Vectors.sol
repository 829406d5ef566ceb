// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {Tensor} from "lockstep/IInference.sol";
import {Test} from "../utils/Test.sol";

/// @notice Reads the committed vectors (tests/examples/twin_vectors.rs writes them).
abstract contract Vectors is Test {
    string private constant FOLDER = "contracts/test/twin/vectors/";

    function readVectors(string memory file, string memory key) internal view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile(string.concat(FOLDER, file)), string.concat(".", key));
    }

    /// @dev The i-th big-endian word of 32 bits.
    function word(bytes memory v, uint256 i) internal pure returns (uint256 x) {
        assembly ("memory-safe") {
            x := shr(224, mload(add(add(v, 32), shl(2, i))))
        }
    }

    /// @dev The big-endian word of 32 bits at a position.
    function wordAt(bytes memory v, uint256 position) internal pure returns (uint256 x) {
        assembly ("memory-safe") {
            x := shr(224, mload(add(add(v, 32), position)))
        }
    }
}

/// @notice Reads tensors too.
abstract contract TwinVectors is Vectors {
    /// @dev u8 type, u8 rank, u32 dimensions, data.
    function tensor(bytes memory v) internal pure returns (Tensor memory t) {
        uint256 rank = uint8(v[1]);
        t.dtype = uint8(v[0]);
        t.shape = new uint32[](rank);
        uint256 skip = 2 + 4 * rank;
        for (uint256 k = 2; k < skip; ++k) {
            t.shape[(k - 2) / 4] = t.shape[(k - 2) / 4] << 8 | uint8(v[k]);
        }
        t.data = new bytes(v.length - skip);
        for (uint256 k = skip; k < v.length; ++k) {
            t.data[k - skip] = v[k];
        }
    }
}
