// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title Module: names of operators, as errors show them
/// @notice The kind where a family has kinds, as in the engine.
library TwinNames {
    uint256 internal constant UNARY = 1;
    uint256 internal constant BINARY = 2;
    uint256 internal constant COMPARE = 3;
    uint256 internal constant SELECT = 4;
    uint256 internal constant CAST = 5;
    uint256 internal constant MATMUL = 6;
    uint256 internal constant GEMM = 7;
    uint256 internal constant CONV = 8;
    uint256 internal constant POOL = 9;
    uint256 internal constant REDUCE = 10;
    uint256 internal constant ARG_REDUCE = 11;
    uint256 internal constant SOFTMAX = 12;
    uint256 internal constant RESHAPE = 13;
    uint256 internal constant TRANSPOSE = 14;
    uint256 internal constant CONCAT = 15;
    uint256 internal constant SLICE = 16;
    uint256 internal constant GATHER = 17;
    uint256 internal constant EXPAND = 18;
    uint256 internal constant PAD = 19;
    uint256 internal constant TREE_ENSEMBLE = 20;
    uint256 internal constant REQUIRE = 21;
    uint256 internal constant GATHER_ELEMENTS = 22;
    uint256 internal constant GATHER_ND = 23;
    uint256 internal constant SCATTER_ELEMENTS = 24;
    uint256 internal constant SCATTER_ND = 25;
    uint256 internal constant TOP_K = 26;
    uint256 internal constant CUMULATE = 27;
    uint256 internal constant INTEGER_MATMUL = 28;
    uint256 internal constant INTEGER_CONV = 29;
    uint256 internal constant QUANTIZED_MATMUL = 30;
    uint256 internal constant QUANTIZED_CONV = 31;
    uint256 internal constant BIT_CAST = 37;
    uint256 internal constant PAIRWISE_COUPLING = 55;

    /// @notice The name of an operator; empty where there is none. `kind`: of a family with kinds; ArgReduce and Softmax
    /// have their flag (greatest, log) as kind.
    function nameOf(uint256 opcode, uint256 kind) public pure returns (string memory) {
        if (opcode == UNARY) {
            if (kind < 32) {
                return _pick(
                    ",Neg,Abs,Sign,Reciprocal,Sqrt,Floor,Ceil,Round,Relu,Sigmoid,Softplus,Not,IsNaN,IsInf,BitwiseNot,",
                    kind
                );
            }
            return
                _pick("Exp,Expm1,Log,Log1p,Tanh,Erf,Sin,Cos,Tan,Asin,Acos,Atan,Sinh,Cosh,Asinh,Acosh,Atanh,", kind - 32);
        }
        if (opcode == BINARY) {
            return _pick(
                ",Add,Sub,Mul,Div,FMod,Mod,Min,Max,Pow,And,Or,Xor,BitwiseAnd,BitwiseOr,BitwiseXor,ShiftLeft,ShiftRight,",
                kind
            );
        }
        if (opcode == COMPARE) return _pick(",Equal,Less,LessOrEqual,Greater,GreaterOrEqual,", kind);
        if (opcode == REDUCE) {
            return _pick(
                ",ReduceSum,ReduceMean,ReduceMax,ReduceMin,ReduceProd,ReduceL1,ReduceL2,ReduceSumSquare,ReduceLogSum,ReduceLogSumExp,",
                kind
            );
        }
        if (opcode == POOL) return _pick(",MaxPool,AveragePool,", kind);
        if (opcode == ARG_REDUCE) return _pick("ArgMin,ArgMax,", kind);
        if (opcode == SOFTMAX) return _pick("Softmax,LogSoftmax,", kind);
        if (opcode == BIT_CAST) return "BitCast";
        if (opcode == PAIRWISE_COUPLING) return "PairwiseCoupling";
        if (opcode >= REQUIRE) {
            return _pick(
                "Require,GatherElements,GatherND,ScatterElements,ScatterND,TopK,Cumulate,IntegerMatMul,IntegerConv,QuantizedMatMul,QuantizedConv,",
                opcode - REQUIRE
            );
        }
        return _pick(
            ",,,,Select,Cast,MatMul,Gemm,Conv,Pool,,,,Reshape,Transpose,Concat,Slice,Gather,Expand,Pad,TreeEnsemble,",
            opcode
        );
    }

    /// @dev The index-th of names that each end with a comma.
    function _pick(string memory names, uint256 index) private pure returns (string memory) {
        bytes memory all = bytes(names);
        uint256 start;
        for (uint256 i; i < all.length; ++i) {
            if (all[i] != ",") continue;
            if (index == 0) {
                bytes memory name = new bytes(i - start);
                for (uint256 k; k < name.length; ++k) {
                    name[k] = all[start + k];
                }
                return string(name);
            }
            --index;
            start = i + 1;
        }
        return "";
    }
}
