// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {DemoToken} from "../examples/DemoToken.sol";
import {VolatilityFeePool} from "../examples/dynamic-fee-pool/VolatilityFeePool.sol";
import {ModelConsumer} from "../examples/ModelConsumer.sol";
import {InferenceScript} from "../src/test-kit/InferenceScript.sol";

/// @dev The cheatcodes that this script uses.
interface ScriptVm {
    function envBytes32(string calldata name) external view returns (bytes32);
    function envOr(string calldata name, string calldata defaultValue) external view returns (string memory);
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// @title Deploys the example: two tokens, a pool whose fee follows the model, and the consumer of the demo
/// @notice With a dev chain that has the model (`lockstep node --dev --models target/models`):
///
///   VOLATILITY_MODEL_ID=0x… npx forge script contracts/script/DeployExample.s.sol --rpc-url http://127.0.0.1:8545 \
///     --broadcast --private-key 0x…
///
/// VOLATILITY_MODEL_ID may be left out: the id is then that of the model file target/models/volatility_mlp.lsm. Fill the pool by addLiquidity; both tokens can be minted by anyone.
/// @dev It only deploys, and constructors here infer nothing. So forge's simulation on the node's state, which knows no
/// precompile, runs it too.
contract DeployExample is InferenceScript {
    ScriptVm private constant vm = ScriptVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    /// @notice The entry.
    function run()
        external
        returns (DemoToken token0, DemoToken token1, VolatilityFeePool pool, ModelConsumer consumer)
    {
        bytes32 modelId = bytes(vm.envOr("VOLATILITY_MODEL_ID", string(""))).length == 0
            ? useModel("target/models/volatility_mlp.lsm")
            : vm.envBytes32("VOLATILITY_MODEL_ID");
        vm.startBroadcast();
        token0 = new DemoToken("Demo Ether", "dETH");
        token1 = new DemoToken("Demo Dollar", "dUSD");
        pool = new VolatilityFeePool(IERC20(address(token0)), IERC20(address(token1)), modelId);
        consumer = new ModelConsumer();
        vm.stopBroadcast();
    }
}
