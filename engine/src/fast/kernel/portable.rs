//! The tile without intrinsics; the compiler vectorises it where the target has a fused multiply-add.

use super::Tile;
use crate::fast::panels::LANES;
use crate::float::fma32;

pub(super) fn tile(t: &Tile<'_>, out: &mut [f32], stride: usize) {
    match t.rows {
        1 => rows::<1>(t, out, stride),
        2 => rows::<2>(t, out, stride),
        3 => rows::<3>(t, out, stride),
        _ => rows::<4>(t, out, stride),
    }
}

fn rows<const ROWS: usize>(t: &Tile<'_>, out: &mut [f32], stride: usize) {
    for p in 0..t.panels {
        let b = &t.b[p * t.length * LANES..(p + 1) * t.length * LANES];
        let mut acc = [[0.0f32; LANES]; ROWS];
        for (a, b) in t.a.chunks(t.step).zip(b.chunks_exact(LANES)) {
            for (acc, a) in acc.iter_mut().zip(a) {
                for (acc, b) in acc.iter_mut().zip(b) {
                    *acc = fma32(*a, *b, *acc);
                }
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            let out = &mut out[r * stride + p * LANES..][..LANES];
            for (out, acc) in out.iter_mut().zip(acc) {
                *out = if t.first { *acc } else { *out + *acc };
            }
        }
    }
}
