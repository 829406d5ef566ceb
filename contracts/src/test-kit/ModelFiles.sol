// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ModelFixture} from "./ModelFixture.sol";
import {KIT_VM} from "./KitVm.sol";

/// @title Reads and writes model files (.lsm) in a forge test
/// @notice Container of docs/spec.md, section 2. Reading one takes a permission in foundry.toml.
library ModelFiles {
    uint256 private constant HEADER = 32;

    /// @notice The file cannot be read, or is no model file. The text says what to switch on.
    error BadModelFile(string reason);

    /// @notice Graph, weights and identity-free facts of a model file; prices and ranges stay unknown.
    function read(string memory path) internal view returns (ModelFixture memory m) {
        bytes memory file;
        try KIT_VM.readFileBinary(path) returns (bytes memory content) {
            file = content;
        } catch {
            revert BadModelFile(string.concat(
                    "cannot read ",
                    path,
                    ": it is not there, or foundry.toml lacks fs_permissions = [{ access = \"read\", path = \"./\" }]; a fixture of `lockstep bind` needs neither"
                ));
        }
        if (file.length < HEADER || bytes8(slice(file, 0, 8)) != "LOCKSTEP") {
            revert BadModelFile(string.concat(path, " is no model file: `lockstep import` makes one"));
        }
        uint256 graphLength = _littleEndian(file, 12, 4);
        uint256 weightsLength = _littleEndian(file, 16, 8);
        uint256 weightsStart = (HEADER + graphLength + 63) / 64 * 64;
        if (weightsStart + weightsLength > file.length) {
            revert BadModelFile(string.concat(path, " is cut off: import it again"));
        }
        m.name = path;
        m.graph = slice(file, HEADER, graphLength);
        m.weights = slice(file, weightsStart, weightsLength);
    }

    /// @notice A model file without a card.
    function encode(ModelFixture memory m) internal pure returns (bytes memory) {
        uint256 end = HEADER + m.graph.length;
        bytes memory header = abi.encodePacked(
            "LOCKSTEP", hex"01000000", _reversed(m.graph.length, 4), _reversed(m.weights.length, 8), bytes8(0)
        );
        return abi.encodePacked(header, m.graph, new bytes((end + 63) / 64 * 64 - end), m.weights);
    }

    function _littleEndian(bytes memory data, uint256 start, uint256 width) private pure returns (uint256 value) {
        for (uint256 i = width; i > 0; --i) {
            value = value << 8 | uint8(data[start + i - 1]);
        }
    }

    function _reversed(uint256 value, uint256 width) private pure returns (bytes memory out) {
        out = new bytes(width);
        for (uint256 i; i < width; ++i) {
            // One byte at a time.
            // forge-lint: disable-next-line(unsafe-typecast)
            out[i] = bytes1(uint8(value >> (8 * i)));
        }
    }

    /// @notice A part of `data`, which must hold it.
    function slice(bytes memory data, uint256 start, uint256 length) internal pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i; i < length; i += 32) {
            uint256 rest = length - i;
            assembly ("memory-safe") {
                let word := mload(add(add(data, add(32, start)), i))
                // The last word is cut: memory beyond `part` stays as it is.
                if lt(rest, 32) { word := and(word, not(shr(mul(8, rest), not(0)))) }
                mstore(add(add(part, 32), i), word)
            }
        }
    }
}
