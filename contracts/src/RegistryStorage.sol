// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Caps, Deposits, Duty, Model} from "./IModelRegistry.sol";

/// @title The registry's storage: part of the protocol (docs/spec.md, REG-5)
/// @notice The precompile reads word 0 of a model's record, nodes read the rest, genesis writes slots 3, 5 and 6. A test
/// compares the layout with the compiler's.
abstract contract RegistryStorage {
    /// @dev Unknown or open: `graphLength` tells which.
    uint8 internal constant UNREGISTERED = 0;
    uint8 internal constant REGISTERED = 1;
    uint8 internal constant ACTIVATED = 2;
    /// @dev Registered by attestation, and not active: weights off chain, as far as they are not appended.
    uint8 internal constant OFF_CHAIN = 3;

    mapping(bytes32 modelId => Model) internal _models; // slot 0
    bytes32[] internal _registered; // slot 1
    bytes32[] internal _activated; // slot 2
    Caps internal _caps; // slot 3
    uint64 internal _activeWeightBytes; // slot 4
    Deposits internal _deposits; // slot 5
    address[] internal _attesters; // slot 6
    mapping(bytes32 modelId => Duty) internal _duties; // slot 7
    mapping(address account => uint256) internal _credits; // slot 8
}
