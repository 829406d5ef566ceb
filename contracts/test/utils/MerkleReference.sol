// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @notice The tree over a model's weights, written from the specification in another way than the registry's: recursively,
/// from the data. "Level by level, an odd last node moves up" is the same as splitting at the largest power of two below
/// the number of leaves.
library MerkleReference {
    function root(bytes memory data, uint256 leafSize) internal pure returns (bytes32) {
        if (data.length == 0) return bytes32(0);
        return _root(data, leafSize, 0, (data.length + leafSize - 1) / leafSize);
    }

    /// @dev The proof for leaves `first` to `first + count - 1`, from the definition: node `i` of level `k` stands over the
    /// leaves from `i * 2^k` on, 2^k of them or what there is.
    function proof(bytes memory data, uint256 leafSize, uint256 first, uint256 count)
        internal
        pure
        returns (bytes32[] memory nodes)
    {
        uint256 leaves = (data.length + leafSize - 1) / leafSize;
        bytes32[] memory found = new bytes32[](64);
        uint256 n;
        for (uint256 size = 1; size < leaves; size *= 2) {
            uint256 before = first / size;
            uint256 next = (first + count + size - 1) / size;
            if (before % 2 == 1) found[n++] = _root(data, leafSize, (before - 1) * size, size);
            if (next % 2 == 1 && next * size < leaves) {
                uint256 rest = leaves - next * size;
                found[n++] = _root(data, leafSize, next * size, rest < size ? rest : size);
            }
        }
        nodes = new bytes32[](n);
        for (uint256 i; i < n; ++i) {
            nodes[i] = found[i];
        }
    }

    function leaf(bytes memory data) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"00", data));
    }

    function part(bytes memory data, uint256 offset, uint256 length) internal pure returns (bytes memory out) {
        if (length > data.length - offset) length = data.length - offset;
        out = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(out, 32), add(add(data, 32), offset), length)
        }
    }

    function _root(bytes memory data, uint256 leafSize, uint256 first, uint256 count) private pure returns (bytes32) {
        if (count == 1) return leaf(part(data, first * leafSize, leafSize));
        uint256 split = 1;
        while (split * 2 < count) split *= 2;
        bytes32 left = _root(data, leafSize, first, split);
        bytes32 right = _root(data, leafSize, first + split, count - split);
        return keccak256(bytes.concat(hex"01", left, right));
    }
}
