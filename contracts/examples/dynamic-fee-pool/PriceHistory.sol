// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The last prices of a pool, one for each block in which it was used
/// @notice The first use in a block records the price before that use, which is the price that the last such block closed
/// at. Nothing done later in the block changes what was recorded.
library PriceHistory {
    /// @notice How many prices are kept: one more than the returns that the model takes.
    uint256 internal constant SIZE = 9;
    /// @notice How many returns that makes.
    uint256 internal constant RETURNS = SIZE - 1;
    /// @notice Returns above this are cut (18 decimals: tenfold), so that no price can make the pool revert.
    int256 internal constant MAX_RETURN = 9e18;

    /// @dev Decimals of a price: enough for pairs whose raw amounts differ by twenty orders of magnitude.
    uint256 private constant PRICE_ONE = 1e36;

    /// @param prices Ring of prices: reserve1 / reserve0 with 36 decimals, at least 1. The n-th lies at n modulo SIZE.
    /// @param count How many prices were ever recorded.
    /// @param lastBlock The block of the latest one.
    struct Ring {
        uint256[SIZE] prices;
        uint64 count;
        uint64 lastBlock;
    }

    /// @notice Records the price of these reserves, unless this block has recorded one.
    function observe(Ring storage ring, uint256 reserve0, uint256 reserve1) internal {
        uint64 count = ring.count;
        if (count != 0 && ring.lastBlock == block.number) return;
        ring.prices[count % SIZE] = price(reserve0, reserve1);
        (ring.count, ring.lastBlock) = (count + 1, uint64(block.number));
    }

    /// @notice The last returns as they are, or will be, once this block's price is recorded.
    /// @return full False: fewer than SIZE prices are known.
    /// @return r The returns, newest first (the order of the model's features), 18 decimals: 0.01e18 is one percent.
    function returnsAfterObserving(Ring storage ring, uint256 reserve0, uint256 reserve1)
        internal
        view
        returns (bool full, int256[] memory r)
    {
        uint256 count = ring.count;
        bool pending = count == 0 || ring.lastBlock != block.number;
        if (count + (pending ? 1 : 0) < SIZE) return (false, r);

        r = new int256[](RETURNS);
        uint256 next = count; // one past the price that `newer` is
        uint256 newer;
        if (pending) newer = price(reserve0, reserve1);
        else newer = ring.prices[--next % SIZE];
        for (uint256 i; i < RETURNS; ++i) {
            uint256 older = ring.prices[--next % SIZE];
            r[i] = change(older, newer);
            newer = older;
        }
        full = true;
    }

    /// @notice Amount of token1 for one of token0, in raw amounts, 36 decimals; at least 1. Reserves are below 2^112.
    function price(uint256 reserve0, uint256 reserve1) internal pure returns (uint256) {
        return Math.max(reserve1 * PRICE_ONE / reserve0, 1);
    }

    /// @notice newer / older - 1 with 18 decimals, cut at MAX_RETURN.
    function change(uint256 older, uint256 newer) internal pure returns (int256) {
        // forge-lint: disable-start(unsafe-typecast)
        if (newer / older >= uint256(MAX_RETURN) / 1e18 + 1) return MAX_RETURN;
        return int256(Math.mulDiv(newer, 1e18, older)) - 1e18;
        // forge-lint: disable-end(unsafe-typecast)
    }
}
