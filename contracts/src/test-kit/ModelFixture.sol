// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @notice A model for tests, as `lockstep bind` writes it: `useModel(RiskFixture.model())`.
/// @param name What the model's author calls it.
/// @param modelId Its identity. The kit computes it again from the bytes.
/// @param rowFeatures Values of a row of `infer`; 0: the model is not tabular.
/// @param shapeItems Nodes, operands, inputs and outputs of the graph: what a call pays for its shapes (spec GAS-1, stage 4).
/// @param classifies Whether `classify` takes it.
/// @param description What `describe` returns for it; empty: not known.
/// @param features Names of the features, one a line.
/// @param ranges For each feature the lowest and the highest value of the training data, int128 with 18 decimals.
/// @param graph The graph section of the model file.
/// @param weights The weights section.
struct ModelFixture {
    string name;
    bytes32 modelId;
    uint256 rowFeatures;
    uint256 shapeItems;
    bool classifies;
    bytes description;
    string features;
    bytes ranges;
    bytes graph;
    bytes weights;
}
