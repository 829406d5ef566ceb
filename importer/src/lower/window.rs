//! Windows of convolutions and pools: kernel, strides, dilations, pads, `auto_pad`.

use lockstep_engine::Dim;

use super::Call;
use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};

/// A window over the spatial axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    pub(super) kernel: Vec<u32>,
    pub(super) strides: Vec<u32>,
    pub(super) dilations: Vec<u32>,
    pub(super) pads_begin: Vec<u32>,
    pub(super) pads_end: Vec<u32>,
    /// Where `auto_pad` gives the pads, ceil_mode has no say.
    pub(super) auto: bool,
}

impl Window {
    /// Reads the attributes of a node whose operand `x` is (N, C, spatial...).
    pub(super) fn read(c: &Call<'_>, x: Val, kernel: Option<Vec<u32>>) -> Lowered<Self> {
        let shape = c.b.shape(x);
        let Some(n) = shape.len().checked_sub(2).filter(|n| *n > 0) else {
            return refuse!("an operand of rank {}, at least 3 is expected", shape.len());
        };
        let stated = list(c, "kernel_shape", n, None)?;
        let kernel = match (kernel, stated) {
            (Some(k), Some(s)) if k != s => return refuse!("kernel_shape {s:?}, the weights have {k:?}"),
            (Some(k), _) | (None, Some(k)) if k.len() == n => k,
            _ => return refuse!("a kernel of {n} axes is expected"),
        };
        let strides = list(c, "strides", n, Some(1))?.unwrap_or_default();
        let dilations = list(c, "dilations", n, Some(1))?.unwrap_or_default();
        if [&kernel, &strides, &dilations].iter().any(|v| v.contains(&0)) {
            return refuse!("a kernel size, stride or dilation of 0");
        }
        let pads = list(c, "pads", 2 * n, Some(0))?.unwrap_or_default();
        let (mut begin, mut end) = (pads[..n].to_vec(), pads[n..].to_vec());
        let mode = c.attrs.string("auto_pad", "NOTSET")?;
        let auto = match mode.as_str() {
            "NOTSET" | "" => false,
            "VALID" => {
                (begin, end) = (vec![0; n], vec![0; n]);
                true
            }
            "SAME_UPPER" | "SAME_LOWER" => {
                for i in 0..n {
                    let total = same_pad(&shape[i + 2], kernel[i], strides[i], dilations[i])?;
                    let small = total / 2;
                    (begin[i], end[i]) =
                        if mode == "SAME_UPPER" { (small, total - small) } else { (total - small, small) };
                }
                true
            }
            other => return refuse!("auto_pad '{other}'"),
        };
        Ok(Self { kernel, strides, dilations, pads_begin: begin, pads_end: end, auto })
    }
}

/// Padding that makes ceil(size / stride) windows.
fn same_pad(size: &Dim, kernel: u32, stride: u32, dilation: u32) -> Lowered<u32> {
    let extent = u64::from(dilation) * u64::from(kernel - 1);
    let total = match size {
        // With step 1 the padding is the same for every size.
        _ if stride == 1 => extent,
        Dim::Known(size) => {
            let windows = size.div_ceil(u64::from(stride));
            windows
                .saturating_sub(1)
                .saturating_mul(u64::from(stride))
                .saturating_add(extent)
                .saturating_add(1)
                .saturating_sub(*size)
        }
        Dim::Expr(_) => return refuse!("auto_pad with strides over a symbolic dimension"),
    };
    u32::try_from(total).map_err(|_| Refusal::new(format!("a pad of {total}")))
}

/// A list of small non-negative integers; `None` where it is absent and there is no default.
fn list(c: &Call<'_>, name: &str, n: usize, default: Option<u32>) -> Lowered<Option<Vec<u32>>> {
    match c.attrs.ints(name)? {
        Some(v) if !v.is_empty() => {
            if v.len() != n {
                return refuse!("{name} has {} values, {n} are expected", v.len());
            }
            match v.iter().map(|x| u32::try_from(*x).ok()).collect() {
                Some(v) => Ok(Some(v)),
                None => refuse!("{name} {v:?}: negative values are not supported"),
            }
        }
        _ => Ok(default.map(|d| vec![d; n])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_makes_as_many_windows_as_steps() {
        assert_eq!(same_pad(&Dim::Known(5), 3, 2, 1), Ok(2));
        assert_eq!(same_pad(&Dim::Known(6), 3, 2, 1), Ok(1));
        assert_eq!(same_pad(&Dim::Known(4), 1, 2, 1), Ok(0));
        assert_eq!(same_pad(&Dim::symbol(0), 3, 1, 2), Ok(4));
        assert!(same_pad(&Dim::symbol(0), 3, 2, 1).is_err());
    }
}
