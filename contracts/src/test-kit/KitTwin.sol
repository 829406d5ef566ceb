// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinCode} from "../twin/TwinCode.sol";
import {KIT_TWIN, KIT_VM} from "./KitVm.sol";
import {ModelFiles} from "./ModelFiles.sol";

/// @title Brings the twin's code into forge's EVM
/// @notice Its parts are contracts of their own, taken from forge's artifacts, so that no test contract carries the 100 kB.
library KitTwin {
    /// @notice Places the dispatcher at KIT_TWIN, where it answers as at any address, and its modules at theirs.
    function install() internal {
        if (KIT_TWIN.code.length != 0) return;
        bytes memory all = _join();
        (address[] memory addresses, uint256[] memory lengths) = TwinCode.places();
        uint256 start;
        for (uint256 i; i < addresses.length; ++i) {
            address place = i == 0 ? KIT_TWIN : addresses[i];
            KIT_VM.etch(place, ModelFiles.slice(all, start, lengths[i]));
            KIT_VM.makePersistent(place);
            start += lengths[i];
        }
    }

    /// @dev What the parts return, one after the other.
    function _join() private returns (bytes memory all) {
        all = new bytes(TwinCode.LENGTH + 32);
        uint256 filled;
        for (uint256 i; i < TwinCode.PARTS; ++i) {
            string memory name = string.concat("TwinCode.sol:TwinPart", KIT_VM.toString(i));
            KIT_VM.etch(KIT_TWIN, KIT_VM.getDeployedCode(name));
            assembly ("memory-safe") {
                // A part has whole words: the last may end up to 31 bytes after the code.
                let room := sub(mload(all), filled)
                if iszero(staticcall(gas(), KIT_TWIN, 0, 0, 0, 0)) { revert(0, 0) }
                let n := returndatasize()
                if gt(n, room) { revert(0, 0) }
                returndatacopy(add(add(all, 32), filled), 0, n)
                filled := add(filled, n)
            }
        }
    }
}
