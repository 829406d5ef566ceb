// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, ModelInfo} from "../IInference.sol";
import {ModelFixture} from "./ModelFixture.sol";

/// @title What a node charges for a call that does not run to its end, and for `describe`
/// @notice Gas schedule 1 (docs/spec.md, section 6). What a run costs is the twin's `quote`.
library KitGas {
    uint256 private constant BASE = 700;
    uint256 private constant PER_WORD = 16;
    uint256 private constant REGISTRY = 2600;
    uint256 private constant PER_SHAPE_ITEM = 15;
    uint256 private constant PER_OUTPUT_WORD = 8;

    /// @notice Base and bytes: stages 1 and 2.
    function entry(uint256 callLength) internal pure returns (uint256) {
        return BASE + PER_WORD * ((callLength + 31) / 32);
    }

    /// @notice Stage 1.
    function base() internal pure returns (uint256) {
        return BASE;
    }

    /// @notice Stages 1 to 3: a call that ends at the registry.
    function throughRegistry(uint256 callLength) internal pure returns (uint256) {
        return entry(callLength) + REGISTRY;
    }

    /// @notice `describe` of this model.
    function description(ModelFixture memory m, uint256 callLength, ModelInfo memory info)
        internal
        pure
        returns (uint256)
    {
        return throughRegistry(callLength) + PER_SHAPE_ITEM * (m.shapeItems + names(info)) + PER_OUTPUT_WORD
            * ((m.description.length + 31) / 32);
    }

    /// @notice Features, categories and labels: what `describe` looks at beside the graph's shapes.
    function names(ModelInfo memory info) internal pure returns (uint256 n) {
        n = info.features.length + info.labels.length;
        for (uint256 i; i < info.features.length; ++i) {
            n += info.features[i].categories.length;
        }
    }

    /// @notice Stages 1 to 4: a call that ends with its shapes.
    function throughShapes(ModelFixture memory m, uint256 callLength) internal pure returns (uint256) {
        return throughRegistry(callLength) + PER_SHAPE_ITEM * m.shapeItems;
    }

    /// @notice The stage at which an error ends a call: 1 to 5.
    function stageOf(bytes4 error_, bool classifies) internal pure returns (uint256) {
        if (error_ == IInference.ValueNotAccepted.selector || error_ == IInference.DelegateCall.selector) return 1;
        if (error_ == IInference.UnknownSelector.selector || error_ == IInference.NotCanonical.selector) return 2;
        if (
            error_ == IInference.UnknownModel.selector || error_ == IInference.ModelNotActive.selector
                || error_ == IInference.InvalidWeights.selector
        ) return 3;
        if (
            error_ == IInference.ComputationFailed.selector || error_ == IInference.NotANumber.selector
                || error_ == IInference.NotRepresentable.selector
        ) return 5;
        return error_ == IInference.NotAClassifier.selector && classifies ? 5 : 4;
    }
}
