//! Lowerings of resampling, transposed convolution and transforms, against written loops.

use crate::common::*;

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

const REQUIRED: &str = "an argument differs from what the model's declared shapes say";

fn declared(mut m: Onnx, name: &str, shape: &[usize]) -> Onnx {
    m.graph.output.push(info(name, F, Some(&dims(shape))));
    m
}

#[test]
fn resizing_by_data_is_resizing_by_constants() {
    let image = values(20, 8);
    let modes = [
        vec![string("mode", "nearest")],
        vec![string("mode", "nearest"), string("nearest_mode", "ceil")],
        vec![string("mode", "linear")],
        vec![string("mode", "linear"), int("antialias", 1)],
        vec![string("mode", "cubic")],
        vec![string("mode", "cubic"), int("exclude_outside", 1)],
        vec![string("mode", "cubic"), int("antialias", 1)],
    ];
    for transform in ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"] {
        for (mode, scales, size) in modes.iter().flat_map(|m| [(m, [1.5, 2.0], [6, 10]), (m, [0.8, 0.7], [3, 3])]) {
            let attributes = [mode.clone(), vec![string("coordinate_transformation_mode", transform)]].concat();
            let scales = [1.0, 1.0, scales[0], scales[1]];
            let m = onnx(19).input("x", F, &[D::N(1), D::N(1), D::N(4), D::N(5)]);
            let node = |m: Onnx| m.node("Resize", &["x", "", "s"], &["y"], &attributes);
            let shape = [1, 1, size[0], size[1]];
            let constant = declared(node(m.clone().constant("s", t_f32(&[4], &scales))), "y", &shape);
            let data = declared(node(m.input("s", F, &[D::N(4)])), "y", &shape);
            let row = x(&[1, 1, 4, 5], &image);
            let want: Vec<f64> = constant.f32(std::slice::from_ref(&row)).iter().map(|v| f64::from(*v)).collect();
            near(&data.f32(&[row.clone(), x(&[4], &scales)]), &want);
            let e = try_run(&data.import().unwrap(), &[row, x(&[4], &[1.0, 1.0, scales[2], 3.0])]).unwrap_err();
            assert!(e.contains(REQUIRED), "{e}");
        }
    }
}

#[test]
fn sizes_and_regions_from_data() {
    let m = onnx(19).input("x", F, &dims(&[1, 4])).input("roi", F, &dims(&[4])).input("s", I, &dims(&[2])).node(
        "Resize",
        &["x", "roi", "", "s"],
        &["y"],
        &[
            string("mode", "linear"),
            string("coordinate_transformation_mode", "tf_crop_and_resize"),
            float("extrapolation_value", 9.0),
        ],
    );
    let m = declared(m, "y", &[1, 3]);
    let row = x(&[1, 4], &[1.0, 2.0, 4.0, 8.0]);
    let run = |roi: &[f32], size: &[i64]| try_run(&m.import().unwrap(), &[row.clone(), x(&[4], roi), xi(&[2], size)]);
    assert_eq!(run(&[0.0, 0.0, 1.0, 1.0], &[1, 3]).unwrap()[0].as_f32().unwrap(), [1.0, 3.0, 8.0]);
    assert_eq!(run(&[0.0, 0.5, 1.0, 1.5], &[1, 3]).unwrap()[0].as_f32().unwrap(), [3.0, 8.0, 9.0]);
    assert!(run(&[0.0, 0.0, 1.0, 1.0], &[1, 4]).unwrap_err().contains(REQUIRED));
    let policy = [string("keep_aspect_ratio_policy", "not_smaller"), ints("axes", &[2, 3])];
    let m = onnx(19).input("x", F, &dims(&[1, 1, 2, 4])).input("s", I, &dims(&[2])).node(
        "Resize",
        &["x", "", "", "s"],
        &["y"],
        &policy,
    );
    let m = declared(m, "y", &[1, 1, 2, 3]);
    let row = x(&[1, 1, 2, 4], &values(8, 3));
    let y = m.run(&[row.clone(), xi(&[2], &[1, 3])]).remove(0);
    assert_eq!(y.shape, [1, 1, 2, 3]);
    assert!(try_run(&m.import().unwrap(), &[row, xi(&[2], &[2, 4])]).unwrap_err().contains(REQUIRED));
}

/// One place of GridSample over an image (rows, columns), in f64.
fn sampled(image: &[f32], size: [i64; 2], g: [f32; 2], mode: &str, padding: &str, corners: bool) -> f64 {
    let ends = |n: i64| if corners { (0.0, n as f64 - 1.0) } else { (-0.5, n as f64 - 0.5) };
    let fold = |mut v: f64, n: i64| {
        let (low, high) = ends(n);
        while v < low || v > high {
            v = if v < low { 2.0 * low - v } else { 2.0 * high - v };
        }
        v
    };
    let k = |d: f64, a: f64| match d.abs() {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
        _ => 0.0,
    };
    let taps = |g: f32, n: i64| -> Vec<(f64, f64)> {
        let g = f64::from(g);
        let mut v = if corners { (g + 1.0) / 2.0 * (n as f64 - 1.0) } else { ((g + 1.0) * n as f64 - 1.0) / 2.0 };
        if mode == "nearest" {
            v = v.round_ties_even();
        }
        let (low, high) = ends(n);
        if v < low || v > high {
            v = match padding {
                "border" => v.clamp(0.0, n as f64 - 1.0),
                "reflection" => fold(v, n),
                _ => v,
            };
        }
        let floor = v.floor();
        match mode {
            "nearest" => vec![(v, 1.0)],
            "linear" => vec![(floor, 1.0 - (v - floor)), (floor + 1.0, v - floor)],
            _ => (-1..3).map(|o| (floor + f64::from(o), k(v - floor - f64::from(o), -0.75))).collect(),
        }
    };
    let pixel = |y: f64, x: f64| {
        let inside = |v: f64, n: i64| v >= 0.0 && v < n as f64;
        let at = |v: f64, n: i64| match padding {
            "reflection" => fold(v, n).clamp(0.0, n as f64 - 1.0) as usize,
            _ => v.clamp(0.0, n as f64 - 1.0) as usize,
        };
        if padding == "zeros" && !(inside(y, size[0]) && inside(x, size[1])) {
            return 0.0;
        }
        f64::from(image[at(y, size[0]) * size[1] as usize + at(x, size[1])])
    };
    let (rows, columns) = (taps(g[1], size[0]), taps(g[0], size[1]));
    rows.iter().map(|(y, wy)| wy * columns.iter().map(|(x, wx)| wx * pixel(*y, *x)).sum::<f64>()).sum()
}

#[test]
fn grid_samples_are_the_written_sums() {
    let image = values(2 * 4 * 3, 9);
    let grid: Vec<f32> = values(2 * 9 * 2, 10).iter().map(|v| v * 1.3).collect();
    for (mode, padding) in
        ["nearest", "linear", "cubic"].iter().flat_map(|m| ["zeros", "border", "reflection"].map(|p| (m, p)))
    {
        for corners in [false, true] {
            let attributes =
                [string("mode", mode), string("padding_mode", padding), int("align_corners", i64::from(corners))];
            let m = onnx(20)
                .input("x", F, &[D::S("batch"), D::N(1), D::N(4), D::N(3)])
                .input("g", F, &[D::S("batch"), D::N(3), D::N(3), D::N(2)])
                .node("GridSample", &["x", "g"], &["y"], &attributes)
                .output("y");
            let got = m.f32(&[x(&[2, 1, 4, 3], &image), x(&[2, 3, 3, 2], &grid)]);
            let want: Vec<f64> = (0..18)
                .map(|p| {
                    let image = &image[p / 9 * 12..];
                    sampled(image, [4, 3], [grid[2 * p], grid[2 * p + 1]], mode, padding, corners)
                })
                .collect();
            near(&got, &want);
        }
    }
}

#[test]
fn affine_grids_are_products_with_the_places() {
    for (corners, first) in [(1, [-1.0, -1.0]), (0, [-2.0 / 3.0, -0.5])] {
        let m = onnx(20)
            .input("t", F, &[D::S("batch"), D::N(2), D::N(3)])
            .constant("s", t_i64(&[2], &[2, 3]))
            .node("Shape", &["t"], &["all"], &[int("end", 1)])
            .constant("one", t_i64(&[1], &[1]))
            .node("Concat", &["all", "one", "s"], &["size"], &[int("axis", 0)])
            .node("AffineGrid", &["t", "size"], &["y"], &[int("align_corners", corners)])
            .output("y");
        let y = m.run(&[x(&[1, 2, 3], &[1.0, 0.0, 0.25, 2.0, 4.0, 0.0])]).remove(0);
        assert_eq!(y.shape, [1, 2, 3, 2]);
        near(&y.as_f32().unwrap()[..2], &[first[0] + 0.25, 2.0 * first[0] + 4.0 * first[1]]);
    }
    let m = onnx(20).input("t", F, &dims(&[1, 2, 3])).input("s", I, &dims(&[4])).node(
        "AffineGrid",
        &["t", "s"],
        &["y"],
        &[],
    );
    let m = declared(m, "y", &[1, 2, 3, 2]).import().unwrap();
    let run = |size: &[i64]| try_run(&m, &[x(&[1, 2, 3], &[1.0; 6]), xi(&[4], size)]);
    assert!(run(&[1, 7, 2, 3]).is_ok());
    assert!(run(&[1, 7, 3, 2]).unwrap_err().contains(REQUIRED));
}

#[test]
fn the_middle_is_cut_and_surrounded() {
    let m = onnx(18)
        .input("x", F, &dims(&[2, 5]))
        .constant("s", t_i64(&[2], &[3, 2]))
        .node("CenterCropPad", &["x", "s"], &["y"], &[])
        .output("y");
    let rows = x(&[2, 5], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
    assert_eq!(m.f32(&[rows]), [2.0, 3.0, 7.0, 8.0, 0.0, 0.0]);
}

#[test]
fn transforms_and_windows_by_data() {
    let window = declared(onnx(17).input("n", I, &dims(&[])).node("HammingWindow", &["n"], &["w"], &[]), "w", &[4]);
    let model = window.import().unwrap();
    near(try_run(&model, &[xi(&[], &[4])]).unwrap()[0].as_f32().unwrap(), &[4.0 / 46.0, 25.0 / 46.0, 1.0, 25.0 / 46.0]);
    assert!(try_run(&model, &[xi(&[], &[5])]).unwrap_err().contains(REQUIRED));

    let m =
        onnx(20).input("x", F, &dims(&[3, 3, 1])).input("a", I, &dims(&[])).node("DFT", &["x", "", "a"], &["y"], &[]);
    let model = declared(m, "y", &[3, 3, 2]).import().unwrap();
    let v = &values(9, 2);
    let run = |axis: i64| try_run(&model, &[x(&[3, 3, 1], v), xi(&[], &[axis])]);
    let sums =
        |step: usize, other: usize| (0..3).map(move |k| (0..3).map(|j| f64::from(v[j * step + k * other])).sum());
    for (axis, step, other) in [(0, 3, 1), (-3, 3, 1), (1, 1, 3), (-2, 1, 3)] {
        let y = run(axis).unwrap().remove(0);
        let constant = y.as_f32().unwrap().chunks(2 * if step == 3 { 1 } else { 3 }).map(|c| c[0]).take(3);
        near(&constant.collect::<Vec<_>>(), &sums(step, other).collect::<Vec<f64>>());
    }
    assert!(run(2).unwrap_err().contains(REQUIRED));

    let m = onnx(17).input("x", F, &dims(&[1, 10, 1])).input("step", I, &dims(&[])).input("n", I, &dims(&[])).node(
        "STFT",
        &["x", "step", "", "n"],
        &["y"],
        &[],
    );
    let model = declared(m, "y", &[1, 3, 3, 2]).import().unwrap();
    let v = values(10, 4);
    let run = |step: i64, n: i64| try_run(&model, &[x(&[1, 10, 1], &v), xi(&[], &[step]), xi(&[], &[n])]);
    let first: f64 = v[3..7].iter().map(|v| f64::from(*v)).sum();
    near(&run(3, 4).unwrap()[0].as_f32().unwrap()[6..7], &[first]);
    for (step, n) in [(2, 4), (3, 5), (-3, 4)] {
        assert!(run(step, n).unwrap_err().contains(REQUIRED), "{step} {n}");
    }
}

#[test]
fn blocks_are_added_to_an_image() {
    let strides = [ints("strides", &[2, 1]), ints("pads", &[0, 1, 0, 0])];
    let node = |m: Onnx| m.node("Col2Im", &["x", "i", "b"], &["y"], &strides);
    // An image of 4 by 3 with a column of border: blocks of 2 by 2 at 2 by 3 places.
    let data = values(8 * 6, 6);
    let mut want = vec![0.0; 24];
    for (channel, row, column, place) in
        (0..2).flat_map(|c| (0..4).flat_map(move |k| (0..6).map(move |p| (c, k / 2, k % 2, p))))
    {
        let (y, x) = (place / 3 * 2 + row, place % 3 + column);
        if x >= 1 {
            want[(channel * 4 + y) * 3 + x - 1] += f64::from(data[(channel * 4 + row * 2 + column) * 6 + place]);
        }
    }
    let constant = onnx(18)
        .input("x", F, &[D::S("batch"), D::N(8), D::N(6)])
        .constant("i", t_i64(&[2], &[4, 3]))
        .constant("b", t_i64(&[2], &[2, 2]));
    near(&node(constant).output("y").f32(&[x(&[1, 8, 6], &data)]), &want);
    let m = onnx(18).input("x", F, &dims(&[1, 8, 6])).input("i", I, &dims(&[2])).input("b", I, &dims(&[2]));
    let m = declared(node(m), "y", &[1, 2, 4, 3]).import().unwrap();
    let run = |block: &[i64]| try_run(&m, &[x(&[1, 8, 6], &data), xi(&[2], &[4, 3]), xi(&[2], block)]);
    near(run(&[2, 2]).unwrap()[0].as_f32().unwrap(), &want);
    assert!(run(&[3, 2]).unwrap_err().contains(REQUIRED));
}

#[test]
fn regions_are_means_of_samples() {
    // A plane: between elements every sample is the plane's value, and a bin's mean that of its middle.
    let plane: Vec<f32> = (0..2 * 5 * 6).map(|i| (i / 30 * 100 + i % 30 / 6 * 10 + i % 6) as f32).collect();
    let m = |mode: &str| {
        onnx(16)
            .input("x", F, &[D::N(2), D::N(1), D::N(5), D::N(6)])
            .input("r", F, &[D::S("regions"), D::N(4)])
            .input("b", I, &[D::S("regions")])
            .node(
                "RoiAlign",
                &["x", "r", "b"],
                &["y"],
                &[
                    string("mode", mode),
                    string("coordinate_transformation_mode", "output_half_pixel"),
                    int("output_height", 1),
                    int("output_width", 2),
                    int("sampling_ratio", 2),
                ],
            )
            .output("y")
    };
    let inputs =
        |b: &[i64]| vec![x(&[2, 1, 5, 6], &plane), x(&[2, 4], &[1.0, 1.0, 3.0, 3.0, 0.0, 0.0, 4.0, 2.0]), xi(&[2], b)];
    near(&m("avg").f32(&inputs(&[1, 0])), &[121.5, 122.5, 11.0, 13.0]);
    // Of four samples the one at row 2.5, column 1.75: its neighbour (3, 2) has the weight 1/2 * 3/4.
    let got = m("max").f32(&inputs(&[0, 0]));
    near(&got[..1], &[0.5 * 0.75 * 32.0]);
    assert!(try_run(&m("avg").import().unwrap(), &inputs(&[-1, 0])).unwrap_err().contains("range"));
}
