// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {ModelConsumer} from "../examples/ModelConsumer.sol";

/// @dev The cheatcodes that this script uses.
interface CallVm {
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonKeys(string calldata json, string calldata key) external pure returns (string[] memory);
    function readFile(string calldata path) external view returns (string memory);
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// @title Calls every committed model in a transaction
/// @notice With a dev chain that has the models (`lockstep node --dev --models target/models`):
///
///   npx forge script contracts/script/CallModels.s.sol --rpc-url http://127.0.0.1:8545 --broadcast --skip-simulation \
///     --slow --private-key 0x…
///
/// forge's own run asks the twin, whose code it reads from the node. `--skip-simulation` has the node estimate each
/// transaction's gas: forge would take what the twin uses, which is far more than the precompile charges.
contract CallModels {
    CallVm private constant vm = CallVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    /// @notice A call failed in forge's own run.
    error Failed(string model, bytes reason);

    /// @notice The entry.
    function run() external returns (ModelConsumer consumer) {
        // Calls of infer, classify and run, which the consumer's functions have the selectors of.
        string memory json = vm.readFile("contracts/test/native/models.json");
        string[] memory names = vm.parseJsonKeys(json, "$");
        vm.startBroadcast();
        consumer = new ModelConsumer();
        for (uint256 i; i < names.length; ++i) {
            bytes memory call = vm.parseJsonBytes(json, string.concat(".", names[i], ".call"));
            (bool ok, bytes memory answer) = address(consumer).call(call);
            if (!ok) revert Failed(names[i], answer);
        }
        vm.stopBroadcast();
    }
}
