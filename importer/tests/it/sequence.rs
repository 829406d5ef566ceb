//! Lowerings of attention and recurrent networks, against written loops in f64.

use crate::common::*;

/// Numbers that differ, without a pattern that could hide a wrong index.
fn values(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i * 7919 + seed * 104_729 + 13) % 211) as f32 - 105.0) / 80.0).collect()
}

fn near(got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*g) - w).abs() <= 2e-5 * w.abs().max(1.0), "{i}: {g} {w}");
    }
}

fn dims(d: &[usize]) -> Vec<D> {
    d.iter().map(|n| D::N(*n as i64)).collect()
}

/// softmax(q k^T / sqrt(d), where `seen`) v for (heads, rows, d) operands; a row that sees nothing is zero.
fn attention(q: &[f32], k: &[f32], v: &[f32], s: [usize; 5], seen: impl Fn(usize, usize, usize) -> bool) -> Vec<f64> {
    let [heads, key_heads, rows, keys, d] = s;
    let mut out = Vec::new();
    for h in 0..heads {
        let g = h / (heads / key_heads);
        for i in 0..rows {
            let e: Vec<f64> = (0..keys)
                .map(|j| {
                    let dot: f64 = (0..d)
                        .map(|c| f64::from(q[(h * rows + i) * d + c]) * f64::from(k[(g * keys + j) * d + c]))
                        .sum();
                    if seen(h, i, j) { (dot / (d as f64).sqrt()).exp() } else { 0.0 }
                })
                .collect();
            let total: f64 = e.iter().sum();
            out.extend((0..d).map(|c| {
                let sum: f64 = (0..keys).map(|j| e[j] * f64::from(v[(g * keys + j) * d + c])).sum();
                if total == 0.0 { 0.0 } else { sum / total }
            }));
        }
    }
    out
}

#[test]
fn attention_is_the_written_loop() {
    let s = [4, 2, 3, 5, 6];
    let [heads, key_heads, rows, keys, d] = s;
    let (q, k, v) = (values(heads * rows * d, 1), values(key_heads * keys * d, 2), values(key_heads * keys * d, 3));
    let [dq, dk] = [dims(&[1, heads, rows, d]), dims(&[1, key_heads, keys, d])];
    let tensors =
        || vec![x(&[1, heads, rows, d], &q), x(&[1, key_heads, keys, d], &k), x(&[1, key_heads, keys, d], &v)];
    let model = |attributes: &[lockstep_importer::proto::AttributeProto]| {
        onnx(25)
            .input("q", F, &dq)
            .input("k", F, &dk)
            .input("v", F, &dk)
            .node("Attention", &["q", "k", "v"], &["y"], attributes)
            .output("y")
    };
    near(&model(&[]).f32(&tensors()), &attention(&q, &k, &v, s, |_, _, _| true));
    near(&model(&[int("is_causal", 1)]).f32(&tensors()), &attention(&q, &k, &v, s, |_, i, j| j <= i));
    let window = [int("left_window_size", 1), int("right_window_size", 1)];
    near(&model(&window).f32(&tensors()), &attention(&q, &k, &v, s, |_, i, j| j.abs_diff(i) <= 1));

    let masked = onnx(25)
        .input("q", F, &dq)
        .input("k", F, &dk)
        .input("v", F, &dk)
        .constant("m", t_bool(&[3, 5], &[1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]))
        .node("Attention", &["q", "k", "v", "m"], &["y"], &[])
        .output("y");
    let seen = |_: usize, i: usize, j: usize| [[1, 0, 1, 1, 0], [0; 5], [1; 5]][i][j] == 1;
    near(&masked.f32(&tensors()), &attention(&q, &k, &v, s, seen));
}

#[test]
fn attention_knows_padded_keys_and_the_past() {
    let s = [1, 1, 2, 5, 3];
    let (q, k, v) = (values(6, 4), values(15, 5), values(15, 6));
    let padded = onnx(24)
        .input("q", F, &dims(&[1, 1, 2, 3]))
        .input("k", F, &dims(&[1, 1, 5, 3]))
        .input("v", F, &dims(&[1, 1, 5, 3]))
        .input("n", I, &dims(&[1]))
        .node("Attention", &["q", "k", "v", "", "", "", "n"], &["y"], &[int("is_causal", 1)])
        .output("y");
    let inputs = |n| vec![x(&[1, 1, 2, 3], &q), x(&[1, 1, 5, 3], &k), x(&[1, 1, 5, 3], &v), xi(&[1], &[n])];
    near(&padded.f32(&inputs(4)), &attention(&q, &k, &v, s, |_, i, j| j <= i + 2));
    // One key for two queries: the first sees none.
    near(&padded.f32(&inputs(1)), &attention(&q, &k, &v, s, |_, i, j| i == 1 && j == 0));

    let cached = onnx(24)
        .input("q", F, &dims(&[1, 1, 2, 3]))
        .input("k", F, &dims(&[1, 1, 2, 3]))
        .input("v", F, &dims(&[1, 1, 2, 3]))
        .input("pk", F, &dims(&[1, 1, 3, 3]))
        .input("pv", F, &dims(&[1, 1, 3, 3]))
        .node("Attention", &["q", "k", "v", "", "pk", "pv"], &["y", "nk"], &[int("is_causal", 1)])
        .output("y")
        .output("nk");
    let part = |v: &[f32], from: usize, n: usize| x(&[1, 1, n, 3], &v[3 * from..3 * (from + n)]);
    let got = cached.run(&[x(&[1, 1, 2, 3], &q), part(&k, 3, 2), part(&v, 3, 2), part(&k, 0, 3), part(&v, 0, 3)]);
    near(got[0].as_f32().unwrap(), &attention(&q, &k, &v, s, |_, i, j| j <= i + 3));
    assert_eq!(got[1].as_f32().unwrap(), k);
}

#[test]
fn attention_refuses_what_it_cannot_know() {
    let m = |batch: D, rows: D| {
        onnx(24)
            .input("q", F, &[batch, D::N(2), rows, D::N(4)])
            .node("Attention", &["q", "q", "q"], &["y"], &[int("is_causal", 1), int("softmax_precision", 10)])
            .output("y")
    };
    assert!(m(D::S("batch"), D::N(3)).problems()[0].reason.contains("softmax_precision 10"));
}

#[test]
fn rotary_embedding_turns_pairs() {
    let v = values(2 * 2 * 6, 7);
    let m = |interleaved| {
        onnx(23)
            .input("x", F, &dims(&[1, 2, 2, 6]))
            .constant("c", t_f32(&[3, 2], &[1.0, 1.0, 0.5, 0.25, -0.5, 0.75]))
            .constant("s", t_f32(&[3, 2], &[0.0, 0.0, 0.125, 0.5, 1.0, -0.25]))
            .input("at", I, &dims(&[1, 2]))
            .node(
                "RotaryEmbedding",
                &["x", "c", "s", "at"],
                &["y"],
                &[int("interleaved", interleaved), int("rotary_embedding_dim", 4)],
            )
            .output("y")
    };
    let (cos, sin) = ([[1.0, 1.0], [0.5, 0.25], [-0.5, 0.75]], [[0.0, 0.0], [0.125, 0.5], [1.0, -0.25]]);
    for interleaved in [0, 1] {
        let got = m(interleaved).f32(&[x(&[1, 2, 2, 6], &v), xi(&[1, 2], &[2, 1])]);
        let mut want: Vec<f64> = v.iter().map(|v| f64::from(*v)).collect();
        for row in 0..4 {
            let at = [2, 1][row % 2];
            for pair in 0..2 {
                let (a, b) = if interleaved == 1 { (2 * pair, 2 * pair + 1) } else { (pair, pair + 2) };
                let (ra, rb) = (f64::from(v[row * 6 + a]), f64::from(v[row * 6 + b]));
                want[row * 6 + a] = cos[at][pair] * ra - sin[at][pair] * rb;
                want[row * 6 + b] = sin[at][pair] * ra + cos[at][pair] * rb;
            }
        }
        near(&got, &want);
    }
}

#[test]
fn linear_attention_carries_its_state() {
    let (steps, d) = (3, 2);
    let (q, k, v, g, b) = (values(6, 1), values(6, 2), values(6, 3), values(6, 4), values(3, 5));
    let rows = dims(&[1, steps, d]);
    let heads = [int("q_num_heads", 1), int("kv_num_heads", 1), float("scale", 0.5)];
    let m =
        ["q", "k", "v", "g"].iter().fold(onnx(27), |m, n| m.input(n, F, &rows)).input("b", F, &dims(&[1, steps, 1]));
    let m = m.node("LinearAttention", &["q", "k", "v", "", "g", "b"], &["y", "s"], &heads).output("y").output("s");
    let t = |v: &[f32]| x(&[1, steps, d], v);
    let got = m.run(&[t(&q), t(&k), t(&v), t(&g), x(&[1, steps, 1], &b)]);
    let mut s = [[0.0f64; 2]; 2];
    let mut want = Vec::new();
    for t in 0..steps {
        let at = |v: &[f32], i: usize| f64::from(v[t * d + i]);
        for (i, row) in s.iter_mut().enumerate() {
            row.iter_mut().for_each(|e| *e *= at(&g, i).exp());
        }
        let news: Vec<f64> =
            (0..d).map(|j| f64::from(b[t]) * (at(&v, j) - (0..d).map(|i| s[i][j] * at(&k, i)).sum::<f64>())).collect();
        for (i, row) in s.iter_mut().enumerate() {
            row.iter_mut().zip(&news).for_each(|(e, n)| *e += at(&k, i) * n);
        }
        want.extend((0..d).map(|j| 0.5 * (0..d).map(|i| s[i][j] * at(&q, i)).sum::<f64>()));
    }
    near(got[0].as_f32().unwrap(), &want);
    near(got[1].as_f32().unwrap(), &s.concat());
}

#[test]
fn causal_convolution_keeps_the_end_as_state() {
    let m = onnx(27)
        .input("x", F, &[D::S("batch"), D::N(1), D::N(2)])
        .constant("w", t_f32(&[1, 1, 4], &[1.0, 10.0, 100.0, 1000.0]))
        .node("CausalConvWithState", &["x", "w"], &["y", "s"], &[])
        .output("y")
        .output("s");
    let got = m.run(&[x(&[1, 1, 2], &[2.0, 3.0])]);
    assert_eq!(got[0].as_f32().unwrap(), [2000.0, 3200.0]);
    assert_eq!(got[1].as_f32().unwrap(), [0.0, 2.0, 3.0]);
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

const STEPS: usize = 3;
const INPUTS: usize = 2;
const HIDDEN: usize = 3;

/// Weights of a network with this many gates, and one row's sequence.
struct Network {
    gates: usize,
    w: Vec<f32>,
    r: Vec<f32>,
    b: Vec<f32>,
    x: Vec<f32>,
}

impl Network {
    fn new(gates: usize) -> Self {
        let n = gates * HIDDEN;
        Self {
            gates,
            w: values(n * INPUTS, 11),
            r: values(n * HIDDEN, 12),
            b: values(2 * n, 13),
            x: values(STEPS * INPUTS, 14),
        }
    }

    /// Wx + wb at step `t`, and Rh + rb, of gate `g`'s element `i`.
    fn parts(&self, t: usize, h: &[f64], g: usize, i: usize) -> [f64; 2] {
        let row = g * HIDDEN + i;
        let wx: f64 =
            (0..INPUTS).map(|k| f64::from(self.w[row * INPUTS + k]) * f64::from(self.x[t * INPUTS + k])).sum();
        let rh: f64 = (0..HIDDEN).map(|k| f64::from(self.r[row * HIDDEN + k]) * h[k]).sum();
        [wx + f64::from(self.b[row]), rh + f64::from(self.b[self.gates * HIDDEN + row])]
    }

    fn sum(&self, t: usize, h: &[f64], g: usize, i: usize) -> f64 {
        self.parts(t, h, g, i).iter().sum()
    }

    /// The model, over a dynamic batch; `extra` are the operands after B.
    fn model(&self, op: &str, extra: &[&str], attributes: &[lockstep_importer::proto::AttributeProto]) -> Onnx {
        let n = (self.gates * HIDDEN) as i64;
        let inputs = [&["x", "w", "r", "b"], extra].concat();
        onnx(22)
            .input("x", F, &[D::N(STEPS as i64), D::S("batch"), D::N(INPUTS as i64)])
            .constant("w", t_f32(&[1, n, INPUTS as i64], &self.w))
            .constant("r", t_f32(&[1, n, HIDDEN as i64], &self.r))
            .constant("b", t_f32(&[1, 2 * n], &self.b))
            .node(op, &inputs, &["y", "h"], attributes)
            .output("y")
            .output("h")
    }

    fn input(&self) -> lockstep_engine::Tensor {
        x(&[STEPS, 1, INPUTS], &self.x)
    }
}

#[test]
fn lstm_is_the_written_loop() {
    let n = Network::new(4);
    let p = values(3 * HIDDEN, 15);
    for (peepholes, clip) in [(false, f64::MAX), (true, 0.5)] {
        let mut m = n.model("LSTM", &[], &[]);
        if peepholes {
            m = n.model("LSTM", &["", "", "", "p"], &[float("clip", 0.5)]);
            m = m.constant("p", t_f32(&[1, 3 * HIDDEN as i64], &p));
        }
        let got = m.run(&[n.input()]);
        let (mut h, mut c) = (vec![0.0; HIDDEN], vec![0.0; HIDDEN]);
        let mut want = Vec::new();
        for t in 0..STEPS {
            let peep = |k: usize, i: usize| if peepholes { f64::from(p[k * HIDDEN + i]) } else { 0.0 };
            let gate =
                |g: usize, i: usize, c: &[f64]| sigmoid((n.sum(t, &h, g, i) + peep(g, i) * c[i]).clamp(-clip, clip));
            let next: Vec<f64> = (0..HIDDEN)
                .map(|i| gate(2, i, &c) * c[i] + gate(0, i, &c) * n.sum(t, &h, 3, i).clamp(-clip, clip).tanh())
                .collect();
            let shown: Vec<f64> = (0..HIDDEN).map(|i| gate(1, i, &next) * next[i].tanh()).collect();
            (h, c) = (shown, next);
            want.extend(&h);
        }
        near(got[0].as_f32().unwrap(), &want);
        near(got[1].as_f32().unwrap(), &h);
    }
}

#[test]
fn gru_resets_before_or_after_the_product() {
    let n = Network::new(3);
    for after in [0, 1] {
        let got = n.model("GRU", &[], &[int("linear_before_reset", after)]).run(&[n.input()]);
        let mut h = vec![0.0; HIDDEN];
        let mut want = Vec::new();
        for t in 0..STEPS {
            let gate = |g: usize, i: usize| sigmoid(n.sum(t, &h, g, i));
            let kept: Vec<f64> = (0..HIDDEN).map(|i| gate(1, i) * h[i]).collect();
            let next = (0..HIDDEN).map(|i| {
                let new = if after == 1 {
                    let [wx, rh] = n.parts(t, &h, 2, i);
                    wx + gate(1, i) * rh
                } else {
                    n.sum(t, &kept, 2, i)
                };
                (1.0 - gate(0, i)) * new.tanh() + gate(0, i) * h[i]
            });
            h = next.collect();
            want.extend(&h);
        }
        near(got[0].as_f32().unwrap(), &want);
    }
}

#[test]
fn directions_and_lengths_of_rnn() {
    let n = Network::new(1);
    let step = |t: usize, h: &[f64]| -> Vec<f64> { (0..HIDDEN).map(|i| n.sum(t, h, 0, i).max(0.0)).collect() };
    let reverse = [string("direction", "reverse"), strings("activations", &["Relu"])];
    let m = n.model("RNN", &["n"], &reverse).input("n", 6, &[D::S("batch")]);
    let lengths = lockstep_engine::Tensor::new(vec![1], lockstep_engine::Data::I32(vec![2])).unwrap();
    let got = m.run(&[n.input(), lengths]);
    // Two steps of three, from the second to the first; the third shows zeros.
    let second = step(1, &[0.0; HIDDEN]);
    let first = step(0, &second);
    near(got[0].as_f32().unwrap(), &[first.clone(), second, vec![0.0; HIDDEN]].concat());
    near(got[1].as_f32().unwrap(), &first);
}

#[test]
fn a_sequence_of_unknown_length_is_refused() {
    let n = Network::new(4);
    let mut m = n.model("LSTM", &[], &[]);
    m.graph.input[0] = info("x", F, Some(&[D::S("steps"), D::N(1), D::N(INPUTS as i64)]));
    assert!(m.problems()[0].reason.contains("length of the sequence is symbolic"));
    let m = n.model("LSTM", &[], &[strings("activations", &["Sigmoid", "Tanh"])]);
    assert!(m.problems()[0].reason.contains("2 activations, 3 are expected"));
}
