//! Lowerings: how each ONNX operator is written in the engine's operators. This is the listed set of rewrites.
//!
//! Everywhere: an operator whose operands are all constant is evaluated by the engine's reference (results up
//! to 64 KiB, or up to the size of the operands; bounded work); casts, reshapes, transposes, slices and expansions
//! that change nothing are left out;
//! nodes that no output needs are left out; equal constants are one; functions of the file are inlined, and an
//! `If` whose condition is constant is its branch. An integer tensor that follows from shapes alone is kept as
//! polynomials of the symbolic dimensions; where data are computed from it, a dimension is the sum of that many ones.
//!
//! # ai.onnx
//! | operator | written as |
//! |---|---|
//! | Add Sub Mul Div Mod Pow And Or Xor Bitwise* BitShift | Binary; operator sets below 7: B reshaped by `axis`. Pow: the exponent is cast to the base's type (an integer base takes integer exponents only), x^2 is x * x |
//! | Min Max Sum | Binary, from the left; Mean: the sum divided by f32(n) |
//! | Equal Less LessOrEqual Greater GreaterOrEqual | Compare |
//! | Abs Neg Sign Reciprocal Sqrt Floor Ceil Round Relu Sigmoid Tanh Erf Exp Log, trigonometric and hyperbolic, Softplus, Not, BitwiseNot, IsNaN | Unary |
//! | IsInf of one sign | x == +inf, x == -inf |
//! | LeakyRelu, PRelu | x < 0 ? alpha * x : x |
//! | Elu, Celu, Selu | x < 0 ? alpha * expm1(x) : x; alpha * expm1(x / alpha); gamma * (x < 0 ? alpha * expm1(x) : x) |
//! | ThresholdedRelu, Shrink | x > alpha ? x : 0; x < -lambd ? x + bias : (x > lambd ? x - bias : 0) |
//! | HardSigmoid, HardSwish | max(0, min(1, (alpha * x) + beta)); x * that with 1/6 and 1/2 |
//! | Softsign, Mish, Swish | x / (1 + abs x); x * tanh(softplus x); x * sigmoid(alpha * x) |
//! | Gelu | (0.5 * x) * (1 + erf(x * sqrt 1/2)); tanh form: (0.5 * x) * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * ((x * x) * x)))) |
//! | Clip | min(max(x, lo), hi) |
//! | Cast, CastLike | Cast; float16 and float64 constants to f32 by one rounding; float32 to float64 and back is nothing |
//! | Where | Select |
//! | MatMul, Gemm, Conv, MaxPool, AveragePool | themselves; `auto_pad` becomes pads; Gemm's absent C stays absent |
//! | GlobalAveragePool, GlobalMaxPool | Reduce over the spatial axes |
//! | BatchNormalization | (((x - mean) / sqrt(var + eps)) * scale) + bias |
//! | InstanceNormalization, GroupNormalization, LayerNormalization | d = x - mean; ((d / sqrt(mean(d * d) + eps)) * scale) + bias |
//! | RMSNormalization | (x / sqrt(mean(x * x) + eps)) * scale |
//! | MeanVarianceNormalization | d / (sqrt(mean(d * d)) + 1e-9) |
//! | LpNormalization | n = 0 ? 0 : x / n, n the L1 or L2 norm |
//! | LRN | x / (bias + (alpha / size) * s)^beta, s the sum of squares over the channels, from the left |
//! | Softmax, LogSoftmax, Hardmax | Softmax along one axis; operator sets below 13: over the flattened trailing axes. Hardmax: position of the greatest equals the index |
//! | Reduce*, ArgMax, ArgMin | Reduce, ArgReduce; ReduceMean of integers is refused |
//! | Reshape Flatten Squeeze Unsqueeze | Reshape with 0 and -1 resolved |
//! | Transpose Concat Split Slice Gather Expand Pad | themselves; Split: a Slice each; negative pads: a Slice; the last k elements of a symbolic axis: Gather |
//! | Tile | Reshape, Expand, Reshape |
//! | DepthToSpace, SpaceToDepth | Reshape, Transpose, Reshape |
//! | Shape, Size | dimensions |
//! | Constant, ConstantOfShape, Range, EyeLike | constants; ConstantOfShape over symbols: Expand |
//! | OneHot | negative indices + depth; Equal with 0..depth; Where |
//! | Trilu | Where(column - row within k, x, 0) |
//! | Resize, Upsample (nearest, whole factors, asymmetric floor) | Reshape, Expand, Reshape |
//! | Identity, Dropout | nothing |
//!
//! # ai.onnx.ml
//! | operator | written as |
//! |---|---|
//! | Scaler | (x - offset) * scale |
//! | Normalizer | n = 0 ? x : x / n with n = max(x), sum of abs x, sqrt of the sum of squares |
//! | Imputer | Where(x is NaN or equals the value, imputed, x) |
//! | Binarizer | x > threshold as 1 or 0 |
//! | OneHotEncoder | Equal with the categories, cast; `zeros` = 0: Gather from the unit matrix, so that an unknown category fails the call |
//! | LabelEncoder | position of the key by Equal and a sum, then Gather from values and default |
//! | ArrayFeatureExtractor, FeatureVectorizer | Gather; Concat |
//! | LinearRegressor, LinearClassifier | Gemm with transposed coefficients, post-transform, arg-max (one score: score > 0) |
//! | TreeEnsembleRegressor, TreeEnsembleClassifier, TreeEnsemble | TreeEnsemble with leaf values as integers, post-transform, arg-max |
//! | ZipMap | nothing: the output is the probability matrix, columns in class order |

mod activation;
mod arithmetic;
mod call;
mod cast;
mod compare;
mod constant;
mod contraction;
mod index;
mod layout;
mod ml;
mod norm;
mod pool;
mod reduce;
mod shape;
mod slice;
mod softmax;
mod window;

pub(crate) use call::{Call, Outputs, known, one, product};

/// Appends one node.
pub(crate) type Lowering = fn(&mut Call<'_>) -> Outputs;

/// The newest operator set that these lowerings were read against.
pub(crate) fn latest(domain: &str) -> i64 {
    match domain {
        "" => 28,
        "ai.onnx.ml" => 5,
        _ => 1,
    }
}

/// The lowering of an operator.
pub(crate) fn find(domain: &str, op: &str) -> Option<Lowering> {
    match domain {
        "" => onnx(op),
        "ai.onnx.ml" => ml::find(op),
        _ => None,
    }
}

fn onnx(op: &str) -> Option<Lowering> {
    Some(match op {
        "Add" | "Sub" | "Mul" | "Div" | "And" | "Or" | "Xor" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" => {
            arithmetic::binary
        }
        "Mod" => arithmetic::modulus,
        "Pow" => arithmetic::pow,
        "BitShift" => arithmetic::shift,
        "Min" | "Max" | "Sum" | "Mean" => arithmetic::variadic,
        "Abs" | "Neg" | "Sign" | "Reciprocal" | "Sqrt" | "Floor" | "Ceil" | "Round" | "Relu" | "Sigmoid" | "Tanh"
        | "Erf" | "Exp" | "Log" | "Sin" | "Cos" | "Tan" | "Asin" | "Acos" | "Atan" | "Sinh" | "Cosh" | "Asinh"
        | "Acosh" | "Atanh" | "Softplus" | "Not" | "BitwiseNot" | "IsNaN" => arithmetic::unary,
        "IsInf" => compare::is_inf,
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => compare::compare,
        "Where" => compare::select,
        "LeakyRelu" => activation::leaky_relu,
        "PRelu" => activation::prelu,
        "Elu" => activation::elu,
        "Selu" => activation::selu,
        "Celu" => activation::celu,
        "ThresholdedRelu" => activation::thresholded_relu,
        "Shrink" => activation::shrink,
        "HardSigmoid" => activation::hard_sigmoid,
        "HardSwish" => activation::hard_swish,
        "Softsign" => activation::softsign,
        "Mish" => activation::mish,
        "Swish" => activation::swish,
        "Gelu" => activation::gelu,
        "Clip" => activation::clip,
        "Identity" => cast::identity,
        "Dropout" => cast::dropout,
        "Cast" => cast::cast,
        "CastLike" => cast::cast_like,
        "MatMul" => contraction::matmul,
        "Gemm" => contraction::gemm,
        "Conv" => contraction::conv,
        "MaxPool" | "AveragePool" => pool::pool,
        "GlobalAveragePool" | "GlobalMaxPool" => pool::global,
        "BatchNormalization" => norm::batch,
        "InstanceNormalization" => norm::instance,
        "GroupNormalization" => norm::group,
        "LayerNormalization" => norm::layer,
        "RMSNormalization" => norm::rms,
        "MeanVarianceNormalization" => norm::mean_variance,
        "LpNormalization" => norm::lp,
        "LRN" => norm::lrn,
        "Softmax" | "LogSoftmax" => softmax::softmax,
        "Hardmax" => softmax::hardmax,
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => reduce::reduce,
        "ArgMax" | "ArgMin" => reduce::arg,
        "Reshape" => shape::reshape,
        "Flatten" => shape::flatten,
        "Squeeze" => shape::squeeze,
        "Unsqueeze" => shape::unsqueeze,
        "Transpose" => shape::transpose,
        "Expand" => shape::expand,
        "Tile" => shape::tile,
        "Shape" => shape::shape,
        "Size" => shape::size,
        "Concat" => layout::concat,
        "Split" => layout::split,
        "Pad" => layout::pad,
        "DepthToSpace" => layout::depth_to_space,
        "SpaceToDepth" => layout::space_to_depth,
        "Resize" | "Upsample" => layout::resize,
        "Slice" => slice::slice,
        "Gather" => index::gather,
        "OneHot" => index::one_hot,
        "Trilu" => index::trilu,
        "Constant" => constant::constant,
        "ConstantOfShape" => constant::of_shape,
        "Range" => constant::range,
        "EyeLike" => constant::eye_like,
        _ => return None,
    })
}
