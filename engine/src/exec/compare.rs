//! Finding where two implementations part.

use super::{Implementation, Options};
use crate::error::ComputeError;
use crate::model::LoadedModel;
use crate::tensor::{DType, Tensor};

/// The first operator whose results differ in a bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Position of the node.
    pub node: usize,
    /// Name of the operator.
    pub operator: &'static str,
    /// Position of the first differing element.
    pub element: usize,
    /// Its bytes from the fast path, little-endian.
    pub fast: Vec<u8>,
    /// Its bytes from the reference.
    pub reference: Vec<u8>,
    /// Type of the element.
    pub dtype: DType,
}

/// Runs both implementations on the same inputs and reports the first operator that differs;
/// `None` where all agree. Operators run one by one, and, where that shows nothing, as groups. Both failing in the same way is agreement.
pub fn first_difference(
    model: &LoadedModel,
    inputs: &[Tensor],
    limits: &crate::Limits,
    threads: usize,
) -> Result<Option<Difference>, ComputeError> {
    let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = model.plan(&types, limits)?;
    let mut expected: Vec<Tensor> = Vec::new();
    let reference = Options { implementation: Implementation::Reference, threads: 1 };
    let r = model.run_observed(&plan, inputs.to_vec(), &reference, &mut |_, t| expected.push(t.clone()));
    let difference = |n: usize, t: &Tensor| {
        differs(t, expected.get(n)?).map(|(element, fast, reference)| Difference {
            node: n,
            operator: model.graph.nodes[n].op.name(),
            element,
            fast,
            reference,
            dtype: t.dtype(),
        })
    };
    let mut found = None;
    let fast = Options { implementation: Implementation::Fast, threads };
    let mut f = model.run_observed(&plan, inputs.to_vec(), &fast, &mut |n, t| {
        found = found.take().or_else(|| difference(n, t));
    });
    // One by one they agree: perhaps not where they are computed together.
    if found.is_none() && f.is_ok() {
        f = model.run_together(&plan, inputs.to_vec(), threads, &mut |n, t| {
            found = found.take().or_else(|| difference(n, t));
        });
    }
    match (found, f, r) {
        (Some(d), _, _) => Ok(Some(d)),
        (None, Err(e @ ComputeError::Environment(_)), _) | (None, _, Err(e @ ComputeError::Environment(_))) => Err(e),
        (None, Err(a), Err(b)) if a == b => Ok(None),
        (None, Err(e), _) | (None, _, Err(e)) => Err(e),
        (None, Ok(_), Ok(_)) => Ok(None),
    }
}

fn differs(a: &Tensor, b: &Tensor) -> Option<(usize, Vec<u8>, Vec<u8>)> {
    let (x, y) = (a.to_le_bytes(), b.to_le_bytes());
    let size = a.dtype().size();
    if x.len() != y.len() {
        return Some((0, x, y));
    }
    x.chunks(size)
        .zip(y.chunks(size))
        .position(|(p, q)| p != q)
        .map(|i| (i, x[i * size..(i + 1) * size].to_vec(), y[i * size..(i + 1) * size].to_vec()))
}
