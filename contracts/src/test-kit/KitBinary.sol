// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {KIT_VM} from "./KitVm.sol";

/// @title Finds the binary `lockstep` and checks that it is of the kit's version
/// @notice Looked for in the environment variable LOCKSTEP_BIN; if that is not set, in target/release of the project,
/// then in PATH.
library KitBinary {
    /// @notice The version of this kit. The binary must have the same one, since the two share a protocol.
    string internal constant KIT_VERSION = "0.1.0";

    string private constant INSTALL = "build it with `cargo build --release -p lockstep-cli`, or set LOCKSTEP_BIN";

    /// @notice There is no usable binary. The text says what to install or to switch on.
    error NoLockstepBinary(string reason);

    /// @notice The binary to call: LOCKSTEP_BIN, or the first one found.
    function find() internal returns (string memory path) {
        path = KIT_VM.envOr("LOCKSTEP_BIN", string(""));
        if (bytes(path).length != 0) return check(path);
        string[] memory places = new string[](2);
        places[0] = string.concat(KIT_VM.projectRoot(), "/target/release/lockstep");
        places[1] = "lockstep";
        return search(places);
    }

    /// @notice The first of these paths that is a binary. It must be of the kit's version.
    function search(string[] memory places) internal returns (string memory path) {
        for (uint256 i; i < places.length; ++i) {
            (bool found, bytes memory output) = _version(places[i]);
            if (found) return _checkVersion(places[i], output);
        }
        revert NoLockstepBinary(string.concat("no binary `lockstep` in target/release or PATH: ", INSTALL));
    }

    /// @notice Reverts unless this path is a binary of the kit's version.
    function check(string memory path) internal returns (string memory) {
        (bool found, bytes memory output) = _version(path);
        if (!found) revert NoLockstepBinary(string.concat(path, ": ", string(output)));
        return _checkVersion(path, output);
    }

    /// @notice Runs the binary and returns what it printed, decoded from hex.
    function ask(string memory path, string memory command, string memory argument) internal returns (bytes memory) {
        string[] memory words = new string[](4);
        (words[0], words[1], words[2], words[3]) = (path, "kit", command, argument);
        return KIT_VM.ffi(words);
    }

    function _version(string memory path) private returns (bool ok, bytes memory output) {
        string[] memory words = new string[](3);
        (words[0], words[1], words[2]) = (path, "kit", "version");
        try KIT_VM.ffi(words) returns (bytes memory out) {
            return (true, out);
        } catch (bytes memory reason) {
            if (_contains(reason, "FFI is disabled")) {
                revert NoLockstepBinary("forge may not start programs: set `ffi = true` in foundry.toml, or use --ffi");
            }
            return (false, reason);
        }
    }

    function _checkVersion(string memory path, bytes memory output) private pure returns (string memory) {
        string memory version = "unknown";
        // abi.encode(string): offset, length, text
        // forge-lint: disable-next-line(unsafe-typecast)
        if (output.length >= 96 && uint256(bytes32(output)) == 32) version = abi.decode(output, (string));
        if (keccak256(bytes(version)) != keccak256(bytes(KIT_VERSION))) {
            revert NoLockstepBinary(string.concat(
                    path, " has version ", version, ", this test kit needs ", KIT_VERSION, ": ", INSTALL
                ));
        }
        return path;
    }

    function _contains(bytes memory text, bytes memory part) private pure returns (bool) {
        for (uint256 i; i + part.length <= text.length; ++i) {
            uint256 j;
            while (j < part.length && text[i + j] == part[j]) ++j;
            if (j == part.length) return true;
        }
        return false;
    }
}
