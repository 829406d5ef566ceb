//! How fast matrix products run: f32 and the quantised classes, at every level of this CPU, one thread.
//!
//! `cargo run --release -p lockstep-engine --example products [-- M,K,N ...]`. A multiply-add counts as two operations. With
//! M = 1 the weights come from memory: six copies take turns.

#![allow(clippy::disallowed_methods)] // It is a measurement, and no part of consensus.

use std::hint::black_box;
use std::time::Instant;

use lockstep_engine::fast::{Budget, Level, Prepared, Threads, prepare, run_at};
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::ops::quantized::{QuantizedMatMul, WeightClass};
use lockstep_engine::{DType, Data, Op, Tensor, TensorType};

/// Numbers that look random.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn floats(&mut self, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        let data = Data::F32((0..n).map(|_| self.next() as f32 / (1u32 << 30) as f32 - 1.0).collect());
        Tensor { shape: shape.to_vec(), data }
    }

    fn bytes(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        let data = match dtype {
            DType::I8 => Data::I8((0..n).map(|_| (self.next() % 255) as i32 as i8).map(|w| w.max(-127)).collect()),
            _ => Data::U8((0..n).map(|_| self.next() as u8 & 0x3f).collect()),
        };
        Tensor { shape: shape.to_vec(), data }
    }
}

/// Operator and right side.
fn product(class: Option<(WeightClass, u32)>, k: usize, n: usize, noise: &mut Noise) -> (Op, Vec<Option<Tensor>>) {
    let Some((class, block)) = class else { return (MatMul {}.into(), vec![None, Some(noise.floats(&[k, n]))]) };
    let scale = match block {
        0 => Tensor { shape: vec![n], data: Data::F32(vec![0.01; n]) },
        b => noise.bytes(DType::U8, &[n, k.div_ceil(b as usize), 2]),
    };
    let low = (class == WeightClass::I16).then(|| noise.bytes(DType::U8, &[n, k]));
    let w = noise.bytes(DType::I8, &[n, k]);
    (QuantizedMatMul { class, block }.into(), vec![None, Some(w), Some(scale), low])
}

fn main() {
    let shapes: Vec<Vec<usize>> = std::env::args()
        .skip(1)
        .map(|s| s.split(',').filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .filter(|s| s.len() == 3)
        .collect();
    let all = [[128, 4096, 4096], [256, 768, 768], [1, 4096, 4096], [1, 768, 3072]].map(|s| s.to_vec());
    let shapes = if shapes.is_empty() { all.to_vec() } else { shapes };
    let classes = [
        ("f32", None),
        ("I8, blocks of 32", Some((WeightClass::I8, 32))),
        ("I8, channels", Some((WeightClass::I8, 0))),
        ("I16, blocks of 256", Some((WeightClass::I16, 256))),
        ("I16, channels", Some((WeightClass::I16, 0))),
    ];
    for shape in shapes {
        let [m, k, n] = shape[..] else { continue };
        for level in Level::available() {
            for (name, class) in classes {
                let mut noise = Noise(1);
                let copies = if m == 1 { 6 } else { 1 };
                let x = noise.floats(&[m, k]);
                let out = TensorType::known(DType::F32, &[m, n]);
                let sides: Vec<(Op, Vec<Option<Tensor>>, Prepared)> = (0..copies)
                    .map(|_| {
                        let (op, right) = product(class, k, n, &mut noise);
                        let known: Vec<Option<&Tensor>> = right.iter().map(Option::as_ref).collect();
                        let prepared = prepare(&op, &known, &mut Budget::new(1 << 30));
                        (op, right, prepared)
                    })
                    .collect();
                let mut times = Vec::new();
                let began = Instant::now();
                while times.len() < 7 || began.elapsed().as_millis() < 600 {
                    let (op, right, prepared) = &sides[times.len() % copies];
                    let mut operands: Vec<Option<&Tensor>> = right.iter().map(Option::as_ref).collect();
                    operands[0] = Some(&x);
                    let t = Instant::now();
                    let _ = black_box(run_at(level, op, prepared, &operands, &out, &Threads::new(1)));
                    times.push(t.elapsed().as_secs_f64());
                }
                times.sort_by(f64::total_cmp);
                let operations = 2.0 * (m * k * n) as f64 * 1e-9;
                println!(
                    "{m}x{k}x{n}  {:<9} {name:<19} {:7.1} GOP/s  (best {:.1})",
                    level.name(),
                    operations / times[times.len() / 2],
                    operations / times[0]
                );
            }
        }
    }
}
