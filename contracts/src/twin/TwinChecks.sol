// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {TwinNames} from "./TwinNames.sol";
import {ABSENT, Node, Program} from "./TwinProgram.sol";
import {Value} from "./TwinValues.sol";

/// @title What every operator's shapes are checked with
library TwinChecks {
    /// @notice Reverts ShapeMismatch with the node's number and operator.
    function check(bool ok, Node memory node, uint256 index) internal pure {
        if (!ok) revert IInference.ShapeMismatch(index, TwinNames.nameOf(node.opcode, node.kind));
    }

    /// @notice The i-th operand, which must be there.
    function operand(Program memory p, Node memory node, uint256 index, uint256 i)
        internal
        pure
        returns (Value memory)
    {
        uint256 v = node.operands[i];
        check(v != ABSENT, node, index);
        return p.values[v];
    }

    /// @notice The i-th operand where it is there.
    function optional(Program memory p, Node memory node, uint256 i)
        internal
        pure
        returns (Value memory v, bool present)
    {
        present = i < node.operands.length && node.operands[i] != ABSENT;
        if (present) v = p.values[node.operands[i]];
    }

    /// @notice The first `n` dimensions.
    function head(uint256[] memory shape, uint256 n) internal pure returns (uint256[] memory h) {
        h = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            h[i] = shape[i];
        }
    }

    /// @notice The first `n` dimensions of a, then those of b from `from` on.
    function join(uint256[] memory a, uint256 n, uint256[] memory b, uint256 from)
        internal
        pure
        returns (uint256[] memory shape)
    {
        shape = new uint256[](n + b.length - from);
        for (uint256 i; i < shape.length; ++i) {
            shape[i] = i < n ? a[i] : b[from + i - n];
        }
    }

    /// @notice Whether two shapes are one.
    function same(uint256[] memory a, uint256[] memory b) internal pure returns (bool) {
        if (a.length != b.length) return false;
        for (uint256 i; i < a.length; ++i) {
            if (a[i] != b[i]) return false;
        }
        return true;
    }
}
