// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {DemoToken} from "../../examples/DemoToken.sol";
import {VolatilityFee} from "../../examples/dynamic-fee-pool/VolatilityFee.sol";
import {VolatilityFeePool} from "../../examples/dynamic-fee-pool/VolatilityFeePool.sol";
import {Inference} from "../../src/Inference.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Backend} from "../../src/test-kit/KitStore.sol";
import {Test} from "../utils/Test.sol";

/// @notice The pool with the real volatility model.
contract VolatilityFeePoolNativeTest is Test, InferenceTest {
    VolatilityFeePool private pool;
    DemoToken private token0;
    DemoToken private token1;
    bytes32 private model;

    function setUp() public {
        useBackend(Backend.Native);
        model = useModel("target/models/volatility_mlp.lsm");
        (token0, token1) = (new DemoToken("Zero", "ZERO"), new DemoToken("One", "ONE"));
        pool = new VolatilityFeePool(IERC20(address(token0)), IERC20(address(token1)), model);
        DemoToken[2] memory tokens = [token0, token1];
        for (uint256 i; i < 2; ++i) {
            tokens[i].mint(address(this), 1e27);
            tokens[i].approve(address(pool), type(uint256).max);
        }
        pool.addLiquidity(1e24, 1e24, 0, address(this), type(uint256).max);
    }

    function test_feeIsTheModelsAnswer() public {
        _trade(9, 4e21);
        vm.roll(block.number + 1);
        uint256 fee = pool.fee();
        vm.assertTrue(fee > VolatilityFee.MIN_FEE && fee < VolatilityFee.MAX_FEE, "within the bounds");
        uint256 before = gasleft();
        pool.swap(address(token0), 1e18, 0, address(this), type(uint256).max);
        uint256 used = before - gasleft();
        vm.assertEq(pool.fee(), fee);
        uint256 quoted = Inference.quote(Inference.encodeInfer(model, new int256[](8)));
        vm.assertGt(used, quoted, "the swap pays for the inference");
    }

    function test_feeRisesWithTheMarket() public {
        _trade(9, 1e20); // moves of 0.02 %
        vm.roll(block.number + 1);
        uint256 calm = pool.fee();
        _trade(9, 8e21); // moves of 1.6 %
        vm.roll(block.number + 1);
        uint256 wild = pool.fee();
        vm.assertGt(wild, calm, "fee");
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_feeIsWithinBounds(uint256[9] memory amounts) public {
        for (uint256 i; i < 9; ++i) {
            vm.roll(block.number + 1);
            address tokenIn = address(amounts[i] % 2 == 0 ? token0 : token1);
            pool.swap(tokenIn, bound(amounts[i], 0, 1e25), 0, address(this), type(uint256).max);
        }
        vm.roll(block.number + 1);
        uint256 fee = pool.fee();
        vm.assertTrue(fee >= VolatilityFee.MIN_FEE && fee <= VolatilityFee.MAX_FEE, "bounds");
    }

    /// @dev Alternating trades of one size, each in a block of its own.
    function _trade(uint256 blocks, uint256 amount) private {
        for (uint256 i; i < blocks; ++i) {
            vm.roll(block.number + 1);
            pool.swap(address(i % 2 == 0 ? token0 : token1), amount, 0, address(this), type(uint256).max);
        }
    }
}
