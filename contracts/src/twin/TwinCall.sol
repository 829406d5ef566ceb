// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, Tensor} from "../IInference.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {Program, Request} from "./TwinProgram.sol";
import {TwinValues, Value} from "./TwinValues.sol";
import {TwinWad} from "./TwinWad.sol";

/// @title From what a call gives to a program's values, and from values to tensors (spec ABI-3, ABI-4, ABI-8)
library TwinCall {
    /// @notice What tensors ask of a graph.
    function request(Tensor[] memory inputs) internal pure returns (Request memory q) {
        q.dtypes = new uint256[](inputs.length);
        q.shapes = new uint256[][](inputs.length);
        for (uint256 i; i < inputs.length; ++i) {
            q.dtypes[i] = inputs[i].dtype;
            uint256[] memory shape = new uint256[](inputs[i].shape.length);
            for (uint256 k; k < shape.length; ++k) {
                shape[k] = inputs[i].shape[k];
            }
            q.shapes[i] = shape;
        }
    }

    /// @notice Gives the nodes' results their types and shapes.
    function place(Program memory p, Value[] memory results) internal pure {
        uint256 first = p.inputCount + p.constantCount;
        for (uint256 i; i < results.length; ++i) {
            p.values[first + i] = results[i];
        }
    }

    /// @notice Reads the inputs' elements; u8 and i8 widen where the model wants f32.
    function readTensors(Program memory p, Tensor[] memory inputs) internal pure {
        for (uint256 i; i < p.inputCount; ++i) {
            Value memory v = p.values[i];
            Tensor memory t = inputs[i];
            _checkLength(i, v.shape, t);
            bool clean;
            (v.data, clean) = TwinValues.unpack(t.data, 0, TwinValues.count(v.shape), t.dtype);
            if (t.dtype != v.dtype) {
                for (uint256 k; k < v.data.length; ++k) {
                    // forge-lint: disable-next-line(unsafe-typecast)
                    v.data[k] = SoftFloat32.fromInt(int256(v.data[k]));
                }
            }
            if (clean || v.dtype != TwinValues.BOOL) continue;
            for (uint256 k; k < v.data.length; ++k) {
                if (v.data[k] > 1) revert IInference.OutOfRange(0, i, k);
            }
        }
    }

    function _checkLength(uint256 index, uint256[] memory shape, Tensor memory t) private pure {
        uint256 length = TwinValues.size(t.dtype);
        // Eight dimensions of 32 bits may exceed a word: the product saturates, as the precompile's does.
        for (uint256 i; i < shape.length; ++i) {
            unchecked {
                uint256 n = length * shape[i];
                length = shape[i] != 0 && n / shape[i] != length ? type(uint256).max : n;
            }
        }
        if (length != t.data.length) revert IInference.WrongLength(0, index, length, t.data.length);
    }

    /// @notice Reads rows of values with 18 decimals: of each row each input's part, in the model's order.
    function readRows(Program memory p, int256[] memory x) internal pure {
        uint256[] memory widths = new uint256[](p.inputCount);
        for (uint256 i; i < widths.length; ++i) {
            Value memory v = p.values[i];
            uint256 n = TwinValues.count(v.shape);
            (widths[i], v.data) = (n / p.rows, new uint256[](n));
        }
        uint256 next;
        for (uint256 row; row < p.rows; ++row) {
            for (uint256 i; i < widths.length; ++i) {
                Value memory v = p.values[i];
                for (uint256 k; k < widths[i]; ++k) {
                    (uint256 word, bool ok) = TwinWad.toWord(x[next], v.dtype);
                    if (!ok) revert IInference.OutOfRange(0, 0, next);
                    v.data[row * widths[i] + k] = word;
                    ++next;
                }
            }
        }
    }

    /// @notice A value as a tensor.
    function tensor(Value memory v) internal pure returns (Tensor memory t) {
        // forge-lint: disable-next-line(unsafe-typecast)
        t.dtype = uint8(v.dtype);
        t.shape = new uint32[](v.shape.length);
        for (uint256 i; i < t.shape.length; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            t.shape[i] = uint32(v.shape[i]);
        }
        t.data = TwinValues.pack(v);
    }
}
