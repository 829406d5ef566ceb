// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {TwinCode} from "../twin/TwinCode.sol";

/// @title Carries the twin's code into a test
/// @notice A contract of its own, so that the 100 kB of code are not in every test contract: KitInstaller takes it from
/// forge's artifacts.
contract KitTwin {
    /// @notice The dispatcher (first) and its modules, with the addresses where the modules must lie.
    function modules() external pure returns (address[] memory addresses, bytes[] memory codes) {
        return TwinCode.modules();
    }
}
