// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {InferenceKit} from "./InferenceKit.sol";

/// @title Base of forge tests of contracts that infer
/// @notice Call `useModel("target/models/x.lsm")` in setUp for real answers at the node's gas, or `mockOutput` for made-up
/// ones. Names nothing that a test library names: `contract MyTest is Test, InferenceTest` works with forge-std's Test.
abstract contract InferenceTest is InferenceKit {}
