// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Wad} from "./Wad.sol";

/// @notice A row of features under construction.
/// @param values The features, 18 decimals each.
/// @param filled How many of them were given.
struct Row {
    int256[] values;
    uint256 filled;
}

using Rows for Row global;

/// @title Rows of features, each value named by its unit
/// @notice `int256[] memory x = Rows.create(3).fromWad(apy).fromDecimals(price, 8).fromInteger(days).done();`
library Rows {
    /// @notice The row has `length` features, and one more was given.
    error RowFull(uint256 length);
    /// @notice The row has `length` features, and only `filled` were given.
    error RowNotFull(uint256 length, uint256 filled);
    /// @notice A row of a batch has another length than the first.
    error UnevenRows(uint256 row, uint256 expected, uint256 actual);

    /// @notice A row of so many features.
    function create(uint256 length) internal pure returns (Row memory row) {
        row.values = new int256[](length);
    }

    /// @notice The next feature, which has 18 decimals.
    function fromWad(Row memory row, int256 v) internal pure returns (Row memory) {
        if (row.filled == row.values.length) revert RowFull(row.filled);
        row.values[row.filled++] = v;
        return row;
    }

    /// @notice The next feature, which has `decimals` decimals: a price feed's answer.
    function fromDecimals(Row memory row, int256 v, uint8 decimals) internal pure returns (Row memory) {
        return fromWad(row, Wad.fromDecimals(v, decimals));
    }

    /// @notice The next feature, which has `decimals` decimals: a token balance.
    function fromDecimals(Row memory row, uint256 v, uint8 decimals) internal pure returns (Row memory) {
        return fromWad(row, Wad.fromDecimals(v, decimals));
    }

    /// @notice The next feature, a whole number.
    function fromInteger(Row memory row, int256 v) internal pure returns (Row memory) {
        return fromWad(row, Wad.fromInteger(v));
    }

    /// @notice The row, which must be full.
    function done(Row memory row) internal pure returns (int256[] memory) {
        if (row.filled != row.values.length) revert RowNotFull(row.values.length, row.filled);
        return row.values;
    }

    /// @notice Rows of one length, one after the other: a batch as `infer` and `classify` take it.
    function join(int256[][] memory rows) internal pure returns (int256[] memory x) {
        if (rows.length == 0) return x;
        uint256 width = rows[0].length;
        x = new int256[](rows.length * width);
        for (uint256 i; i < rows.length; ++i) {
            if (rows[i].length != width) revert UnevenRows(i, width, rows[i].length);
            for (uint256 k; k < width; ++k) {
                x[i * width + k] = rows[i][k];
            }
        }
    }
}
