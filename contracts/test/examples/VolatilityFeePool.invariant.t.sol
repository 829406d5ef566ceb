// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {DemoToken} from "../../examples/DemoToken.sol";
import {VolatilityFee} from "../../examples/dynamic-fee-pool/VolatilityFee.sol";
import {VolatilityFeePool} from "../../examples/dynamic-fee-pool/VolatilityFeePool.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Test} from "../utils/Test.sol";

/// @dev Everything that can happen to a pool, in any order. Checks after each step what must hold for it.
contract PoolHandler is Test, InferenceTest {
    bytes32 private constant MODEL = keccak256("volatility");
    VolatilityFeePool public immutable pool;
    DemoToken[2] private tokens;
    uint256 public swaps;

    constructor(VolatilityFeePool pool_, DemoToken token0, DemoToken token1) {
        pool = pool_;
        tokens = [token0, token1];
        token0.approve(address(pool), type(uint256).max);
        token1.approve(address(pool), type(uint256).max);
    }

    /// @dev k, relative to the square of the shares, never falls: no step takes from those who stay.
    modifier sharesKeepTheirWorth() {
        (uint256 kBefore, uint256 supplyBefore) = (_k(), pool.totalSupply());
        _;
        (uint256 kAfter, uint256 supplyAfter) = (_k(), pool.totalSupply());
        uint256 worthAfter = Math.mulDiv(kAfter, supplyBefore, supplyAfter, Math.Rounding.Ceil);
        vm.assertGe(worthAfter, Math.mulDiv(kBefore, supplyAfter, supplyBefore), "worth of a share");
    }

    function swap(uint256 amount, bool zeroForOne) external sharesKeepTheirWorth {
        uint256 before = _k();
        DemoToken tokenIn = tokens[zeroForOne ? 0 : 1];
        (uint256 r0, uint256 r1) = pool.reserves();
        amount = bound(amount, 0, (zeroForOne ? r0 : r1) / 2);
        tokenIn.mint(address(this), amount);
        (uint256 expected,) = pool.previewSwap(address(tokenIn), amount);
        uint256 out = pool.swap(address(tokenIn), amount, expected, address(this), type(uint256).max);
        vm.assertEq(out, expected, "preview");
        vm.assertGe(_k(), before, "k");
        ++swaps;
    }

    function addLiquidity(uint256 amount0, uint256 amount1) external sharesKeepTheirWorth {
        amount0 = bound(amount0, 1e15, 1e22);
        amount1 = bound(amount1, 1e15, 1e22);
        tokens[0].mint(address(this), amount0);
        tokens[1].mint(address(this), amount1);
        pool.addLiquidity(amount0, amount1, 0, address(this), type(uint256).max);
    }

    function removeLiquidity(uint256 liquidity) external sharesKeepTheirWorth {
        liquidity = bound(liquidity, 0, pool.balanceOf(address(this)));
        pool.removeLiquidity(liquidity, 0, 0, address(this), type(uint256).max);
    }

    function donate(uint256 amount, bool zero) external sharesKeepTheirWorth {
        (uint256 r0, uint256 r1) = pool.reserves();
        tokens[zero ? 0 : 1].mint(address(pool), bound(amount, 0, 1e24));
        (uint256 s0, uint256 s1) = pool.reserves();
        vm.assertTrue(s0 == r0 && s1 == r1, "donation moved the price");
    }

    function nextBlock(uint256 blocks, int256 volatility) external {
        vm.roll(block.number + bound(blocks, 1, 3));
        mockOutput(MODEL, volatility);
    }

    function _k() private view returns (uint256) {
        (uint256 r0, uint256 r1) = pool.reserves();
        return r0 * r1;
    }
}

contract VolatilityFeePoolInvariantTest is Test, InferenceTest {
    bytes32 private constant MODEL = keccak256("volatility");
    VolatilityFeePool private pool;
    DemoToken private token0;
    DemoToken private token1;
    PoolHandler private handler;

    function setUp() public {
        token0 = new DemoToken("Zero", "ZERO");
        token1 = new DemoToken("One", "ONE");
        pool = new VolatilityFeePool(IERC20(address(token0)), IERC20(address(token1)), MODEL);
        handler = new PoolHandler(pool, token0, token1);
        mockOutput(MODEL, 42e18);
        token0.mint(address(this), 1e21);
        token1.mint(address(this), 3e21);
        token0.approve(address(pool), type(uint256).max);
        token1.approve(address(pool), type(uint256).max);
        pool.addLiquidity(1e21, 3e21, 0, address(this), type(uint256).max);
        // Enough prices, so that the model sets the fee from the first step on.
        for (uint256 i; i < 9; ++i) {
            vm.roll(block.number + 1);
            handler.swap(1e18, i % 2 == 0);
        }
    }

    /// @dev The functions that the fuzzer calls: only the handler's.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_feeIsWithinBounds() public view {
        uint256 fee = pool.fee();
        vm.assertGe(fee, VolatilityFee.MIN_FEE, "least");
        vm.assertLe(fee, VolatilityFee.MAX_FEE, "most");
    }

    function invariant_solvent() public view {
        (uint256 r0, uint256 r1) = pool.reserves();
        vm.assertGe(token0.balanceOf(address(pool)), r0, "token0");
        vm.assertGe(token1.balanceOf(address(pool)), r1, "token1");
        vm.assertTrue(r0 > 0 && r1 > 0, "drained");
    }

    function invariant_minimumLiquidityStays() public view {
        vm.assertEq(pool.balanceOf(address(0xdead)), pool.MINIMUM_LIQUIDITY());
        vm.assertGt(pool.totalSupply(), pool.MINIMUM_LIQUIDITY(), "supply");
    }
}
