// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {SoftFloat32} from "./SoftFloat32.sol";
import {TwinElementwise} from "./TwinElementwise.sol";
import {TwinNames} from "./TwinNames.sol";
import {Node} from "./TwinProgram.sol";
import {TwinReader} from "./TwinReader.sol";

/// @title Attributes of operators in the graph section
library TwinAttributes {
    using TwinReader for TwinReader.Reader;

    /// @notice Reads the attributes of `node.opcode`; gives the least and greatest number of operands.
    function read(TwinReader.Reader memory r, Node memory node) internal pure returns (uint256, uint256) {
        uint256 op = node.opcode;
        if (op == TwinNames.UNARY) {
            node.kind = r.u8();
            if (!TwinElementwise.isUnary(node.kind)) TwinReader.fail("an unknown UnaryKind");
            if (!TwinElementwise.hasUnary(node.kind)) cannotRun(op, node.kind);
            return (1, 1);
        }
        if (op == TwinNames.BINARY) {
            node.kind = r.u8();
            if (!TwinElementwise.isBinary(node.kind)) TwinReader.fail("an unknown BinaryKind");
            return (2, 2);
        }
        if (op == TwinNames.COMPARE) {
            node.kind = r.u8();
            if (!TwinElementwise.isCompare(node.kind)) TwinReader.fail("an unknown CompareKind");
            return (2, 2);
        }
        if (op == TwinNames.SELECT) return (3, 3);
        if (op == TwinNames.MATMUL) return (2, 2);
        if (op == TwinNames.CAST) {
            node.kind = r.dtype();
            return (1, 1);
        }
        if (op == TwinNames.CONCAT || op == TwinNames.GATHER) {
            node.kind = r.u8();
            return op == TwinNames.CONCAT ? (1, 1024) : (2, 2);
        }
        if (op == TwinNames.SOFTMAX) {
            node.axes = new uint256[](1);
            node.axes[0] = r.u8();
            node.kind = r.flag();
            return (1, 1);
        }
        if (op == TwinNames.REDUCE) {
            node.kind = r.u8();
            if (node.kind == 0 || node.kind > 10) TwinReader.fail("an unknown ReduceKind");
            node.axes = r.bytesOf();
            node.attributes = new uint256[](1);
            node.attributes[0] = r.flag();
            return (1, 1);
        }
        if (op == TwinNames.ARG_REDUCE) {
            node.kind = r.flag();
            node.axes = new uint256[](1);
            node.axes[0] = r.u8();
            node.attributes = new uint256[](2);
            (node.attributes[0], node.attributes[1]) = (r.flag(), r.flag());
            return (1, 1);
        }
        if (op == TwinNames.GEMM) {
            uint256[] memory a = new uint256[](4);
            (a[0], a[1], a[2], a[3]) = (r.f32(), r.f32(), r.flag(), r.flag());
            if (a[0] & 0x7fffffff >= SoftFloat32.INF || a[1] & 0x7fffffff >= SoftFloat32.INF) {
                TwinReader.fail("alpha and beta are finite");
            }
            node.attributes = a;
            return (2, 3);
        }
        if (op == TwinNames.TREE_ENSEMBLE) {
            uint256[] memory a = new uint256[](5);
            (a[0], a[1], a[2], a[3], a[4]) = (r.u32(), r.u8(), r.u8(), r.u32(), r.u32());
            if (a[2] == 0 || a[2] > 4) TwinReader.fail("an unknown Aggregate");
            if (a[0] == 0 || a[1] > 62) TwinReader.fail("targets and a shift of at most 62 expected");
            node.attributes = a;
            return (10, 10);
        }
        return _windowsAndMovement(r, node);
    }

    /// @dev Lists: of Conv strides, dilations, pads before and after; of Pool the window's size before them; of Slice start,
    /// step (signed) and size; of Pad elements before and after.
    function _windowsAndMovement(TwinReader.Reader memory r, Node memory node) private pure returns (uint256, uint256) {
        uint256 op = node.opcode;
        if (op == TwinNames.CONV) {
            node.attributes = new uint256[](1);
            node.attributes[0] = r.u32();
            node.lists = _lists(r, 4);
            return (2, 3);
        }
        if (op == TwinNames.POOL) {
            node.kind = r.u8();
            if (node.kind == 0 || node.kind > 2) TwinReader.fail("an unknown PoolKind");
            node.lists = _lists(r, 5);
            node.attributes = new uint256[](2);
            (node.attributes[0], node.attributes[1]) = (r.flag(), r.flag());
            return (1, 1);
        }
        if (op == TwinNames.TRANSPOSE) {
            node.axes = r.bytesOf();
            return (1, 1);
        }
        if (op == TwinNames.RESHAPE || op == TwinNames.EXPAND) {
            node.attributes = r.dimensions();
            return (1, 1);
        }
        if (op == TwinNames.SLICE) {
            node.lists = new uint256[][](3);
            node.lists[0] = r.integers(8, false);
            node.lists[1] = r.integers(8, true);
            node.lists[2] = r.dimensions();
            return (1, 1);
        }
        if (op == TwinNames.PAD) {
            node.kind = r.u8();
            if (node.kind == 0 || node.kind > 4) TwinReader.fail("an unknown PadMode");
            node.lists = _lists(r, 2);
            return (1, 2);
        }
        if (op >= TwinNames.INTEGER_MATMUL && op <= TwinNames.QUANTIZED_CONV) return _integers(r, node);
        return _selection(r, node);
    }

    /// @dev Products of integers. `attributes`: groups (of the convolutions), length of a block; lists as of Conv.
    function _integers(TwinReader.Reader memory r, Node memory node) private pure returns (uint256, uint256) {
        uint256 op = node.opcode;
        bool quantized = op >= TwinNames.QUANTIZED_MATMUL;
        node.attributes = new uint256[](2);
        if (quantized) {
            node.kind = r.u8();
            if (node.kind > 1) TwinReader.fail("an unknown WeightClass");
            node.attributes[1] = r.u32();
        }
        if (op == TwinNames.INTEGER_CONV || op == TwinNames.QUANTIZED_CONV) {
            node.attributes[0] = r.u32();
            node.lists = _lists(r, 4);
        }
        return quantized ? (3, 5) : (2, 4);
    }

    /// @dev Operators with opcodes from 21 on that move, pick, order and check elements.
    function _selection(TwinReader.Reader memory r, Node memory node) private pure returns (uint256, uint256) {
        uint256 op = node.opcode;
        if (op == TwinNames.REQUIRE) {
            node.kind = r.u8();
            if (node.kind > 3) TwinReader.fail("an unknown Requirement");
            return (2, 2);
        }
        // The axis, or the number of shared axes.
        uint256[] memory a = new uint256[](3);
        node.attributes = a;
        if (op == TwinNames.GATHER_ELEMENTS || op == TwinNames.GATHER_ND) {
            a[0] = r.u8();
            return (2, 2);
        }
        if (op == TwinNames.SCATTER_ELEMENTS || op == TwinNames.SCATTER_ND) {
            if (op == TwinNames.SCATTER_ELEMENTS) a[0] = r.u8();
            node.kind = r.u8();
            if (node.kind > 4) TwinReader.fail("an unknown ScatterKind");
            return (3, 3);
        }
        if (op == TwinNames.TOP_K) {
            (a[0], a[1], node.kind) = (r.u8(), r.dimension(), r.flag());
            return (1, 1);
        }
        if (op == TwinNames.CUMULATE) {
            node.kind = r.u8();
            if (node.kind > 1) TwinReader.fail("an unknown CumulateKind");
            (a[0], a[1], a[2]) = (r.u8(), r.flag(), r.flag());
            return (1, 1);
        }
        if (op == TwinNames.BIT_CAST) {
            node.kind = r.dtype();
            return (1, 1);
        }
        cannotRun(op, 0);
    }

    /// @dev `n` lists of u32.
    function _lists(TwinReader.Reader memory r, uint256 n) private pure returns (uint256[][] memory lists) {
        lists = new uint256[][](n);
        for (uint256 i; i < n; ++i) {
            lists[i] = r.integers(4, false);
        }
    }

    /// @notice Reverts TwinCannotRun with the operator's name, or its number where this interpreter knows no name.
    function cannotRun(uint256 opcode, uint256 kind) internal pure {
        string memory name = TwinNames.nameOf(opcode, kind);
        revert IInference.TwinCannotRun(string.concat(
                "operator ", bytes(name).length == 0 ? string(_decimal(opcode)) : name
            ));
    }

    function _decimal(uint256 n) private pure returns (bytes memory text) {
        do {
            // A digit.
            // forge-lint: disable-next-line(unsafe-typecast)
            text = bytes.concat(bytes1(uint8(48 + n % 10)), text);
            n /= 10;
        } while (n > 0);
    }
}
