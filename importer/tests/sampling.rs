//! Lowerings of resampling, transposed convolution and transforms, against written loops.

mod common;

use common::*;

fn values(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i * 7919 + seed * 104_729 + 13) % 211) as f32 - 105.0) / 64.0).collect()
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

/// A case of a transposed convolution over a row: sizes, then every input added where its taps reach.
struct Transposed {
    groups: usize,
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: [usize; 2],
    extra: usize,
}

const CHANNELS: usize = 2;
const FILTERS: usize = 2;

impl Transposed {
    fn output(&self) -> usize {
        self.stride * (self.input - 1) + self.extra + (self.kernel - 1) * self.dilation + 1
            - self.pads[0]
            - self.pads[1]
    }

    fn loops(&self, data: &[f32], w: &[f32], bias: &[f32]) -> Vec<f64> {
        let n = self.output();
        let mut out: Vec<f64> = bias.iter().flat_map(|b| std::iter::repeat_n(f64::from(*b), n)).collect();
        for c in 0..CHANNELS {
            let group = c / (CHANNELS / self.groups);
            for f in 0..FILTERS {
                for i in 0..self.input {
                    for k in 0..self.kernel {
                        let at = i * self.stride + k * self.dilation;
                        if at >= self.pads[0] && at - self.pads[0] < n {
                            let product =
                                f64::from(data[c * self.input + i]) * f64::from(w[(c * FILTERS + f) * self.kernel + k]);
                            out[(group * FILTERS + f) * n + at - self.pads[0]] += product;
                        }
                    }
                }
            }
        }
        out
    }
}

#[test]
fn transposed_convolution_adds_every_input_where_its_taps_reach() {
    for t in [
        Transposed { groups: 1, input: 4, kernel: 3, stride: 2, dilation: 1, pads: [1, 1], extra: 1 },
        Transposed { groups: 2, input: 3, kernel: 4, stride: 2, dilation: 1, pads: [1, 0], extra: 0 },
        Transposed { groups: 1, input: 3, kernel: 2, stride: 3, dilation: 2, pads: [0, 0], extra: 2 },
        Transposed { groups: 2, input: 5, kernel: 3, stride: 1, dilation: 2, pads: [2, 3], extra: 0 },
        Transposed { groups: 1, input: 2, kernel: 1, stride: 4, dilation: 1, pads: [0, 0], extra: 3 },
    ] {
        let data = values(CHANNELS * t.input, 1);
        let w = values(CHANNELS * FILTERS * t.kernel, 2);
        let bias = values(t.groups * FILTERS, 3);
        let attributes = [
            int("group", t.groups as i64),
            ints("strides", &[t.stride as i64]),
            ints("dilations", &[t.dilation as i64]),
            ints("pads", &t.pads.map(|p| p as i64)),
            ints("output_padding", &[t.extra as i64]),
        ];
        let shape = [CHANNELS, FILTERS, t.kernel];
        let m = onnx(22).input("x", F, &[D::S("batch"), D::N(CHANNELS as i64), D::N(t.input as i64)]);
        let node = |m: Onnx| m.node("ConvTranspose", &["x", "w", "b"], &["y"], &attributes).output("y");
        let m = m.constant("b", t_f32(&[bias.len() as i64], &bias));
        let constant = node(m.clone().constant("w", t_f32(&shape.map(|n| n as i64), &w)));
        let row = x(&[1, CHANNELS, t.input], &data);
        let want = t.loops(&data, &w, &bias);
        let got = constant.f32(std::slice::from_ref(&row));
        near(&got, &want);
        // Weights that are computed give the same bits.
        let computed = node(m.input("w", F, &dims(&shape)));
        assert_eq!(computed.f32(&[row, x(&shape, &w)]), got);
    }
}

#[test]
fn transposed_convolution_of_a_stated_size() {
    let m = onnx(22)
        .input("x", F, &dims(&[1, 1, 3]))
        .constant("w", t_f32(&[1, 1, 3], &[1.0, 2.0, 4.0]))
        .node("ConvTranspose", &["x", "w"], &["y"], &[ints("strides", &[2]), string("auto_pad", "SAME_UPPER")])
        .output("y");
    assert_eq!(m.f32(&[x(&[1, 1, 3], &[1.0, 10.0, 100.0])]), [1.0, 2.0, 14.0, 20.0, 140.0, 200.0]);
    let m = onnx(22)
        .input("x", F, &dims(&[1, 1, 2]))
        .constant("w", t_f32(&[1, 1, 1], &[3.0]))
        .node("ConvTranspose", &["x", "w"], &["y"], &[ints("strides", &[2]), ints("output_shape", &[4])])
        .output("y");
    assert_eq!(m.f32(&[x(&[1, 1, 2], &[1.0, 2.0])]), [3.0, 0.0, 6.0, 0.0]);
}

fn resize(shape: &[D], scales: &[f32], attributes: &[lockstep_importer::proto::AttributeProto]) -> Onnx {
    onnx(19)
        .input("x", F, shape)
        .constant("s", t_f32(&[scales.len() as i64], scales))
        .node("Resize", &["x", "", "s"], &["y"], attributes)
        .output("y")
}

#[test]
fn resizing_interpolates_between_centres_or_corners() {
    let row = |m: Onnx| m.f32(&[x(&[1, 1, 4], &[1.0, 2.0, 4.0, 8.0])]);
    let half = row(resize(&dims(&[1, 1, 4]), &[1.0, 1.0, 2.0], &[string("mode", "linear")]));
    assert_eq!(half, [1.0, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 8.0]);
    let corners = [string("mode", "linear"), string("coordinate_transformation_mode", "align_corners")];
    let corners = row(resize(&dims(&[1, 1, 4]), &[1.0, 1.0, 1.75], &corners));
    assert_eq!(corners, [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]);
    let cubic = row(resize(&dims(&[1, 1, 4]), &[1.0, 1.0, 2.0], &[string("mode", "cubic")]));
    // At 0.75 between 1 and 2 (elements 0 and 1), the border repeated: weights of the cubic with a = -0.75.
    let k = |d: f64| {
        let (d, a) = (d.abs(), -0.75);
        if d <= 1.0 {
            ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
        } else {
            ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
        }
    };
    near(&cubic[2..3], &[k(1.75) + k(0.75) + 2.0 * k(0.25) + 4.0 * k(1.25)]);
    let antialias = row(resize(&dims(&[1, 1, 4]), &[1.0, 1.0, 0.5], &[string("mode", "linear"), int("antialias", 1)]));
    // A triangle of twice the width: 1/8, 3/8, 3/8, 1/8, the border repeated.
    near(&antialias, &[(1.0 + 3.0 + 6.0 + 4.0) / 8.0, (2.0 + 12.0 + 24.0 + 8.0) / 8.0]);
}

#[test]
fn resizing_works_along_every_axis() {
    let both =
        [string("mode", "linear"), string("coordinate_transformation_mode", "asymmetric"), ints("axes", &[1, 2])];
    let m = resize(&[D::S("batch"), D::N(2), D::N(2)], &[2.0, 2.0], &both);
    let want = [1.0, 1.5, 2.0, 2.0, 2.0, 2.5, 3.0, 3.0, 3.0, 3.5, 4.0, 4.0, 3.0, 3.5, 4.0, 4.0];
    assert_eq!(m.f32(&[x(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0])]), want);
    let sizes = onnx(19)
        .input("x", F, &dims(&[1, 1, 2, 4]))
        .constant("s", t_i64(&[2], &[1, 3]))
        .node(
            "Resize",
            &["x", "", "", "s"],
            &["y"],
            &[ints("axes", &[2, 3]), string("keep_aspect_ratio_policy", "not_larger")],
        )
        .output("y");
    let y = &sizes.run(&[x(&[1, 1, 2, 4], &values(8, 1))])[0];
    assert_eq!(y.shape, [1, 1, 1, 2]);
}

#[test]
fn a_symbolic_axis_repeats_whole_numbers_of_times_only() {
    let shape = [D::N(1), D::S("n")];
    let m = resize(&shape, &[1.0, 3.0], &[]);
    assert_eq!(m.f32(&[x(&[1, 2], &[1.0, 2.0])]), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    assert!(
        resize(&shape, &[1.0, 2.0], &[string("mode", "linear")]).problems()[0].reason.contains("symbolic dimension")
    );
    assert!(resize(&shape, &[1.0, 0.0], &[]).problems()[0].reason.contains("a scale of 0"));
}

#[test]
fn a_crop_takes_the_stated_value_outside() {
    let m = onnx(19)
        .input("x", F, &dims(&[1, 3]))
        .constant("roi", t_f32(&[4], &[0.0, 0.5, 1.0, 1.5]))
        .constant("s", t_i64(&[2], &[1, 3]))
        .node(
            "Resize",
            &["x", "roi", "", "s"],
            &["y"],
            &[
                string("mode", "linear"),
                string("coordinate_transformation_mode", "tf_crop_and_resize"),
                float("extrapolation_value", 9.0),
            ],
        )
        .output("y");
    assert_eq!(m.f32(&[x(&[1, 3], &[1.0, 2.0, 4.0])]), [2.0, 4.0, 9.0]);
}

#[test]
fn fourier_transforms_are_the_sums() {
    let v = values(12, 5);
    let m = |attributes: &[lockstep_importer::proto::AttributeProto], shape: &[usize]| {
        onnx(17).input("x", F, &dims(shape)).node("DFT", &["x"], &["y"], attributes).output("y")
    };
    let forward = m(&[int("axis", 0)], &[3, 2, 2]).f32(&[x(&[3, 2, 2], &v)]);
    let mut want = vec![0.0; 12];
    for (k, column, j) in (0..3).flat_map(|k| (0..2).flat_map(move |c| (0..3).map(move |j| (k, c, j)))) {
        let (s, c) = (-std::f64::consts::TAU * (k * j) as f64 / 3.0).sin_cos();
        let (re, im) = (f64::from(v[(j * 2 + column) * 2]), f64::from(v[(j * 2 + column) * 2 + 1]));
        want[(k * 2 + column) * 2] += re * c - im * s;
        want[(k * 2 + column) * 2 + 1] += re * s + im * c;
    }
    near(&forward, &want);
    // One side and back.
    for n in [5, 6] {
        let row = values(n, 6);
        let there = m(&[int("onesided", 1)], &[1, n, 1]).run(&[x(&[1, n, 1], &row)]).remove(0);
        assert_eq!(there.shape, [1, n / 2 + 1, 2]);
        let back = onnx(20)
            .input("x", F, &dims(&there.shape))
            .constant("n", t_i64(&[], &[n as i64]))
            .constant("axis", t_i64(&[], &[1]))
            .node("DFT", &["x", "n", "axis"], &["y"], &[int("onesided", 1), int("inverse", 1)])
            .output("y");
        near(&back.f32(&[there]), &row.iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
    }
}

#[test]
fn short_time_transforms_take_frames() {
    let v = values(10, 7);
    let m = onnx(17)
        .input("x", F, &dims(&[1, 10, 1]))
        .constant("step", t_i64(&[], &[3]))
        .constant("size", t_i64(&[], &[4]))
        .node("HannWindow", &["size"], &["w"], &[])
        .node("STFT", &["x", "step", "w"], &["y"], &[])
        .output("y");
    let y = m.run(&[x(&[1, 10, 1], &v)]).remove(0);
    assert_eq!(y.shape, [1, 3, 3, 2]);
    let w = [0.0, 0.5, 1.0, 0.5];
    let mut want = Vec::new();
    for (frame, k) in (0..3).flat_map(|f| (0..3).map(move |k| (f, k))) {
        let angle = |j: usize| -std::f64::consts::TAU * (k * j) as f64 / 4.0;
        let at = |j: usize| f64::from(v[frame * 3 + j]) * w[j];
        want.push((0..4).map(|j| at(j) * angle(j).cos()).sum());
        want.push((0..4).map(|j| at(j) * angle(j).sin()).sum());
    }
    near(y.as_f32().unwrap(), &want);
}

#[test]
fn pools_by_norms() {
    let m = |p| {
        onnx(18)
            .input("x", F, &[D::S("batch"), D::N(1), D::N(3)])
            .node("LpPool", &["x"], &["y"], &[int("p", p), ints("kernel_shape", &[2]), ints("pads", &[1, 0])])
            .output("y")
    };
    let row = x(&[1, 1, 3], &[-3.0, 4.0, 0.0]);
    assert_eq!(m(2).f32(std::slice::from_ref(&row)), [3.0, 5.0, 4.0]);
    assert_eq!(m(1).f32(std::slice::from_ref(&row)), [3.0, 7.0, 4.0]);
    near(&m(3).f32(&[row]), &[3.0, 91f64.cbrt(), 4.0]);
}
