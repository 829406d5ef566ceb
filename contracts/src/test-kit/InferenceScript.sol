// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {InferenceKit} from "./InferenceKit.sol";

/// @title Base of forge scripts of contracts that infer
/// @notice forge runs a script first in its own EVM, where `useModel` (before startBroadcast) answers inferences, and then
/// simulates its transactions on the node's state, where the twin stands at the precompile's address: its answers are the
/// node's, its gas is far more. So a script that only deploys needs no more; one whose *transactions* infer needs
/// --skip-simulation.
abstract contract InferenceScript is InferenceKit {}
