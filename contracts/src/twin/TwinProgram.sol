// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Value} from "./TwinValues.sol";

/// @notice A node: operator, its kind where the family has kinds, other attributes in the order of the file, operands.
struct Node {
    uint256 opcode;
    uint256 kind;
    uint256[] attributes;
    uint256[] axes;
    uint256[][] lists;
    uint256[] operands;
}

/// @notice What a call gives to a model: rows of `count` values together (infer, classify), or tensors by type and shape;
/// with `any` nothing: every symbol is 1.
struct Request {
    bool any;
    bool rows;
    bytes32 modelId;
    uint256 count;
    uint256[] dtypes;
    uint256[][] shapes;
}

/// @notice A graph at the shapes of one call. Values are numbered: inputs, constants, outputs of nodes.
/// @param items Nodes, operands, inputs and outputs: what evaluating the shapes is charged for.
/// @param rows Rows of `infer` and `classify`, of `features` values each.
/// @param label The output that holds the labels; NO_OUTPUT: none.
/// @param labelKind 0: no label table, 1: integers, 2: strings; `labelCount` of them, the integers in `labels`.
struct Program {
    Value[] values;
    Node[] nodes;
    uint256 inputCount;
    uint256 constantCount;
    uint256 weightsLength;
    uint256[] outputs;
    uint256 items;
    uint256 rows;
    uint256 features;
    uint256 primary;
    uint256 label;
    uint256 labelKind;
    uint256 labelCount;
    int256[] labels;
}

/// @notice Operands of a node as they go to a module: of an absent one type 0, no shape and no elements.
/// @param data The elements' words as bytes: a call copies these at once, and words one by one.
/// @param constants Which operands are constants of the model.
struct Parts {
    uint256[] dtypes;
    uint256[][] shapes;
    bytes[] data;
    bool[] constants;
}

/// @dev `Program.label` where the graph names no label output.
uint256 constant NO_OUTPUT = type(uint16).max;

/// @dev An operand that is left out.
uint256 constant ABSENT = type(uint32).max;

/// @dev A dimension that has no value in this call.
uint256 constant NO_VALUE = type(uint256).max;
