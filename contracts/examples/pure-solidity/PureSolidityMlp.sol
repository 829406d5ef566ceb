// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {CodeData} from "./CodeData.sol";

/// @title A multi-layer perceptron without the precompile
/// @notice Integers: weights are 16 bits in units of 2^-shift, activations and biases integers in units of the caller's
/// choice. ReLU between layers. One measure of what pure Solidity costs; rounding makes it differ from the float model.
///
/// The table holds, layer by layer and output by output: the bias (4 bytes), then one weight (2 bytes) for each input, all
/// signed and big-endian. The number of inputs of each layer is a multiple of 4, which the inner loop is unrolled to.
contract PureSolidityMlp {
    /// @notice Weights are in units of 2^-shift; biases are in the units of a layer's activations.
    uint256 public immutable shift;
    address private immutable _table;
    uint16[] private _sizes;

    /// @notice The input has `expected` values.
    error WrongLength(uint256 expected, uint256 actual);
    /// @notice A layer's inputs are not a multiple of 4.
    error BadSize(uint256 layer, uint256 size);

    /// @param sizes The width of the input and of each layer.
    /// @param shift_ See shift.
    /// @param table The weights.
    constructor(uint16[] memory sizes, uint256 shift_, bytes memory table) {
        for (uint256 i; i + 1 < sizes.length; ++i) {
            if (sizes[i] % 4 != 0) revert BadSize(i, sizes[i]);
        }
        (_sizes, shift, _table) = (sizes, shift_, CodeData.store(table));
    }

    /// @notice The index of the greatest output (the lowest one of equals), and the outputs.
    function classify(int256[] calldata x) external view returns (uint256 class, int256[] memory y) {
        y = forward(x);
        for (uint256 i = 1; i < y.length; ++i) {
            if (y[i] > y[class]) class = i;
        }
    }

    /// @notice The outputs of the last layer, without ReLU.
    function forward(int256[] memory x) public view returns (int256[] memory) {
        uint16[] memory sizes = _sizes;
        if (x.length != sizes[0]) revert WrongLength(sizes[0], x.length);
        uint256 row;
        bytes memory table = CodeData.load(_table);
        assembly ("memory-safe") {
            row := add(table, 32)
        }
        for (uint256 layer = 1; layer < sizes.length; ++layer) {
            int256[] memory y = new int256[](sizes[layer]);
            row = _layer(x, y, row, layer + 1 < sizes.length);
            x = y;
        }
        return x;
    }

    /// @dev y = weights * x / 2^shift + bias, for the rows that begin at `row`. Returns where they end.
    function _layer(int256[] memory x, int256[] memory y, uint256 row, bool relu) private view returns (uint256) {
        uint256 bits = shift;
        assembly ("memory-safe") {
            let end := add(add(x, 32), shl(5, mload(x)))
            let outEnd := add(add(y, 32), shl(5, mload(y)))
            for { let out := add(y, 32) } lt(out, outEnd) { out := add(out, 32) } {
                let sum := shl(bits, sar(224, mload(row)))
                row := add(row, 4)
                for { let input := add(x, 32) } lt(input, end) { input := add(input, 128) } {
                    // Four weights in one word.
                    let w := mload(row)
                    sum := add(sum, mul(mload(input), sar(240, w)))
                    sum := add(sum, mul(mload(add(input, 32)), signextend(1, shr(224, w))))
                    sum := add(sum, mul(mload(add(input, 64)), signextend(1, shr(208, w))))
                    sum := add(sum, mul(mload(add(input, 96)), signextend(1, shr(192, w))))
                    row := add(row, 8)
                }
                sum := sar(bits, sum)
                if and(relu, slt(sum, 0)) { sum := 0 }
                mstore(out, sum)
            }
        }
        return row;
    }
}
