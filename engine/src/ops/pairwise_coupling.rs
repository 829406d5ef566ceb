//! Probabilities of classes from probabilities of pairs of classes: the second method of Wu, Lin and Weng,
//! *Probability Estimates for Multi-class Classification by Pairwise Coupling* (JMLR 5, 2004), with libsvm's
//! start, order of updates and stopping rule, which are part of the result.

use super::Operator;
use super::shape::{count, known_shape, operand, same, tensor};
use crate::cost::{Unit, Work};
use crate::dim::{Bindings, Dim};
use crate::error::{OpError, ValueFault};
use crate::float;
use crate::tensor::{DType, Data, Tensor, TensorType};

/// The most classes.
pub const MAX_CLASSES: u32 = 64;
/// The most sweeps over the classes.
const SWEEPS: u64 = 100;

crate::attributes! {
    /// Operand: r (rows, k(k-1)/2) in f32, the probability of the first class of each pair (i, j), i < j, in
    /// lexicographic order. Result: (rows, k).
    pub struct PairwiseCoupling {
        /// k, 2 to [`MAX_CLASSES`].
        pub classes: u32,
    }
}

impl PairwiseCoupling {
    fn pairs(&self) -> u64 {
        u64::from(self.classes) * u64::from(self.classes.saturating_sub(1)) / 2
    }
}

/// # Work
/// With n rows and k classes, all 100 sweeps: Element `n(3k^2 + 100(4k^2 + 14k))`, Division `100n(2k^2 + 3k)`.
impl Operator for PairwiseCoupling {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn infer(&self, inputs: &[Option<&TensorType>], _: &Bindings<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = operand(inputs, 0)?;
        if x.dtype != DType::F32 {
            return Err(OpError::new(format!("f32 expected, {} came", x.dtype)));
        }
        if !(2..=MAX_CLASSES).contains(&self.classes) {
            return Err(OpError::new(format!("{} classes, 2 to {MAX_CLASSES} are expected", self.classes)));
        }
        let [rows, pairs] = x.shape.as_slice() else {
            return Err(OpError::new(format!("an operand of rank {}, 2 is expected", x.rank())));
        };
        same(pairs, &Dim::Known(self.pairs()), "pairs of classes")?;
        Ok(vec![TensorType::new(DType::F32, vec![rows.clone(), Dim::Known(u64::from(self.classes))])])
    }

    fn work(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Work {
        let k = u64::from(self.classes).max(1);
        let rows = outputs.first().map_or(0, count) / k;
        let element = 3 * k * k + SWEEPS * (4 * k * k + 14 * k);
        Work::of(Unit::Element, rows.saturating_mul(element))
            .and(Unit::Division, rows.saturating_mul(SWEEPS * (2 * k * k + 3 * k)))
    }

    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault> {
        let (Some(x), Some(out)) = (tensor(inputs, 0), outputs.first()) else { return Ok(Vec::new()) };
        let Data::F32(r) = &x.data else { return Ok(Vec::new()) };
        let k = self.classes as usize;
        let mut p = Vec::with_capacity(r.len() / self.pairs().max(1) as usize * k);
        for row in r.chunks_exact(self.pairs() as usize) {
            p.extend(couple(row, k));
        }
        Ok(vec![Tensor { shape: known_shape(out), data: Data::F32(p) }])
    }
}

/// One row. Every operation below rounds once; sums run from the left, from +0.
fn couple(pairs: &[f32], k: usize) -> Vec<f32> {
    // r[t][j]: the probability of t where only t and j may be; 1 - r where j comes first.
    let mut r = vec![0f32; k * k];
    let mut next = pairs.iter();
    for i in 0..k {
        for j in i + 1..k {
            let v = next.next().copied().unwrap_or(0.0);
            r[i * k + j] = v;
            r[j * k + i] = 1.0 - v;
        }
    }
    let mut q = vec![0f32; k * k];
    for t in 0..k {
        for j in (0..k).filter(|j| *j != t) {
            q[t * k + t] += r[j * k + t] * r[j * k + t];
            q[t * k + j] = -(r[j * k + t] * r[t * k + j]);
        }
    }
    let limit = 0.005 / k as f32;
    let mut p = vec![1.0 / k as f32; k];
    let mut qp = vec![0f32; k];
    for _ in 0..SWEEPS {
        let mut pqp = 0f32;
        for t in 0..k {
            qp[t] = (0..k).fold(0.0, |sum, j| sum + q[t * k + j] * p[j]);
            pqp += p[t] * qp[t];
        }
        let error = qp.iter().fold(0f32, |e, v| float::max(e, (*v - pqp).abs()));
        if error < limit {
            break;
        }
        for t in 0..k {
            let diff = (pqp - qp[t]) / q[t * k + t];
            let scale = 1.0 + diff;
            p[t] += diff;
            pqp = (pqp + diff * (diff * q[t * k + t] + 2.0 * qp[t])) / scale / scale;
            for j in 0..k {
                qp[j] = (qp[j] + diff * q[t * k + j]) / scale;
                p[j] /= scale;
            }
        }
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(classes: u32, rows: usize, r: &[f32]) -> Vec<f32> {
        let op = PairwiseCoupling { classes };
        let x = Tensor::new(vec![rows, op.pairs() as usize], Data::F32(r.to_vec())).unwrap();
        let out = op.infer(&[Some(&x.ty())], &Bindings::SYMBOLIC).unwrap();
        op.reference(&[Some(&x)], &out).unwrap()[0].as_f32().unwrap().to_vec()
    }

    #[test]
    fn two_classes_share_as_their_pair_does() {
        let p = run(2, 3, &[0.25, 0.9, 0.999]);
        for (got, want) in p.iter().zip([0.249_995_7, 0.750_004_3, 0.899_999_9, 0.100_000_1, 0.998_999, 0.001_001]) {
            assert!((got - want).abs() < 1e-6, "{p:?}");
        }
        // Within 0.005 of even, libsvm stops before the first step.
        assert_eq!(run(2, 1, &[0.503]), [0.5, 0.5]);
    }

    #[test]
    fn consistent_pairs_give_back_the_classes() {
        // r_ij = p_i / (p_i + p_j)
        let want = [0.5f32, 0.3, 0.15, 0.05];
        let mut r = Vec::new();
        for i in 0..4 {
            for j in i + 1..4 {
                r.push(want[i] / (want[i] + want[j]));
            }
        }
        let got = run(4, 1, &r);
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 4e-3), "{got:?}");
        assert!((got.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn the_stopping_rule_is_libsvms() {
        // A row of libsvm's (scikit-learn's SVC on wine), probabilities in f64 there.
        let got = run(3, 1, &LIBSVM_PAIRS);
        assert!(got.iter().zip(LIBSVM_CLASSES).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?}");
    }

    const LIBSVM_PAIRS: [f32; 3] = [0.619_488_3, 0.830_234_2, 0.935_560_8];
    const LIBSVM_CLASSES: [f32; 3] = [0.568_961, 0.363_613_57, 0.067_425_44];

    #[test]
    fn rows_are_independent_and_nan_stays_in_its_row() {
        let p = run(3, 2, &[f32::NAN, 0.5, 0.5, 0.9, 0.8, 0.4]);
        assert!(p[..3].iter().all(|v| v.is_nan()) && p[3..].iter().all(|v| v.is_finite()), "{p:?}");
        assert_eq!(p[3..], run(3, 1, &[0.9, 0.8, 0.4]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let infer = |classes, dtype, shape: &[usize]| {
            let op = PairwiseCoupling { classes };
            op.infer(&[Some(&TensorType::known(dtype, shape))], &Bindings::SYMBOLIC)
        };
        assert!(infer(3, DType::F32, &[2, 3]).is_ok());
        assert!(infer(3, DType::F32, &[2, 4]).is_err());
        assert!(infer(3, DType::I64, &[2, 3]).is_err());
        assert!(infer(3, DType::F32, &[3]).is_err());
        for classes in [0, 1, 65, u32::MAX] {
            assert!(infer(classes, DType::F32, &[2, 1]).is_err());
        }
    }

    #[test]
    fn work_counts_every_sweep() {
        let t = [TensorType::known(DType::F32, &[5, 3])];
        let w = PairwiseCoupling { classes: 3 }.work(&[], &t);
        assert_eq!(w.get(Unit::Element), 5 * (27 + 100 * (36 + 42)));
        assert_eq!(w.get(Unit::Division), 5 * 100 * 27);
    }
}
