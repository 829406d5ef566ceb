// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {CodeData} from "./CodeData.sol";

/// @title Gradient-boosted trees without the precompile
/// @notice Reads a packed node table from code. Fixed point, 18 decimals. One measure of what pure Solidity costs.
///
/// The table has 16 bytes a node, big-endian: feature (1 byte; 255 marks a leaf), index of the left child (2 bytes; the right
/// child follows it), padding (3 bytes), and a signed number of 10 bytes with 18 decimals: the threshold, or a leaf's value.
/// The first `trees` nodes are the roots. 1,535 nodes fit into one contract.
contract PureSolidityTrees {
    /// @notice How many trees are summed.
    uint256 public immutable trees;
    /// @notice Whether x < threshold goes left (XGBoost), in place of x <= threshold (scikit-learn).
    bool public immutable strict;
    int256 private immutable _base;
    address private immutable _nodes;

    /// @param nodes The node table.
    /// @param trees_ The number of trees.
    /// @param base What is added to the sum of the leaves, 18 decimals.
    /// @param strict_ See strict.
    constructor(bytes memory nodes, uint256 trees_, int256 base, bool strict_) {
        (trees, strict, _base, _nodes) = (trees_, strict_, base, CodeData.store(nodes));
    }

    /// @notice The sum of the trees' leaves and the base, 18 decimals: a regressor's answer, or a classifier's margin.
    /// @param x The features, 18 decimals each. A feature that a tree asks for and x lacks reads past x: give whole rows.
    function predict(int256[] calldata x) external view returns (int256 sum) {
        bytes memory table = CodeData.load(_nodes);
        uint256 count = trees;
        // x <= t is x < t + 1 for integers.
        uint256 slack = strict ? 0 : 1;
        sum = _base;
        assembly ("memory-safe") {
            let nodes := add(table, 32)
            let end := add(nodes, shl(4, count))
            for { let root := nodes } lt(root, end) { root := add(root, 16) } {
                let node := mload(root)
                for {} lt(byte(0, node), 255) {} {
                    let value := calldataload(add(x.offset, shl(5, byte(0, node))))
                    let threshold := add(signextend(9, shr(128, node)), slack)
                    let child := add(and(shr(232, node), 0xffff), iszero(slt(value, threshold)))
                    node := mload(add(nodes, shl(4, child)))
                }
                sum := add(sum, signextend(9, shr(128, node)))
            }
        }
    }
}
