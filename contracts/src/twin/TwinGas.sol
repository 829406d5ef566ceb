// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {NO_OUTPUT, Program} from "./TwinProgram.sol";
import {TwinValues, Value} from "./TwinValues.sol";
import {TwinWork} from "./TwinWork.sol";

/// @title What a Lockstep node charges for a call, by schedule 1 (spec section 6)
library TwinGas {
    /// @notice Stages 1 and 2: the call itself and its bytes.
    function call(uint256 bytes_) internal pure returns (uint256) {
        return 700 + 16 * ((bytes_ + 31) / 32);
    }

    /// @notice Validation of a graph.
    function graph(uint256 bytes_) internal pure returns (uint256) {
        return 16 * bytes_;
    }

    /// @notice Stages 3 and 4: the look-up and the shapes.
    function shapes(Program memory p) internal pure returns (uint256) {
        return 2_600 + 15 * p.items;
    }

    /// @notice Stage 5: the work of the run and its encoded result.
    function price(uint256 milligas, uint256 resultBytes) internal pure returns (uint256) {
        if (milligas == type(uint64).max) return milligas;
        return TwinWork.plus((milligas + 999) / 1000, TwinWork.times(8, (resultBytes + 31) / 32));
    }

    /// @notice What `classify` adds to a run: each value is looked at once, each label searched in a table of integers.
    function classifying(Program memory p, uint256 columns) internal pure returns (uint256 milligas) {
        uint256 table = p.labelKind == 1 && p.label != NO_OUTPUT ? p.labelCount : 0;
        return TwinWork.times(TwinWork.times(p.rows, columns + table), 700);
    }

    /// @notice Bytes of the result of `infer`.
    function inferred(Program memory p) internal pure returns (uint256) {
        return TwinWork.times(TwinWork.plus(_elements(p, p.primary), 2), 32);
    }

    /// @notice Bytes of the result of `classify`.
    function classified(Program memory p) internal pure returns (uint256) {
        return (p.rows + 2) * 64;
    }

    /// @notice Bytes of the result of `run`.
    function tensors(Program memory p) internal pure returns (uint256 size) {
        size = 64;
        for (uint256 i; i < p.outputs.length; ++i) {
            Value memory v = p.values[p.outputs[i]];
            uint256 n = _elements(p, i);
            uint256 data = n == type(uint64).max ? n : (n * TwinValues.size(v.dtype) + 31) / 32 * 32;
            size = TwinWork.plus(size, (6 + v.shape.length) * 32 + data);
        }
    }

    function _elements(Program memory p, uint256 output) private pure returns (uint256 n) {
        n = TwinWork.exact(p.values[p.outputs[output]].shape);
        if (n >> 62 != 0) n = type(uint64).max;
    }
}
