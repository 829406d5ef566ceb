// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

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
}
