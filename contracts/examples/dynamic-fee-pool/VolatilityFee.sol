// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Inference} from "../../src/Inference.sol";

/// @title From returns to a fee, by way of a model
/// @notice The model takes the last eight returns and predicts the next one's standard deviation in basis points; that is
/// the fee, within bounds.
library VolatilityFee {
    /// @notice Fees are millionths of what comes in: 3000 is 0.3 %.
    uint256 internal constant ONE = 1_000_000;
    uint256 internal constant MIN_FEE = 500;
    uint256 internal constant MAX_FEE = 10_000;
    /// @notice The fee until enough prices are known.
    uint256 internal constant WARM_UP_FEE = 3000;

    /// @dev A basis point is 100 millionths, and the model's answer has 18 decimals.
    int256 private constant WAD_PER_MILLIONTH = 1e18 / 100;

    /// @notice The fee that the model wants for these returns, in millionths.
    /// @dev Where the model refuses the input the pool takes the highest fee and goes on trading. Other failures (out of
    /// gas, a tool without the precompile) say nothing about the market and revert.
    function predict(bytes32 modelId, int256[] memory returns_) internal view returns (uint256) {
        (bool ok, int256[] memory volatility,) = Inference.tryInfer(modelId, returns_);
        if (!ok || volatility.length != 1) return MAX_FEE;
        return clamp(volatility[0]);
    }

    /// @notice A volatility in basis points (18 decimals) as a fee in millionths, within the bounds.
    function clamp(int256 volatility) internal pure returns (uint256) {
        int256 fee = volatility / WAD_PER_MILLIONTH;
        // forge-lint: disable-start(unsafe-typecast)
        if (fee <= int256(MIN_FEE)) return MIN_FEE;
        if (fee >= int256(MAX_FEE)) return MAX_FEE;
        return uint256(fee);
        // forge-lint: disable-end(unsafe-typecast)
    }
}
