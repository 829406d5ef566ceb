//! Lowerings: how each ONNX operator is written in the engine's operators. The listed set of rewrites is
//! [`table`] for `ai.onnx` and [`ml`] for `ai.onnx.ml`; [`refused`] lists the rest. docs/operators.md is made of them.

mod activation;
mod arithmetic;
mod attention;
mod call;
mod cast;
mod col2im;
mod compare;
mod constant;
mod contraction;
mod conv_transpose;
mod distance;
mod dynamic;
mod einsum;
mod index;
mod layout;
mod loss;
mod lp_pool;
mod mapped_scan;
mod ml;
mod norm;
mod pick;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod refused;
mod resize;
mod sampling;
mod shape;
mod signal;
mod slice;
mod softmax;
mod table;
mod unpool;
mod window;

pub(crate) use call::{Call, Outputs, known, one, product};
use refused::Refused;
use table::Row;

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

/// The domains that the tables speak of.
pub(crate) const DOMAINS: [&str; 5] =
    ["", "ai.onnx.ml", "com.microsoft", "ai.onnx.preview", "ai.onnx.preview.training"];

/// The operators of a domain that run.
pub(crate) fn rows(domain: &str) -> &'static [Row] {
    match domain {
        "" => table::ONNX,
        "ai.onnx.ml" => ml::TABLE,
        "com.microsoft" => table::MICROSOFT,
        _ => &[],
    }
}

/// The operators of a domain that are refused.
pub(crate) fn refusals(domain: &str) -> &'static [Refused] {
    match domain {
        "" => refused::ONNX,
        "ai.onnx.ml" => refused::ML,
        "ai.onnx.preview" => refused::PREVIEW,
        "ai.onnx.preview.training" => refused::PREVIEW_TRAINING,
        _ => &[],
    }
}

/// The row of an operator that runs.
pub(crate) fn row(domain: &str, op: &str) -> Option<&'static Row> {
    rows(domain).iter().find(|r| r.names.split_ascii_whitespace().any(|n| n == op))
}

/// Why an operator is refused.
pub(crate) fn refused(domain: &str, op: &str) -> Option<&'static Refused> {
    refusals(domain).iter().find(|r| r.names.split_ascii_whitespace().any(|n| n == op))
}

/// The lowering of an operator.
pub(crate) fn find(domain: &str, op: &str) -> Option<Lowering> {
    row(domain, op)?.lowering
}
