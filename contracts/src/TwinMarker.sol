// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "./IInference.sol";

/// @title The code stored at the precompile's address
/// @notice A Lockstep node answers calls to 0x…0A11 itself and never runs this code. It runs in an EVM that does not know
/// the precompile (a fork of the chain's state in a tool), and in accounts that delegate to the address (EIP-7702).
/// In both it says so; it never answers.
contract TwinMarker {
    address private constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;

    fallback() external payable {
        if (address(this) == PRECOMPILE) {
            revert IInference.TwinCannotRun("this EVM has no Lockstep precompile: send the call to a Lockstep node, or use the test kit in forge");
        }
        revert IInference.TwinCannotRun("this account runs the code stored at 0xA11 (EIP-7702 delegation or a copy): call 0xA11 itself");
    }
}
