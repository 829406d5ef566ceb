// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {DemoToken} from "../../examples/DemoToken.sol";
import {PriceHistory} from "../../examples/dynamic-fee-pool/PriceHistory.sol";
import {VolatilityFee} from "../../examples/dynamic-fee-pool/VolatilityFee.sol";
import {VolatilityFeePool} from "../../examples/dynamic-fee-pool/VolatilityFeePool.sol";
import {IInference} from "../../src/IInference.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {Test} from "../utils/Test.sol";

/// @dev Keeps one percent of every transfer.
contract TaxedToken is DemoToken("Taxed", "TAX") {
    function _update(address from, address to, uint256 amount) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, amount);
        super._update(from, to, amount - amount / 100);
        super._update(from, address(1), amount / 100);
    }
}

/// @dev Calls the pool again while it is being paid.
contract ReenteringToken is DemoToken("Reentering", "RE") {
    VolatilityFeePool public pool;

    function aim(VolatilityFeePool pool_) external {
        pool = pool_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (address(pool) != address(0) && to == address(pool)) pool.removeLiquidity(0, 0, 0, address(this), 1e12);
    }
}

contract VolatilityFeePoolTest is Test, InferenceTest {
    bytes32 internal constant MODEL = keccak256("volatility");
    uint256 internal constant FOREVER = type(uint256).max;
    DemoToken internal token0;
    DemoToken internal token1;
    VolatilityFeePool internal pool;

    function setUp() public virtual {
        token0 = new DemoToken("Zero", "ZERO");
        token1 = new DemoToken("One", "ONE");
        pool = _newPool(token0, token1);
        mockOutput(MODEL, 65e18);
        vm.roll(1000);
        pool.addLiquidity(1000e18, 3_000_000e6, 0, address(this), FOREVER);
    }

    // The fee

    function test_warmUpFeeUntilNinePricesAreKnown() public {
        for (uint256 i; i < 8; ++i) {
            vm.assertEq(pool.fee(), VolatilityFee.WARM_UP_FEE);
            vm.assertEq(pool.observations(), i);
            _swapInNextBlock(1e18);
        }
        vm.roll(block.number + 1);
        vm.assertEq(pool.fee(), 6500); // 65 basis points
    }

    function test_modelSeesReturnsNewestFirst() public {
        for (uint256 i; i < 8; ++i) {
            _swapInNextBlock((i + 1) * 1e18);
        }
        uint256[] memory closing = new uint256[](9);
        (uint256 r0, uint256 r1) = pool.reserves();
        closing[8] = r1 * 1e36 / r0;
        // The model answers only to the returns of this very history.
        int256[] memory expected = new int256[](8);
        expected[0] = PriceHistory.change(_priceAfter(7), closing[8]);
        for (uint256 i = 1; i < 8; ++i) {
            expected[i] = PriceHistory.change(_priceAfter(7 - i), _priceAfter(8 - i));
        }
        bytes memory call = abi.encodeCall(IInference.infer, (MODEL, expected));
        vm.mockCall(INFERENCE_PRECOMPILE, call, abi.encode(_one(77e18)));
        vm.roll(block.number + 1);
        vm.assertEq(pool.fee(), 7700);
        _swap(1e18);
        vm.assertEq(pool.fee(), 7700);
    }

    function test_feeIsOneForABlock() public {
        _warmUp();
        _swapInNextBlock(1e18);
        vm.assertEq(pool.fee(), 6500);
        mockOutput(MODEL, 20e18);
        _swap(100e18);
        vm.assertEq(pool.fee(), 6500);
        vm.roll(block.number + 1);
        vm.assertEq(pool.fee(), 2000);
    }

    function test_tradesOfABlockDoNotChangeItsPrice() public {
        _warmUp();
        vm.roll(block.number + 1);
        uint256 count = pool.observations();
        _swap(500e18);
        _swap(500e18);
        vm.assertEq(pool.observations(), count + 1);
    }

    function testFuzz_feeIsWithinBounds(int256 volatility) public {
        _warmUp();
        vm.roll(block.number + 1);
        mockOutput(MODEL, volatility);
        uint256 fee = pool.fee();
        vm.assertGe(fee, VolatilityFee.MIN_FEE, "least");
        vm.assertLe(fee, VolatilityFee.MAX_FEE, "most");
        if (volatility >= 5e18 && volatility <= 100e18) vm.assertEq(fee, uint256(volatility) / 1e16);
    }

    function test_refusedInputCostsTheHighestFee() public {
        _warmUp();
        mockFailure(MODEL, abi.encodeWithSelector(IInference.NotANumber.selector, 1, 0, 0));
        vm.roll(block.number + 1);
        vm.assertEq(pool.fee(), VolatilityFee.MAX_FEE);
        _swap(1e18);
    }

    function test_withoutPrecompileNobodySwapsButAllCanLeave() public {
        _warmUp();
        bytes memory reason = abi.encodeWithSelector(IInference.TwinCannotRun.selector, "why");
        mockFailure(MODEL, reason);
        vm.roll(block.number + 1);
        token0.mint(address(this), 1e18);
        vm.expectRevert(reason);
        pool.swap(address(token0), 1e18, 0, address(this), FOREVER);
        pool.removeLiquidity(pool.balanceOf(address(this)), 1, 1, address(this), FOREVER);
    }

    function testFuzz_historyNeverReverts(uint256 older, uint256 newer) public pure {
        older = bound(older, 1, uint256(type(uint112).max) * 1e36);
        newer = bound(newer, 1, uint256(type(uint112).max) * 1e36);
        int256 r = PriceHistory.change(older, newer);
        vm.assertTrue(r >= -1e18 && r <= PriceHistory.MAX_RETURN, "bounds");
        vm.assertTrue(newer >= older ? r >= 0 : r <= 0, "sign");
    }

    // Swaps

    function test_swapPaysWhatThePreviewSays() public {
        _warmUp();
        vm.roll(block.number + 1);
        (uint256 expected, uint256 fee) = pool.previewSwap(address(token0), 3e18);
        vm.assertEq(fee, 6500);
        token0.mint(address(this), 3e18);
        vm.expectEmit(true, true, true, true, address(pool));
        emit VolatilityFeePool.FeeSet(6500);
        vm.expectEmit(true, true, true, true, address(pool));
        emit VolatilityFeePool.Swapped(address(this), address(7), address(token0), 3e18, expected, 6500);
        vm.assertEq(pool.swap(address(token0), 3e18, expected, address(7), FOREVER), expected);
        vm.assertEq(token1.balanceOf(address(7)), expected);
    }

    function testFuzz_swapNeverLowersK(uint256 amount, bool zeroForOne, int256 volatility) public {
        _warmUp();
        mockOutput(MODEL, volatility);
        vm.roll(block.number + 1);
        (uint256 r0, uint256 r1) = pool.reserves();
        DemoToken tokenIn = zeroForOne ? token0 : token1;
        amount = bound(amount, 0, 1e28);
        tokenIn.mint(address(this), amount);
        pool.swap(address(tokenIn), amount, 0, address(this), FOREVER);
        (uint256 s0, uint256 s1) = pool.reserves();
        vm.assertGe(s0 * s1, r0 * r1, "k");
        vm.assertTrue(s0 > 0 && s1 > 0, "drained");
        _assertSolvent();
    }

    function testFuzz_thereAndBackLoses(uint256 amount) public {
        amount = bound(amount, 1, 1e24);
        token0.mint(address(this), amount);
        uint256 out = pool.swap(address(token0), amount, 0, address(this), FOREVER);
        uint256 back = pool.swap(address(token1), out, 0, address(this), FOREVER);
        vm.assertLe(back, amount, "gain");
    }

    function test_swapErrors() public {
        vm.expectRevert(abi.encodeWithSelector(VolatilityFeePool.UnknownToken.selector, address(this)));
        pool.swap(address(this), 1, 0, address(this), FOREVER);
        (uint256 out,) = pool.previewSwap(address(token0), 1e18);
        vm.expectRevert(abi.encodeWithSelector(VolatilityFeePool.SlippageExceeded.selector, out + 1, out));
        pool.swap(address(token0), 1e18, out + 1, address(this), FOREVER);
        vm.warp(100);
        vm.expectRevert(abi.encodeWithSelector(VolatilityFeePool.Expired.selector, 99, 100));
        pool.swap(address(token0), 1, 0, address(this), 99);
        VolatilityFeePool empty = _newPool(token0, token1);
        vm.expectRevert(VolatilityFeePool.EmptyPool.selector);
        empty.swap(address(token0), 1, 0, address(this), FOREVER);
        vm.expectRevert(VolatilityFeePool.EmptyPool.selector);
        empty.previewSwap(address(token0), 1);
        (uint256 r0,) = pool.reserves();
        uint256 tooMuch = uint256(type(uint112).max) + 1;
        vm.expectRevert(abi.encodeWithSelector(VolatilityFeePool.ReserveTooLarge.selector, tooMuch));
        pool.swap(address(token0), tooMuch - r0, 0, address(this), FOREVER);
    }

    function test_donationChangesNothing() public {
        (uint256 out, uint256 fee) = pool.previewSwap(address(token0), 1e18);
        token0.mint(address(pool), 500e18);
        token1.mint(address(pool), 1e6);
        (uint256 outAfter, uint256 feeAfter) = pool.previewSwap(address(token0), 1e18);
        vm.assertEq(outAfter, out);
        vm.assertEq(feeAfter, fee);
        (uint256 a0,,) = pool.addLiquidity(1e18, 3000e6, 0, address(this), FOREVER);
        vm.assertApproxEqAbs(a0, 1e18, 1e6, "price of a share");
    }

    // Liquidity

    function testFuzz_addAndRemoveNeverGains(uint256 amount0, uint256 amount1) public {
        amount0 = bound(amount0, 1e6, 1e26);
        amount1 = bound(amount1, 1e6, 1e18);
        _swapInNextBlock(1e18);
        token0.mint(address(this), amount0);
        token1.mint(address(this), amount1);
        (uint256 a0, uint256 a1, uint256 liquidity) = pool.addLiquidity(amount0, amount1, 0, address(7), FOREVER);
        vm.assertLe(a0, amount0, "paid more of token0 than allowed");
        vm.assertLe(a1, amount1, "paid more of token1 than allowed");
        vm.prank(address(7));
        (uint256 b0, uint256 b1) = pool.removeLiquidity(liquidity, 0, 0, address(7), FOREVER);
        vm.assertLe(b0, a0, "gain of token0");
        vm.assertLe(b1, a1, "gain of token1");
        _assertSolvent();
    }

    function test_firstProviderLeavesTheMinimum() public view {
        vm.assertEq(pool.balanceOf(address(0xdead)), 1000);
        (uint256 r0, uint256 r1) = pool.reserves();
        vm.assertEq(pool.totalSupply(), 54772255750516611); // floor(sqrt(1000e18 * 3e12))
        vm.assertEq(r0, 1000e18);
        vm.assertEq(r1, 3e12);
    }

    function test_liquidityErrors() public {
        VolatilityFeePool empty = _newPool(token0, token1);
        vm.expectRevert(VolatilityFeePool.NoLiquidityMinted.selector);
        empty.addLiquidity(1000, 1000, 0, address(this), FOREVER);
        vm.expectRevert(VolatilityFeePool.EmptyPool.selector);
        empty.removeLiquidity(0, 0, 0, address(this), FOREVER);
        vm.expectRevert(VolatilityFeePool.NoLiquidityMinted.selector);
        pool.addLiquidity(1e18, 0, 0, address(this), FOREVER);
        vm.expectPartialRevert(VolatilityFeePool.SlippageExceeded.selector);
        pool.addLiquidity(1e18, 3000e6, 1e18, address(this), FOREVER);
        vm.expectPartialRevert(VolatilityFeePool.SlippageExceeded.selector);
        pool.removeLiquidity(1e12, 1e18, 0, address(this), FOREVER);
        vm.expectPartialRevert(VolatilityFeePool.SlippageExceeded.selector);
        pool.removeLiquidity(1e12, 0, 1e18, address(this), FOREVER);
        vm.expectRevert(abi.encodeWithSelector(VolatilityFeePool.BadTokens.selector, address(token0), address(token0)));
        new VolatilityFeePool(token0, token0, MODEL);
    }

    function test_tokenThatKeepsAShareIsRefused() public {
        TaxedToken taxed = new TaxedToken();
        VolatilityFeePool odd = _newPool(taxed, token1);
        vm.expectRevert(
            abi.encodeWithSelector(VolatilityFeePool.UnsupportedTransfer.selector, address(taxed), 1e18, 0.99e18)
        );
        odd.addLiquidity(1e18, 1e18, 0, address(this), FOREVER);
    }

    function test_noReentry() public {
        ReenteringToken token = new ReenteringToken();
        VolatilityFeePool odd = _newPool(token, token1);
        odd.addLiquidity(1e18, 1e18, 0, address(this), FOREVER);
        token.aim(odd);
        vm.expectRevert(abi.encodeWithSignature("ReentrancyGuardReentrantCall()"));
        odd.swap(address(token), 1e9, 0, address(this), FOREVER);
    }

    // Helpers

    function _newPool(DemoToken a, DemoToken b) internal returns (VolatilityFeePool made) {
        made = new VolatilityFeePool(IERC20(address(a)), IERC20(address(b)), MODEL);
        a.mint(address(this), 1e27);
        b.mint(address(this), 1e27);
        a.approve(address(made), type(uint256).max);
        b.approve(address(made), type(uint256).max);
    }

    function _warmUp() internal {
        for (uint256 i; i < 9; ++i) {
            _swapInNextBlock(i % 2 == 0 ? 1e18 : 2e18);
        }
    }

    function _swapInNextBlock(uint256 amount) internal {
        vm.roll(block.number + 1);
        _swap(amount);
    }

    function _swap(uint256 amount) internal {
        token0.mint(address(this), amount);
        pool.swap(address(token0), amount, 0, address(this), FOREVER);
    }

    /// @dev The n-th recorded price, read from the pool's storage: what the contract itself keeps.
    function _priceAfter(uint256 n) private view returns (uint256) {
        return uint256(vm.load(address(pool), bytes32(PRICES_SLOT + n)));
    }

    uint256 private constant PRICES_SLOT = 7;

    function _one(int256 v) private pure returns (int256[] memory y) {
        y = new int256[](1);
        y[0] = v;
    }

    function _assertSolvent() private view {
        (uint256 r0, uint256 r1) = pool.reserves();
        vm.assertGe(token0.balanceOf(address(pool)), r0, "token0");
        vm.assertGe(token1.balanceOf(address(pool)), r1, "token1");
    }
}
