//! The table of operators of `ai.onnx`: which lowering writes each, how, and with what limits.
//!
//! It is the only such list: the importer finds lowerings by it, refuses by it, and docs/operators.md is made
//! from it. **To add an operator**: add a [`row`] here (or to `lower/ml/mod.rs`), take its name out of
//! `lower/refused.rs`, then `cargo run -p lockstep-importer --example operators -- --write`.
//! A test fails while an operator of ONNX stands in both lists or in none, or the document is stale.
//!
//! Everywhere: an operator whose operands are all constant is evaluated by the engine's reference (results up
//! to 64 KiB, or up to the size of the operands; bounded work); casts, reshapes, transposes, slices and
//! expansions that change nothing are left out; nodes that no output needs are left out; equal constants are
//! one; functions of the file are inlined. An integer tensor that follows from shapes alone is kept as
//! polynomials of the symbolic dimensions; where data are computed from it, a dimension is the sum of that
//! many ones.

use super::{
    Lowering, activation, arithmetic, attention, cast, col2im, compare, constant, contraction, conv_transpose,
    distance, einsum, index, layout, loss, lp_pool, mapped_scan, norm, pick, pool, quantize, recurrent, reduce, resize,
    sampling, shape, signal, slice, softmax, unpool,
};

/// Operators that one lowering writes.
#[derive(Debug)]
pub(crate) struct Row {
    /// Their names, separated by spaces.
    pub(crate) names: &'static str,
    /// What appends them; none where the walk over the nodes does (control flow).
    pub(crate) lowering: Option<Lowering>,
    /// How they are written in the engine's operators.
    pub(crate) written: &'static str,
    /// What of them is refused; empty where nothing is (of the supported types).
    pub(crate) limits: &'static str,
}

/// A row of operators that a lowering writes.
pub(crate) const fn row(names: &'static str, lowering: Lowering, written: &'static str, limits: &'static str) -> Row {
    Row { names, lowering: Some(lowering), written, limits }
}

/// A row of operators that hold graphs: the walk over the nodes handles them.
const fn graphs(names: &'static str, written: &'static str, limits: &'static str) -> Row {
    Row { names, lowering: None, written, limits }
}

/// `ai.onnx`.
#[rustfmt::skip] // A row is a line of a table.
pub(super) const ONNX: &[Row] = &[
    row("Add Sub Mul Div And Or Xor BitwiseAnd BitwiseOr BitwiseXor", arithmetic::binary, "Binary; operator sets below 7: B reshaped by `axis`", ""),
    row("Mod", arithmetic::modulus, "Binary; floats with fmod = 0: the remainder moved by the divisor where the signs differ, a zero with the divisor's sign", ""),
    row("Pow", arithmetic::pow, "Binary; the exponent is cast to the base's type; x^2 is x * x", "an integer base takes integer exponents that fit its type, or float exponents where base and result stay below 2^24, else the call fails"),
    row("BitShift", arithmetic::shift, "Binary", ""),
    row("Min Max Sum Mean", arithmetic::variadic, "Binary, from the left; Mean: the sum divided by f32(n)", ""),
    row("Abs Neg Sign Reciprocal Sqrt Floor Ceil Round Relu Sigmoid Tanh Erf Exp Log Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Softplus Not BitwiseNot IsNaN", arithmetic::unary, "Unary", ""),
    row("IsInf", compare::is_inf, "x == +inf, x == -inf", ""),
    row("Equal Less LessOrEqual Greater GreaterOrEqual", compare::compare, "Compare; a column of strings: its codes with the constant's", "strings: Equal with one constant"),
    row("Where", compare::select, "Select", "strings: one constant in place of a column's missing values"),
    row("LeakyRelu", activation::leaky_relu, "x < 0 ? alpha * x : x", ""),
    row("PRelu", activation::prelu, "x < 0 ? slope * x : x", ""),
    row("Elu", activation::elu, "x < 0 ? alpha * expm1(x) : x", ""),
    row("Selu", activation::selu, "gamma * (x < 0 ? alpha * expm1(x) : x)", ""),
    row("Celu", activation::celu, "x < 0 ? alpha * expm1(x / alpha) : x", ""),
    row("ThresholdedRelu", activation::thresholded_relu, "x > alpha ? x : 0", ""),
    row("Shrink", activation::shrink, "x < -lambd ? x + bias : (x > lambd ? x - bias : 0)", ""),
    row("HardSigmoid", activation::hard_sigmoid, "max(0, min(1, (alpha * x) + beta))", ""),
    row("HardSwish", activation::hard_swish, "x * max(0, min(1, (x / 6) + 1/2))", ""),
    row("Softsign", activation::softsign, "x / (1 + abs x)", ""),
    row("Mish", activation::mish, "x * tanh(softplus x)", ""),
    row("Swish", activation::swish, "x * sigmoid(alpha * x)", ""),
    row("SwiGLU", activation::swiglu, "Swish of the gate, times the value", ""),
    row("Gelu", activation::gelu, "(0.5 * x) * (1 + erf(x * sqrt 1/2)); tanh form: (0.5 * x) * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * ((x * x) * x))))", ""),
    row("Clip", activation::clip, "min(max(x, lo), hi)", ""),
    row("Identity", cast::identity, "nothing", ""),
    row("Dropout", cast::dropout, "nothing; the mask is ones", "training mode is refused"),
    row("Cast", cast::cast, "Cast; float16 and float64 constants to f32 by one rounding; float32 to float64 and back is nothing", "to other types than f32, i64, i32, i8, u8, bool"),
    row("CastLike", cast::cast_like, "Cast", "as Cast"),
    row("MatMul", contraction::matmul, "MatMul", "integers are refused"),
    row("Gemm", contraction::gemm, "Gemm; an absent C stays absent", "integers are refused"),
    row("Einsum", einsum::einsum, "operands joined from the left: shared indices that are needed later are a batch, the others one MatMul's inner index, row-major in the first operand's order; indices of one operand only: ReduceSum; repeated in a term: the diagonal", "integers are refused; diagonals of known size"),
    row("Conv", contraction::conv, "Conv; `auto_pad` becomes pads", "the kernel's size is known; auto_pad with strides over a symbolic dimension is refused"),
    row("ConvTranspose", conv_transpose::conv_transpose, "strides s: one Conv whose filters are the s kernels of every s-th tap, interleaved by Reshape and Transpose, cut by Slice; then + bias", "the weights' size is known; output_shape with a symbolic dimension is refused"),
    row("RNN GRU LSTM", recurrent::recurrent, "step by step; gates ((XW + HR) + Wb) + Rb (+ P * C), XW one MatMul for all steps; sequence lengths: Where", "1 to 128 steps, a known number"),
    row("Attention", attention::attention, "softmax(cap(A B^T) + mask) V with A = Q * sqrt(scale), B = K * sqrt(scale), cap(s) = softcap * tanh(s / softcap); a key that must not be seen (by a bool mask, causality, window, padding) has the score -inf; query heads that share a key head are rows of one MatMul", "softmax_precision float32 or float64 (computed in float32); heads and their sizes are known"),
    row("RotaryEmbedding", attention::rotary_embedding, "a, b the halves (or even and odd elements): (cos * a) - (sin * b), (sin * a) + (cos * b)", "the size of the heads is known"),
    row("LinearAttention", attention::linear_attention, "step by step with the state S: S = S * exp(decay); v = beta * (v - S^T k); S = S + (k v^T); the result is scale * (S^T q)", "1 to 64 steps, a known number"),
    row("CausalConvWithState", attention::causal_conv_with_state, "Conv of the past state (or zeros) and the operand; then x * sigmoid(x)", "weights of known size"),
    row("QuantizeLinear", quantize::quantize_linear, "f32(x / scale), RNE, + zero point, saturated: Div, Round, Add, Max, Min, Cast; per tensor, per axis, in blocks", "to int8 and uint8"),
    row("DequantizeLinear", quantize::dequantize_linear, "f32(x - zero point) * scale; a constant is computed at import", "from int8, uint8 and int32"),
    row("DynamicQuantizeLinear", quantize::dynamic_quantize_linear, "ONNX's function body", ""),
    row("MatMulInteger", quantize::matmul_integer, "IntegerMatMul", "a contraction of a known length up to 33025; zero points a scalar or a vector"),
    row("ConvInteger", quantize::conv_integer, "IntegerConv", "as MatMulInteger and Conv"),
    row("QLinearMatMul", quantize::qlinear_matmul, "IntegerMatMul, * ((sa * sb) / sy), RNE, + zero point, saturated", "as MatMulInteger"),
    row("QLinearConv", quantize::qlinear_conv, "IntegerConv, + bias, * ((sx * sw) / sy), RNE, + zero point, saturated", "as ConvInteger; a constant bias with which no sum can leave int32"),
    row("MaxPool AveragePool", pool::pool, "MaxPool, AveragePool; `auto_pad` becomes pads; indices: Gather of the taps, ArgMax, Gather from a table of positions", "as Conv; pads smaller than the window; indices of the maxima: of known spatial dimensions, row-major"),
    row("GlobalAveragePool GlobalMaxPool", pool::global, "Reduce over the spatial axes", ""),
    row("LpPool", lp_pool::lp_pool, "(Conv of abs(x)^p with ones)^(1/p)", "ceil_mode is refused"),
    row("GlobalLpPool", lp_pool::global_lp_pool, "(sum of abs(x)^p over the spatial axes)^(1/p)", ""),
    row("BatchNormalization", norm::batch, "(((x - mean) / sqrt(var + eps)) * scale) + bias; training mode: the batch's mean and variance, running = running * momentum + batch * (1 - momentum)", "training mode from operator set 14 on"),
    row("InstanceNormalization", norm::instance, "d = x - mean; ((d / sqrt(mean(d * d) + eps)) * scale) + bias", ""),
    row("GroupNormalization", norm::group, "d = x - mean; ((d / sqrt(mean(d * d) + eps)) * scale) + bias", "the number of channels is known"),
    row("LayerNormalization", norm::layer, "d = x - mean; ((d / sqrt(mean(d * d) + eps)) * scale) + bias", "stash_type 1"),
    row("RMSNormalization", norm::rms, "(x / sqrt(mean(x * x) + eps)) * scale", "stash_type 1"),
    row("MeanVarianceNormalization", norm::mean_variance, "d / (sqrt(mean(d * d)) + 1e-9)", ""),
    row("LpNormalization", norm::lp, "n = 0 ? 0 : x / n, n the L1 or L2 norm", ""),
    row("LRN", norm::lrn, "x / (bias + (alpha / size) * s)^beta, s the sum of squares over the channels, from the left", "size up to 64"),
    row("Softmax LogSoftmax", softmax::softmax, "Softmax along one axis; operator sets below 13: over the flattened trailing axes", ""),
    row("Hardmax", softmax::hardmax, "whether the position of the greatest equals the index", "along a known dimension of up to 65536"),
    row("ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp", reduce::reduce, "Reduce; axes from data: over each set of axes that gives the declared shape, chosen by Where, Require that it is one of them", "axes from data: up to 8 such sets; ReduceMean of integers is refused"),
    row("ArgMax ArgMin", reduce::arg, "ArgReduce", ""),
    row("Reshape", shape::reshape, "Reshape with 0 and -1 resolved; what comes from data: the declared shape gives it, Require checks it", "a shape from data needs a declared one"),
    row("Flatten", shape::flatten, "Reshape", ""),
    row("Squeeze", shape::squeeze, "Reshape; what comes from data: the declared shape gives it, Require checks it", "axes from data need a declared shape; without axes: a known shape"),
    row("Unsqueeze", shape::unsqueeze, "Reshape; what comes from data: the declared shape gives it, Require checks it", "axes from data need a declared shape"),
    row("Transpose", shape::transpose, "Transpose", ""),
    row("Expand", shape::expand, "Expand; what comes from data: the declared shape gives it, Require checks it", "a shape from data needs a declared one"),
    row("Tile", shape::tile, "Reshape, Expand, Reshape; what comes from data: the declared shape gives it, Require checks it", "repeats from data need a declared shape; operator set 6 on"),
    row("Shape", shape::shape, "dimensions", ""),
    row("Size", shape::size, "dimensions", ""),
    row("Concat", layout::concat, "Concat", ""),
    row("Split", layout::split, "a Slice each; what comes from data: the declared shape gives it, Require checks it", "parts from data need declared shapes; equal parts of a known dimension"),
    row("Pad", layout::pad, "Pad; negative pads: a Slice; pads or axes from data: Gather at computed positions, Require that the widths are the declared ones", "pads from data need a declared shape"),
    row("DepthToSpace", layout::depth_to_space, "Reshape, Transpose, Reshape", ""),
    row("SpaceToDepth", layout::space_to_depth, "Reshape, Transpose, Reshape", "the image's size is known to be a multiple of the block's"),
    row("Resize Upsample", resize::resize, "along each axis in turn: nearest: Gather; linear, cubic: MatMul with a constant matrix of weights (most of them 0), computed exactly and rounded once; a symbolic axis: Reshape, Expand, Reshape. Sizes by scales: floor of the f32 product. Scales, sizes, regions from data: the declared size, required; places and weights computed in f32", "a symbolic axis: nearest, repeated a whole number of times; a region of interest with scales is refused"),
    row("GridSample", sampling::grid_sample, "places ((g + 1) / 2) * (size - 1), or ((g + 1) * size - 1) / 2; each axis' neighbours and their weights in f32; elements by Gather, weighted sums with the last axis innermost", "images of 1 to 3 axes of known size"),
    row("AffineGrid", sampling::affine_grid, "MatMul of the constant places, each rounded once, with theta transposed", "an image of known size; a size from data is the declared one, required"),
    row("RoiAlign", sampling::roi_align, "places and bilinear weights in f32; elements by Gather; the mean (S2) or the greatest of a bin's samples", "sampling_ratio of 1 or more; an image of known size"),
    row("Col2Im", col2im::col2im, "as ConvTranspose, with kernels of a single 1", "known sizes; an image and a block from data: as declared, required"),
    row("Slice", slice::slice, "Slice; the last k elements of a symbolic axis: Gather; starts, ends, axes or steps from data: Gather at computed positions, Require that the lengths are the declared ones", "what comes from data needs a declared shape"),
    row("Gather", index::gather, "Gather", ""),
    row("OneHot", index::one_hot, "negative indices + depth; Equal with 0..depth; Where; what comes from data: the declared shape gives it, Require checks it", "a depth of up to 65536, constant or declared"),
    row("Trilu", index::trilu, "Where(column - row within k, x, 0)", "the two last dimensions are known"),
    row("Constant", constant::constant, "a constant", "sparse constants are refused"),
    row("ConstantOfShape", constant::of_shape, "a constant; over symbols: Expand; what comes from data: the declared shape gives it, Require checks it", "a shape from data needs a declared one"),
    row("Range", constant::range, "a constant; bounds from data: start + i * step, Require that there are as many as declared", "bounds from data need a declared length"),
    row("EyeLike", constant::eye_like, "a constant", "a matrix of known size"),
    row("DFT", signal::dft, "MatMul with a constant matrix of cosines and sines, each rounded once; inverse: divided by the length before rounding", "a known length of up to 16384"),
    row("STFT", signal::stft, "Gather of the frames, times the window, MatMul as DFT", "a signal of known length; frame_step and frame_length from data: as declared, required"),
    row("HannWindow HammingWindow BlackmanWindow", signal::window, "a constant, rounded once", "a constant size, or the declared one, required"),
    row("Scan", mapped_scan::scan, "where the state passes unchanged and all is element by element or a reduction: all steps at once, along a leading axis; else a copy of the body for each step", "copies: 1 to 4096 steps along known dimensions; no lengths of sequences (operator set 8)"),
    row("GatherElements", pick::gather_elements, "GatherElements", ""),
    row("GatherND", pick::gather_nd, "GatherND", "index vectors of known length"),
    row("ScatterElements Scatter", pick::scatter_elements, "ScatterElements, updates in row-major order", ""),
    row("ScatterND", pick::scatter_nd, "ScatterND, updates in order", "index vectors of known length"),
    row("TensorScatter", pick::tensor_scatter, "ScatterElements at start + i; circular: Mod the length", "a start below 0 fails the call"),
    row("TopK", pick::top_k, "TopK, GatherElements; NaN greatest, of equals the lowest index first", "k from data needs a declared shape"),
    row("CumSum CumProd", pick::cumulate, "Cumulate, one after the other; an axis from data: along each, chosen by Where", ""),
    row("ReverseSequence", pick::reverse_sequence, "GatherElements at length - 1 - i", "a length outside 0 to the axis' fails the call"),
    row("BitCast", pick::bit_cast, "BitCast; a NaN has one bit pattern", "between types of the engine of one size; not to bool"),
    row("Compress", pick::compress, "TopK of the condition, Gather", "a condition from data: the declared shape says how many hold, another number fails the call"),
    row("NonZero", pick::non_zero, "TopK of x != 0, divided into positions", "of data: the declared shape says how many there are, another number fails the call"),
    row("NegativeLogLikelihoodLoss", loss::negative_log_likelihood, "-GatherElements(x, target) * weight, 0 where ignored; mean: sum / sum of weights", ""),
    row("SoftmaxCrossEntropyLoss", loss::softmax_cross_entropy, "LogSoftmax along axis 1; as NegativeLogLikelihoodLoss", ""),
    row("CenterCropPad", layout::center_crop_pad, "Slice, Pad", "known dimensions; a shape from data needs a declared one"),
    row("MaxUnpool", unpool::max_unpool, "ScatterElements into zeros, Reshape, Pad", "a shape from data needs a declared one"),
    graphs("If", "the branch that a constant condition takes; else both, chosen by Where", "a condition from data: branches of equal shapes"),
    graphs("Loop", "a copy of the body for each iteration: as many as a constant says, or the declared length of a scan output, or --loop-bound; Require that the loop ends there", "up to 4096 iterations; with --loop-bound: no scan outputs, states of constant shape"),
];

/// `com.microsoft`: what converters write, and what its documentation defines exactly.
#[rustfmt::skip]
pub(super) const MICROSOFT: &[Row] = &[
    row("QGemm", quantize::qgemm, "IntegerMatMul, + C, then as QLinearMatMul with m = ((alpha * sa) * sb) / sy; without y_scale f32(acc) * ((alpha * sa) * sb)", "as QLinearMatMul; a constant C with which no sum can leave int32"),
    row("QLinearAdd QLinearMul", quantize::qlinear_binary, "DequantizeLinear of both, Add or Mul, QuantizeLinear", ""),
    row("QLinearGlobalAveragePool", quantize::qlinear_average, "DequantizeLinear, Reduce over the spatial axes, QuantizeLinear", "channels first"),
    row("CDist", distance::cdist, "ReduceSumSquare of the differences of all pairs of rows; euclidean: its square root", ""),
];
