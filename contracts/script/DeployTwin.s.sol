// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Twin} from "../src/twin/Twin.sol";
import {TwinRegistry} from "../src/twin/deploy/TwinRegistry.sol";

/// @dev The cheatcodes that this script uses.
interface DeployVm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// @title Deploys the twin and a registry on any EVM chain
/// @notice All by CREATE2, the modules included, so that equal builds have equal addresses on every chain:
///
///   npx forge script contracts/script/DeployTwin.s.sol --rpc-url URL --broadcast --private-key 0x…
///
/// The chain needs the opcode CLZ (osaka). For older ones build from the folder that `scripts/twin_portable.sh` leaves.
/// Consumers then call `IInference(twin)`; models are stored, registered and activated in `registry`.
contract DeployTwin {
    DeployVm private constant vm = DeployVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    /// @notice The entry.
    function run() external returns (TwinRegistry registry, Twin twin) {
        vm.startBroadcast();
        registry = new TwinRegistry{salt: 0}();
        twin = new Twin{salt: 0}(registry);
        vm.stopBroadcast();
    }
}
