// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @title Chunks: data stored as code, and the tree over a model's weights (docs/spec.md, REG-1, REG-2, REG-11)
/// @notice Part of ModelRegistry; it has no storage.
abstract contract RegistryChunks is IModelRegistry {
    /// @notice Bytes of data in a full chunk: with the leading zero byte and room to spare under the code size limit.
    uint256 public constant MAX_CHUNK_DATA = 24_512;

    /// @dev Init code that returns what follows it, and the zero byte (STOP) that is the first of a chunk's code.
    bytes12 private constant CHUNK_PREFIX = 0x600b5981380380925939f300;
    uint256 private constant CHUNK_PREFIX_LENGTH = 12;

    /// @inheritdoc IModelRegistry
    function storeChunk(bytes calldata data) external returns (address chunk) {
        if (data.length == 0 || data.length > MAX_CHUNK_DATA) revert ChunkLength(MAX_CHUNK_DATA, data.length);
        bytes memory initCode = abi.encodePacked(CHUNK_PREFIX, data);
        chunk = chunkAddress(keccak256(initCode));
        if (chunk.code.length != 0) return chunk;

        address created;
        assembly ("memory-safe") {
            created := create2(0, add(initCode, 32), mload(initCode), 0)
        }
        if (created != chunk) revert ChunkNotCreated(chunk);
        emit ChunkStored(chunk);
    }

    /// @inheritdoc IModelRegistry
    function chunkAddress(bytes32 initCodeHash) public view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), bytes32(0), initCodeHash)))));
    }

    /// @dev How many chunks hold so many bytes.
    function _chunkCount(uint256 length) internal pure returns (uint256) {
        return (length + MAX_CHUNK_DATA - 1) / MAX_CHUNK_DATA;
    }

    /// @dev Checks chunks that stand at `first` and after in weights of `length` bytes, and collects their leaf hashes.
    function _checkRange(address[] calldata chunks, uint256 first, uint256 length)
        internal
        view
        returns (bytes32[] memory leaves)
    {
        uint256 end = (first + chunks.length) * MAX_CHUNK_DATA;
        uint256 expected = (end < length ? end : length) - first * MAX_CHUNK_DATA;
        uint256 actual;
        (actual, leaves) = _checkChunks(chunks);
        if (actual != expected) {
            // All but the last are full.
            uint256 others = (chunks.length - 1) * MAX_CHUNK_DATA;
            revert ChunkNotFull(chunks[chunks.length - 1], expected - others, actual - others);
        }
    }

    /// @dev Sums the data of the chunks and collects their leaf hashes, which are their code hashes.
    ///
    /// That an account's code begins with STOP is not enough: a contract may schedule its own destruction from its init
    /// code (EIP-6780), return such code, and be gone at the end of the transaction that registered it. So the address
    /// must be the one that `storeChunk` gives to this code.
    function _checkChunks(address[] calldata chunks) internal view returns (uint256 total, bytes32[] memory leaves) {
        leaves = new bytes32[](chunks.length);
        bytes memory initCode = new bytes(CHUNK_PREFIX_LENGTH + MAX_CHUNK_DATA);
        for (uint256 i; i < chunks.length; ++i) {
            address chunk = chunks[i];
            uint256 size = chunk.code.length;
            if (size < 2 || size > MAX_CHUNK_DATA + 1) revert NotAChunk(chunk);
            bytes32 initCodeHash;
            assembly ("memory-safe") {
                mstore(add(initCode, 32), CHUNK_PREFIX)
                // The chunk's code, its first byte included, follows the eleven bytes of the init code proper.
                extcodecopy(chunk, add(initCode, 43), 0, size)
                initCodeHash := keccak256(add(initCode, 32), add(size, 11))
            }
            if (chunkAddress(initCodeHash) != chunk) revert NotAChunk(chunk);
            if (i + 1 < chunks.length && size != MAX_CHUNK_DATA + 1) {
                revert ChunkNotFull(chunk, MAX_CHUNK_DATA, size - 1);
            }
            leaves[i] = chunk.codehash;
            total += size - 1;
        }
    }

    /// @dev Joins the chunks' data. All but the last are full.
    function _readGraph(address[] memory chunks, uint256 length) internal view returns (bytes memory graph) {
        graph = new bytes(length);
        for (uint256 i; i < chunks.length; ++i) {
            address chunk = chunks[i];
            uint256 offset = i * MAX_CHUNK_DATA;
            uint256 size = length - offset < MAX_CHUNK_DATA ? length - offset : MAX_CHUNK_DATA;
            assembly ("memory-safe") {
                extcodecopy(chunk, add(add(graph, 32), offset), 1, size)
            }
        }
    }

    /// @dev The root of a tree of `width` leaves of which `nodes` are those from `index` on; it is computed in their memory.
    /// Level by level: parent = keccak256(0x01 ‖ left ‖ right); an odd last node moves up unchanged. Neighbours that are not
    /// among the nodes come from `proof`: from the leaves up, on each level the left one first. The root of no leaves is zero.
    function _root(bytes32[] memory nodes, uint256 index, uint256 width, bytes32[] memory proof)
        internal
        pure
        returns (bytes32)
    {
        if (width == 0) return bytes32(0);
        uint256 used;
        uint256 end = index + nodes.length;
        for (; width > 1; width = (width + 1) / 2) {
            uint256 start = index / 2;
            for (uint256 left = 2 * start; left < end; left += 2) {
                bytes32 node = left < index ? _at(proof, used++) : nodes[left - index];
                if (left + 1 < width) {
                    bytes32 right = left + 1 < end ? nodes[left + 1 - index] : _at(proof, used++);
                    node = keccak256(abi.encodePacked(bytes1(0x01), node, right));
                }
                nodes[left / 2 - start] = node;
            }
            index = start;
            end = (end + 1) / 2;
        }
        if (used != proof.length) revert WrongProofLength(used, proof.length);
        return nodes[0];
    }

    /// @dev Zero beyond the end: what is missing is counted first and told then.
    function _at(bytes32[] memory list, uint256 index) private pure returns (bytes32) {
        return index < list.length ? list[index] : bytes32(0);
    }
}
