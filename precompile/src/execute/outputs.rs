//! From a model's outputs to results.

use alloy_primitives::I256;
use lockstep_engine::{Data, Tensor};

use super::stop::Stop;
use crate::wad;

/// All values with 18 decimals; `index` is the output's, for errors.
pub(super) fn values(tensor: &Tensor, index: usize) -> Result<Vec<I256>, Stop> {
    let integers = |v: &mut dyn Iterator<Item = i64>| v.map(wad::from_integer).collect();
    Ok(match &tensor.data {
        Data::F32(v) => {
            let refuse = |at: usize| {
                if v[at].is_nan() { Stop::not_a_number(index, at) } else { Stop::not_representable(index, at) }
            };
            let mut out = Vec::with_capacity(v.len());
            for (at, x) in v.iter().enumerate() {
                out.push(wad::from_f32(*x).ok_or_else(|| refuse(at))?);
            }
            out
        }
        Data::U8(v) => integers(&mut v.iter().map(|n| (*n).into())),
        Data::I8(v) => integers(&mut v.iter().map(|n| (*n).into())),
        Data::I32(v) => integers(&mut v.iter().map(|n| (*n).into())),
        Data::I64(v) => integers(&mut v.iter().copied()),
        Data::Bool(v) => integers(&mut v.iter().map(|n| (*n).into())),
    })
}

/// Refuses the first NaN of all outputs.
pub(super) fn no_nan(outputs: &[Tensor]) -> Result<(), Stop> {
    for (index, t) in outputs.iter().enumerate() {
        if let Some(position) = t.first_nan() {
            return Err(Stop::not_a_number(index, position));
        }
    }
    Ok(())
}
