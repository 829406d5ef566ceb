// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";

/// @title Sections of a model from the chunks that hold them (spec REG-1)
/// @notice A chunk is a contract whose code is a zero byte and the data.
library TwinChunks {
    /// @notice The data of the chunks, joined. Reverts TwinCannotRun where an address is no chunk.
    function read(address[] memory chunks) internal view returns (bytes memory data) {
        uint256 end;
        assembly ("memory-safe") {
            data := mload(0x40)
            end := add(data, 32)
        }
        for (uint256 i; i < chunks.length; ++i) {
            address chunk = chunks[i];
            uint256 first;
            uint256 size = chunk.code.length;
            assembly ("memory-safe") {
                extcodecopy(chunk, 0, 0, 1)
                first := byte(0, mload(0))
                if size { extcodecopy(chunk, end, 1, sub(size, 1)) }
            }
            if (size == 0 || first != 0) revert IInference.TwinCannotRun("a chunk is not stored on this chain");
            end += size - 1;
        }
        assembly ("memory-safe") {
            mstore(data, sub(sub(end, data), 32))
            mstore(0x40, and(add(end, 31), not(31)))
        }
    }
}
