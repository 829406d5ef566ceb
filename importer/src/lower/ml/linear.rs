//! Linear models.

use lockstep_engine::ops::contraction::Gemm;
use lockstep_engine::{Data, Tensor};

use super::post::{Classes, Post, exceeds, greatest, rows, with_complement};
use crate::build::Val;
use crate::error::{Lowered, refuse};
use crate::lower::{Call, Outputs, one};
use crate::slot::Slot;

/// x times the coefficients (targets, features), transposed, plus the intercepts.
fn scores(c: &mut Call<'_>, targets: usize) -> Lowered<Val> {
    let x = rows(c)?;
    let coefficients = c.attrs.floats("coefficients")?.unwrap_or_default();
    let intercepts = c.attrs.floats("intercepts")?.unwrap_or_default();
    if targets == 0 || coefficients.is_empty() || !coefficients.len().is_multiple_of(targets) {
        return refuse!("{} coefficients for {targets} targets", coefficients.len());
    }
    if !intercepts.is_empty() && intercepts.len() != targets {
        return refuse!("{} intercepts for {targets} targets", intercepts.len());
    }
    let features = coefficients.len() / targets;
    let w = c.b.constant(Tensor { shape: vec![targets, features], data: Data::F32(coefficients.to_vec()) });
    let bias = (!intercepts.is_empty()).then(|| c.b.vector(intercepts.to_vec()));
    c.b.push_opt(Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: true }, &[Some(x), Some(w), bias])
}

pub(super) fn regressor(c: &mut Call<'_>) -> Outputs {
    let Ok(targets) = usize::try_from(c.attrs.int("targets", 1)?) else {
        return refuse!("a negative number of targets");
    };
    let post = Post::read(c)?;
    let s = scores(c, targets)?;
    one(if targets == 1 { post.apply_to_one(s)? } else { post.apply(c, s)? })
}

pub(super) fn classifier(c: &mut Call<'_>) -> Outputs {
    let classes = Classes::read(c, "classlabels_ints", "classlabels_strings")?;
    // Which kind of multi-class model it was changes nothing in what is computed.
    c.attrs.ignore(&["multi_class"]);
    let post = Post::read(c)?;
    let intercepts = c.attrs.floats("intercepts")?.unwrap_or_default().len();
    let targets = if intercepts == 0 { classes.len() } else { intercepts };
    let s = scores(c, targets)?;
    let (index, probabilities) = match (targets, classes.len()) {
        // One score for two classes: its sign decides.
        (1, 2) => {
            let p = match post {
                Post::Logistic => post.apply(c, s)?,
                other => other.apply_to_one(s)?,
            };
            (exceeds(c, s, 0.0)?, with_complement(c, p)?)
        }
        (n, m) if n == m && n >= 2 => (greatest(c, s)?, post.apply(c, s)?),
        (n, m) => return refuse!("{n} scores for {m} classes"),
    };
    let label = classes.label(c, index)?;
    Ok(vec![label, Slot::Tensor(probabilities)])
}
