//! Support vector machines, as libsvm decides: kernel values, a decision for each pair of classes, votes.

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::contraction::{Gemm, MatMul};
use lockstep_engine::ops::pairwise_coupling::{MAX_CLASSES, PairwiseCoupling};
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Data, Tensor};

use super::super::distance::squared;
use super::post::{Classes, Post, greatest, rows};
use crate::build::Val;
use crate::error::{Lowered, refuse};
use crate::lower::{Call, Outputs, one};
use crate::slot::Slot;

/// Bounds of a pairwise probability, as libsvm has them.
const LEAST: f32 = 1e-7;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kernel {
    Linear,
    /// (gamma * dot + coef0)^degree
    Poly,
    /// exp(-gamma * squared distance)
    Rbf,
    /// tanh(gamma * dot + coef0)
    Sigmoid,
}

/// Support vectors (vectors, features) with their kernel.
struct Machine {
    kernel: Kernel,
    gamma: f32,
    coef0: f32,
    degree: f32,
    vectors: usize,
    support: Val,
}

impl Machine {
    fn read(c: &mut Call<'_>, vectors: usize) -> Lowered<Self> {
        let kernel = match c.attrs.string("kernel_type", "LINEAR")?.as_str() {
            "LINEAR" => Kernel::Linear,
            "POLY" => Kernel::Poly,
            "RBF" => Kernel::Rbf,
            "SIGMOID" => Kernel::Sigmoid,
            other => return refuse!("kernel_type {other}, LINEAR, POLY, RBF or SIGMOID is expected"),
        };
        let [gamma, coef0, degree] = match c.attrs.floats("kernel_params")?.unwrap_or_default() {
            [] => [0.0; 3],
            [a, b, d] => [*a, *b, *d],
            other => return refuse!("{} kernel_params, gamma, coef0 and degree are expected", other.len()),
        };
        let support = c.attrs.floats("support_vectors")?.unwrap_or_default().to_vec();
        if vectors == 0 || support.is_empty() || !support.len().is_multiple_of(vectors) {
            return refuse!("{} values of {vectors} support vectors", support.len());
        }
        let shape = vec![vectors, support.len() / vectors];
        let support = c.b.constant(Tensor { shape, data: Data::F32(support) });
        Ok(Self { kernel, gamma, coef0, degree, vectors, support })
    }

    /// The kernel of each row with each support vector: (rows, vectors).
    fn values(&self, c: &mut Call<'_>, x: Val) -> Lowered<Val> {
        if self.kernel == Kernel::Rbf {
            let d = squared(c.b, x, self.support)?;
            let factor = c.b.scalar(-self.gamma);
            let e = c.b.mul2(d, factor)?;
            return c.b.unary(U::Exp, e);
        }
        let transposed = c.b.transpose(self.support, &[1, 0])?;
        let dot = c.b.push(MatMul {}, &[x, transposed])?;
        if self.kernel == Kernel::Linear {
            return Ok(dot);
        }
        let (gamma, coef0) = (c.b.scalar(self.gamma), c.b.scalar(self.coef0));
        let scaled = c.b.mul2(dot, gamma)?;
        let z = c.b.add2(scaled, coef0)?;
        if self.kernel == Kernel::Sigmoid {
            return c.b.unary(U::Tanh, z);
        }
        let degree = c.b.scalar(self.degree);
        c.b.binary(B::Pow, z, degree)
    }

    /// Sums of coefficient times kernel, plus rho: weights (vectors, columns), column by column.
    fn decide(&self, c: &mut Call<'_>, kernel: Val, weights: Vec<f32>, rho: Vec<f32>) -> Lowered<Val> {
        let shape = vec![self.vectors, rho.len()];
        let w = c.b.constant(Tensor { shape, data: Data::F32(weights) });
        let bias = c.b.vector(rho);
        c.b.push(Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false }, &[kernel, w, bias])
    }
}

pub(super) fn regressor(c: &mut Call<'_>) -> Outputs {
    let post = Post::read(c)?;
    let one_class = c.attrs.flag("one_class", false)?;
    let coefficients = c.attrs.floats("coefficients")?.unwrap_or_default().to_vec();
    let rho = c.attrs.floats("rho")?.unwrap_or_default().to_vec();
    if rho.len() != 1 {
        return refuse!("{} values of rho, one is expected", rho.len());
    }
    let n = c.attrs.int("n_supports", 0)?;
    let x = rows(c)?;
    let score = match usize::try_from(n) {
        // Without support vectors the coefficients are those of the features.
        Ok(0) if c.attrs.string("kernel_type", "LINEAR")? == "LINEAR" && !coefficients.is_empty() => {
            c.attrs.ignore(&["kernel_params", "support_vectors"]);
            let shape = vec![coefficients.len(), 1];
            let w = c.b.constant(Tensor { shape, data: Data::F32(coefficients) });
            let bias = c.b.vector(rho);
            c.b.push(Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false }, &[x, w, bias])?
        }
        Ok(n) if n == coefficients.len() && n > 0 => {
            let machine = Machine::read(c, n)?;
            let kernel = machine.values(c, x)?;
            machine.decide(c, kernel, coefficients, rho)?
        }
        _ => return refuse!("{} coefficients for {n} support vectors", coefficients.len()),
    };
    if !one_class {
        return one(post.apply_to_one(score)?);
    }
    if post != Post::None {
        return refuse!("post_transform {post:?} of a one-class machine");
    }
    let (zero, inside, outside) = (c.b.scalar(0.0), c.b.scalar(1.0), c.b.scalar(-1.0));
    let over = c.b.compare(K::Greater, score, zero)?;
    one(c.b.select(over, inside, outside)?)
}

/// All pairs (i, j) of classes with i < j, in libsvm's order.
fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
}

pub(super) fn classifier(c: &mut Call<'_>) -> Outputs {
    let classes = Classes::read(c, "classlabels_ints", "classlabels_strings")?;
    let post = Post::read(c)?;
    let n = classes.len();
    let count = n * n.saturating_sub(1) / 2;
    let per_class: Option<Vec<usize>> =
        c.attrs.ints("vectors_per_class")?.unwrap_or_default().iter().map(|v| usize::try_from(*v).ok()).collect();
    let (Some(per_class), true) = (per_class, n >= 2) else { return refuse!("a classifier of {n} classes") };
    let rho = c.attrs.floats("rho")?.unwrap_or_default().to_vec();
    let (a, b) = (c.attrs.floats("prob_a")?.unwrap_or_default(), c.attrs.floats("prob_b")?.unwrap_or_default());
    let coefficients = c.attrs.floats("coefficients")?.unwrap_or_default();
    if per_class.len() != n {
        return refuse!("{} numbers of support vectors for {n} classes", per_class.len());
    }
    let vectors = per_class.iter().try_fold(0usize, |s, v| s.checked_add(*v)).unwrap_or(usize::MAX);
    if rho.len() != count || vectors.checked_mul(n - 1) != Some(coefficients.len()) {
        return refuse!(
            "{} coefficients and {} values of rho for {n} classes and {vectors} support vectors",
            coefficients.len(),
            rho.len()
        );
    }
    if a.len() != b.len() || !(a.is_empty() || a.len() == count) {
        return refuse!("{} prob_a and {} prob_b for {count} pairs of classes", a.len(), b.len());
    }

    let machine = Machine::read(c, vectors)?;
    let x = rows(c)?;
    let kernel = machine.values(c, x)?;
    let first: Vec<usize> = per_class.iter().scan(0, |at, v| Some(std::mem::replace(at, *at + v))).collect();
    let mut weights = vec![0.0; vectors * count];
    for (p, (i, j)) in pairs(n).enumerate() {
        // Vectors of class i weigh by row j - 1 of the coefficients, those of class j by row i.
        for (class, row) in [(i, j - 1), (j, i)] {
            for v in first[class]..first[class] + per_class[class] {
                weights[v * count + p] = coefficients[row * vectors + v];
            }
        }
    }
    let decision = machine.decide(c, kernel, weights, rho)?;
    let zero = c.b.scalar(0.0);
    let over = c.b.compare(K::Greater, decision, zero)?;
    let index = votes(c, over, n)?;
    let scores = match (a.is_empty(), n) {
        (false, _) if post != Post::None => return refuse!("post_transform {post:?} of probabilities"),
        (false, _) => {
            let (a, b) = (a.to_vec(), b.to_vec());
            probabilities(c, decision, a, b, n)?
        }
        // One decision for two classes, in the order of onnxruntime's columns: what counts against the first class, and
        // for it.
        (true, 2) => {
            let negated = c.b.unary(U::Neg, decision)?;
            let both = c.b.concat(&[negated, decision], 1)?;
            match post {
                Post::None | Post::Logistic => post.apply(c, both)?,
                other => return refuse!("post_transform {other:?} of two classes: runtimes disagree on it"),
            }
        }
        (true, _) => post.apply(c, decision)?,
    };
    let label = classes.label(c, index)?;
    Ok(vec![label, Slot::Tensor(scores)])
}

/// Platt's 1 / (1 + exp(a * decision + b)) for each pair, kept off 0 and 1, then coupled.
fn probabilities(c: &mut Call<'_>, decision: Val, a: Vec<f32>, b: Vec<f32>, n: usize) -> Lowered<Val> {
    let Some(classes) = u32::try_from(n).ok().filter(|n| *n <= MAX_CLASSES) else {
        return refuse!("probabilities of {n} classes, up to {MAX_CLASSES} are supported");
    };
    // sigmoid(-z) = 1 / (1 + exp(z)), so that both signs are turned here.
    let (a, b) = (c.b.vector(a.iter().map(|v| -v).collect()), c.b.vector(b.iter().map(|v| -v).collect()));
    let scaled = c.b.mul2(decision, a)?;
    let z = c.b.add2(scaled, b)?;
    let r = c.b.unary(U::Sigmoid, z)?;
    let (least, most) = (c.b.scalar(LEAST), c.b.scalar(1.0 - LEAST));
    let r = c.b.binary(B::Max, r, least)?;
    let r = c.b.binary(B::Min, r, most)?;
    c.b.push(PairwiseCoupling { classes }, &[r])
}

/// The class with most of the pairs' votes, the first of equals; `over`: whether a pair's first class wins.
fn votes(c: &mut Call<'_>, over: Val, n: usize) -> Lowered<Val> {
    let count = n * (n - 1) / 2;
    let won = c.b.cast(over, DType::F32)?;
    // Votes of a class: pairs won as the first, plus pairs in which it is the second, less those lost so.
    let (mut sign, mut seconds) = (vec![0.0; count * n], vec![0.0; n]);
    for (p, (i, j)) in pairs(n).enumerate() {
        sign[p * n + i] = 1.0;
        sign[p * n + j] = -1.0;
        seconds[j] += 1.0;
    }
    let sign = c.b.constant(Tensor { shape: vec![count, n], data: Data::F32(sign) });
    let seconds = c.b.vector(seconds);
    let votes = c.b.push(Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false }, &[won, sign, seconds])?;
    greatest(c, votes)
}
