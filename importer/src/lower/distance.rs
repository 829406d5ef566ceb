//! Distances between the rows of two matrices: `com.microsoft.CDist`, and what kernels of SVMs need.

use lockstep_engine::Dim;
use lockstep_engine::ops::reduce::ReduceKind;
use lockstep_engine::ops::unary::UnaryKind;

use crate::build::{Builder, Val};
use crate::error::{Lowered, refuse};
use crate::lower::{Call, Outputs, one};

/// Squared Euclidean distances (n, m) of rows (n, f) to rows (m, f): the sum of squared differences. The shorter
/// |x|^2 + |y|^2 - 2xy would lose what near rows differ by.
pub(super) fn squared(b: &mut Builder, x: Val, y: Val) -> Lowered<Val> {
    let (sx, sy) = (b.shape(x), b.shape(y));
    let ([n, f], [m, g]) = (sx.as_slice(), sy.as_slice()) else {
        return refuse!("operands of rank {} and {}, matrices are expected", sx.len(), sy.len());
    };
    if f != g {
        return refuse!("rows of {} and of {} columns", text(f), text(g));
    }
    let x = b.reshape(x, &[n.clone(), Dim::Known(1), f.clone()])?;
    let y = b.reshape(y, &[Dim::Known(1), m.clone(), g.clone()])?;
    let d = b.sub2(x, y)?;
    b.reduce(ReduceKind::SumSquare, d, &[2], false)
}

fn text(d: &Dim) -> String {
    d.as_known().map_or_else(|| "a symbolic number".to_owned(), |n| n.to_string())
}

pub(super) fn cdist(c: &mut Call<'_>) -> Outputs {
    let root = match c.attrs.string("metric", "sqeuclidean")?.as_str() {
        "euclidean" => true,
        "sqeuclidean" => false,
        other => return refuse!("metric {other}, euclidean or sqeuclidean is expected"),
    };
    let (x, y) = (c.f32(0)?, c.f32(1)?);
    let d = squared(c.b, x, y)?;
    one(if root { c.b.unary(UnaryKind::Sqrt, d)? } else { d })
}
