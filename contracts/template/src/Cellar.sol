// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Wine} from "./Wine.sol";

/// @title Takes bottles of one wine only, as a model tells them apart
contract Cellar {
    /// @notice Bottles taken so far.
    uint256 public bottles;

    /// @notice The model takes the bottle for another wine; `class` is one of Wine's constants.
    error NotBarolo(uint256 class);

    /// @notice Takes a bottle by its analysis.
    function accept(Wine.Features memory analysis) external {
        (uint256 class,) = Wine.classify(analysis);
        if (class != Wine.CLASS_BAROLO) revert NotBarolo(class);
        ++bottles;
    }
}
