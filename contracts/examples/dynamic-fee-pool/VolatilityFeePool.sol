// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {PriceHistory} from "./PriceHistory.sol";
import {VolatilityFee} from "./VolatilityFee.sol";

/// @title A constant-product pool whose fee follows the volatility that a model predicts
/// @notice Liquidity providers lose to informed traders when prices move fast, and lose volume to other pools when they do
/// not. This pool asks a model, inside the swap, how much the price will move next, and takes that as its fee.
///
/// - The fee of a block follows from prices of earlier blocks: no trade can change the fee or the prices that it or any
///   other trade of its block sees. Each block adds the price that the one before closed at.
/// - The pool counts its reserves itself. Tokens sent to it by plain transfers change neither price nor shares.
/// - Every rounding favours the pool.
/// - Providers can always leave: removing liquidity asks no model.
/// @dev Supports ERC20 tokens that move exactly the amount they are asked to; a transfer that does not reverts. Like every
/// feed of prices per block it can be lulled by whoever keeps the price still for nine blocks; MIN_FEE is what that costs.
contract VolatilityFeePool is ERC20, ReentrancyGuard {
    using SafeERC20 for IERC20;
    using PriceHistory for PriceHistory.Ring;

    /// @notice Liquidity that nobody owns, so that a share can never be made expensive to buy.
    uint256 public constant MINIMUM_LIQUIDITY = 1000;
    /// @dev Where that liquidity lies.
    address private constant NOBODY = address(0xdead);
    /// @dev Reserves stay below this, so that no product below exceeds 256 bits.
    uint256 private constant MAX_RESERVE = type(uint112).max;

    IERC20 public immutable token0;
    IERC20 public immutable token1;
    /// @notice The model that sets the fee: eight returns in, one volatility in basis points out.
    bytes32 public immutable modelId;

    uint112 private _reserve0;
    uint112 private _reserve1;
    /// @dev The block whose fee `_feeOfBlock` is.
    uint64 private _feeBlock;
    uint24 private _feeOfBlock;
    PriceHistory.Ring private _history;

    /// @notice Liquidity was added.
    event LiquidityAdded(
        address indexed sender, address indexed to, uint256 amount0, uint256 amount1, uint256 liquidity
    );
    /// @notice Liquidity was removed.
    event LiquidityRemoved(
        address indexed sender, address indexed to, uint256 amount0, uint256 amount1, uint256 liquidity
    );
    /// @notice A swap; `fee` in millionths of what came in.
    event Swapped(
        address indexed sender,
        address indexed to,
        address indexed tokenIn,
        uint256 amountIn,
        uint256 amountOut,
        uint256 fee
    );
    /// @notice The fee of this block, in millionths.
    event FeeSet(uint256 fee);

    /// @notice The two tokens are the same, or one is zero.
    error BadTokens(address token0, address token1);
    /// @notice The pool does not trade this token.
    error UnknownToken(address token);
    /// @notice The transaction was mined after its deadline.
    error Expired(uint256 deadline, uint256 timestamp);
    /// @notice The amounts are too small to mint a share, or nothing is given.
    error NoLiquidityMinted();
    /// @notice The pool holds no liquidity yet.
    error EmptyPool();
    /// @notice The caller wanted at least `minimum`.
    error SlippageExceeded(uint256 minimum, uint256 actual);
    /// @notice The token moved another amount than it was asked to (it charges or rebases).
    error UnsupportedTransfer(address token, uint256 asked, uint256 moved);
    /// @notice A reserve would exceed 2^112 - 1.
    error ReserveTooLarge(uint256 reserve);

    modifier before(uint256 deadline) {
        // forge-lint: disable-next-line(block-timestamp)
        if (block.timestamp > deadline) revert Expired(deadline, block.timestamp);
        _;
    }

    /// @param token0_ One token; prices are amounts of token1 for one of token0.
    /// @param token1_ The other token.
    /// @param modelId_ The volatility model. It must be active on this chain before the tenth block with a trade.
    constructor(IERC20 token0_, IERC20 token1_, bytes32 modelId_) ERC20("Volatility Fee Pool", "VFP") {
        if (address(token0_) == address(0) || address(token1_) == address(0) || address(token0_) == address(token1_)) {
            revert BadTokens(address(token0_), address(token1_));
        }
        (token0, token1, modelId) = (token0_, token1_, modelId_);
    }

    /// @notice Adds liquidity at the pool's price.
    /// @param amount0Max The most to pay of token0; the first provider pays exactly this.
    /// @param amount1Max The most to pay of token1; the first provider pays exactly this.
    /// @param minLiquidity The least shares to accept.
    /// @param to Who gets the shares.
    /// @param deadline The last timestamp at which this may be mined.
    function addLiquidity(uint256 amount0Max, uint256 amount1Max, uint256 minLiquidity, address to, uint256 deadline)
        external
        nonReentrant
        before(deadline)
        returns (uint256 amount0, uint256 amount1, uint256 liquidity)
    {
        (uint256 r0, uint256 r1, uint256 supply) = (_reserve0, _reserve1, totalSupply());
        if (supply == 0) {
            (amount0, amount1) = (amount0Max, amount1Max);
            _requireReserve(amount0);
            _requireReserve(amount1);
            liquidity = Math.sqrt(amount0 * amount1);
            if (liquidity <= MINIMUM_LIQUIDITY) revert NoLiquidityMinted();
            liquidity -= MINIMUM_LIQUIDITY;
            _mint(NOBODY, MINIMUM_LIQUIDITY);
        } else {
            _history.observe(r0, r1);
            liquidity = Math.min(Math.mulDiv(amount0Max, supply, r0), Math.mulDiv(amount1Max, supply, r1));
            if (liquidity == 0) revert NoLiquidityMinted();
            amount0 = Math.mulDiv(liquidity, r0, supply, Math.Rounding.Ceil);
            amount1 = Math.mulDiv(liquidity, r1, supply, Math.Rounding.Ceil);
        }
        if (liquidity < minLiquidity) revert SlippageExceeded(minLiquidity, liquidity);

        _pull(token0, amount0);
        _pull(token1, amount1);
        _setReserves(r0 + amount0, r1 + amount1);
        _mint(to, liquidity);
        emit LiquidityAdded(msg.sender, to, amount0, amount1, liquidity);
    }

    /// @notice Removes liquidity: the same share of both reserves.
    /// @param liquidity The shares to burn.
    /// @param amount0Min The least of token0 to accept.
    /// @param amount1Min The least of token1 to accept.
    /// @param to Who gets the tokens.
    /// @param deadline The last timestamp at which this may be mined.
    function removeLiquidity(uint256 liquidity, uint256 amount0Min, uint256 amount1Min, address to, uint256 deadline)
        external
        nonReentrant
        before(deadline)
        returns (uint256 amount0, uint256 amount1)
    {
        (uint256 r0, uint256 r1, uint256 supply) = (_reserve0, _reserve1, totalSupply());
        if (supply == 0) revert EmptyPool();
        _history.observe(r0, r1);
        amount0 = Math.mulDiv(liquidity, r0, supply);
        amount1 = Math.mulDiv(liquidity, r1, supply);
        if (amount0 < amount0Min) revert SlippageExceeded(amount0Min, amount0);
        if (amount1 < amount1Min) revert SlippageExceeded(amount1Min, amount1);

        _burn(msg.sender, liquidity);
        _setReserves(r0 - amount0, r1 - amount1);
        token0.safeTransfer(to, amount0);
        token1.safeTransfer(to, amount1);
        emit LiquidityRemoved(msg.sender, to, amount0, amount1, liquidity);
    }

    /// @notice Swaps an exact amount in. The block's first swap asks the model for the block's fee.
    /// @param tokenIn The token to pay with.
    /// @param amountIn How much of it.
    /// @param amountOutMin The least of the other token to accept.
    /// @param to Who gets it.
    /// @param deadline The last timestamp at which this may be mined.
    function swap(address tokenIn, uint256 amountIn, uint256 amountOutMin, address to, uint256 deadline)
        external
        nonReentrant
        before(deadline)
        returns (uint256 amountOut)
    {
        bool zeroForOne = _isToken0(tokenIn);
        (uint256 r0, uint256 r1) = (_reserve0, _reserve1);
        if (r0 == 0) revert EmptyPool();
        _history.observe(r0, r1);
        uint256 charged = _refreshFee();

        (uint256 rIn, uint256 rOut) = zeroForOne ? (r0, r1) : (r1, r0);
        _requireReserve(rIn + amountIn);
        amountOut = _amountOut(amountIn, rIn, rOut, charged);
        if (amountOut < amountOutMin) revert SlippageExceeded(amountOutMin, amountOut);

        _pull(IERC20(tokenIn), amountIn);
        if (zeroForOne) _setReserves(r0 + amountIn, r1 - amountOut);
        else _setReserves(r0 - amountOut, r1 + amountIn);
        (zeroForOne ? token1 : token0).safeTransfer(to, amountOut);
        emit Swapped(msg.sender, to, tokenIn, amountIn, amountOut, charged);
    }

    /// @notice The fee that a swap in this block pays, in millionths. Asks the model if no swap of this block has.
    function fee() public view returns (uint256) {
        if (_reserve0 == 0) return VolatilityFee.WARM_UP_FEE;
        if (_feeBlock == block.number) return _feeOfBlock;
        (bool full, int256[] memory returns_) = _history.returnsAfterObserving(_reserve0, _reserve1);
        return full ? VolatilityFee.predict(modelId, returns_) : VolatilityFee.WARM_UP_FEE;
    }

    /// @notice What `swap` would give now, and the fee it would pay, in millionths.
    function previewSwap(address tokenIn, uint256 amountIn) external view returns (uint256 amountOut, uint256 fee_) {
        (uint256 rIn, uint256 rOut) = _isToken0(tokenIn) ? (_reserve0, _reserve1) : (_reserve1, _reserve0);
        if (rIn == 0) revert EmptyPool();
        _requireReserve(rIn + amountIn);
        fee_ = fee();
        amountOut = _amountOut(amountIn, rIn, rOut, fee_);
    }

    /// @notice The reserves that prices and shares follow from.
    function reserves() external view returns (uint256 reserve0, uint256 reserve1) {
        return (_reserve0, _reserve1);
    }

    /// @notice How many prices are known. From PriceHistory.SIZE on, the model sets the fee.
    function observations() external view returns (uint256) {
        return _history.count;
    }

    /// @dev Prices change between blocks only, so one inference a block is enough.
    function _refreshFee() private returns (uint256 fee_) {
        if (_feeBlock == block.number) return _feeOfBlock;
        fee_ = fee();
        _feeBlock = uint64(block.number);
        // forge-lint: disable-next-line(unsafe-typecast)
        _feeOfBlock = uint24(fee_); // at most MAX_FEE
        emit FeeSet(fee_);
    }

    function _amountOut(uint256 amountIn, uint256 rIn, uint256 rOut, uint256 fee_) private pure returns (uint256) {
        uint256 net = amountIn * (VolatilityFee.ONE - fee_); // below 2^132
        return net * rOut / (rIn * VolatilityFee.ONE + net);
    }

    function _isToken0(address token) private view returns (bool) {
        if (token == address(token0)) return true;
        if (token == address(token1)) return false;
        revert UnknownToken(token);
    }

    function _pull(IERC20 token, uint256 amount) private {
        uint256 held = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 moved = token.balanceOf(address(this)) - held;
        if (moved != amount) revert UnsupportedTransfer(address(token), amount, moved);
    }

    function _setReserves(uint256 r0, uint256 r1) private {
        _requireReserve(r0);
        _requireReserve(r1);
        // forge-lint: disable-next-line(unsafe-typecast)
        (_reserve0, _reserve1) = (uint112(r0), uint112(r1));
    }

    function _requireReserve(uint256 reserve) private pure {
        if (reserve > MAX_RESERVE) revert ReserveTooLarge(reserve);
    }
}
