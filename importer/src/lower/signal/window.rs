//! ONNX HannWindow, HammingWindow, BlackmanWindow (operator set 17).

use lockstep_engine::Dim;

use super::super::{Call, Outputs, dynamic, one};
use crate::error::refuse;
use crate::exact::{Q, cos_sin, int, ratio, to_f32};

/// a - b * cos(2 pi i / n) + d * cos(4 pi i / n), computed exactly and rounded once; n is the size, or for a
/// symmetric window one less.
fn weights(op: &str, size: i64, periodic: bool) -> Vec<f32> {
    let [a, b, d] = match op {
        "HannWindow" => [ratio(1, 2), ratio(1, 2), int(0)],
        "HammingWindow" => [ratio(25, 46), ratio(21, 46), int(0)],
        _ => [ratio(42, 100), ratio(50, 100), ratio(8, 100)],
    };
    let n = if periodic { size } else { (size - 1).max(1) };
    let cos = |k: i64| -> Q {
        let [c, _] = cos_sin(&ratio(k % n, n));
        c
    };
    (0..size).map(|i| to_f32(&(&a - &b * cos(i) + &d * cos(2 * i)))).collect()
}

pub(in super::super) fn window(c: &mut Call<'_>) -> Outputs {
    let periodic = c.attrs.flag("periodic", true)?;
    match c.attrs.int("output_datatype", 1)? {
        1 => {}
        other => return refuse!("output_datatype {other}: float32 (1) is supported"),
    }
    let size = if c.is_data(0) {
        // The declared one, required.
        match c.declared_fully(0)?.as_slice() {
            [Dim::Known(n)] => vec![*n as i64],
            _ => return refuse!("a size from data: the file has to declare it"),
        }
    } else {
        c.ints(0, "the size")?
    };
    let size = match size.as_slice() {
        [n] if (1..=1 << 20).contains(n) => *n,
        other => return refuse!("a size of {other:?}, one of 1 to 2^20 is expected"),
    };
    let w = weights(c.op, size, periodic);
    let w = c.b.vector(w);
    if c.is_data(0) { one(dynamic::sizes(c, w, 0, &[Dim::Known(size as u64)])?) } else { one(w) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_rounded_once() {
        assert_eq!(weights("HannWindow", 4, true), [0.0, 0.5, 1.0, 0.5]);
        assert_eq!(weights("HannWindow", 3, false), [0.0, 1.0, 0.0]);
        assert_eq!(weights("HammingWindow", 2, true), [4.0 / 46.0, 1.0]);
        assert_eq!(weights("BlackmanWindow", 2, true), [0.0, 1.0]);
        assert_eq!(weights("HannWindow", 1, false), [0.0]);
    }
}
