//! Fourier transforms and window functions.

mod dft;
mod stft;
mod window;

pub(super) use dft::dft;
pub(super) use stft::stft;
pub(super) use window::window;

use num_traits::Zero;

use crate::error::{Lowered, refuse};
use crate::exact::{Q, cos_sin, int, ratio, to_f32};

/// A discrete Fourier transform of real or complex rows, as a matrix that multiplies them from the right.
struct Transform {
    /// Elements of a row that are taken; (real, imaginary) count as one.
    taken: u64,
    /// Length of the transform.
    length: u64,
    /// Whether the operand has an imaginary part.
    complex: bool,
    inverse: bool,
    /// Forward: only the first length / 2 + 1 results. Inverse: only those are given, and the results are real.
    onesided: bool,
}

/// Elements of the matrix.
const MAX_WEIGHTS: u64 = 1 << 24;

impl Transform {
    /// Results of a row.
    fn results(&self) -> u64 {
        if self.onesided && !self.inverse { self.length / 2 + 1 } else { self.length }
    }

    /// Real numbers in each result.
    fn parts(&self) -> u64 {
        if self.onesided && self.inverse { 1 } else { 2 }
    }

    /// The matrix (taken * parts of the operand, results * parts), row-major. With t = 2 pi j k / length, forward:
    /// real + imaginary * i times cos t - sin t * i; inverse: times (cos t + sin t * i) / length.
    fn matrix(&self) -> Lowered<Vec<f32>> {
        let n = self.length;
        let (rows, columns) = (self.taken * (1 + u64::from(self.complex)), self.results() * self.parts());
        if n == 0 || n > 1 << 14 || rows.saturating_mul(columns) > MAX_WEIGHTS {
            return refuse!("a transform of length {n}, of {rows} numbers to {columns}: too large");
        }
        let divisor = int(if self.inverse { n as i64 } else { 1 });
        // The sign of the sine is that of the direction.
        let turns: Vec<[Q; 2]> = (0..n as i64)
            .map(|k| cos_sin(&ratio(if self.inverse { k } else { -k }, n as i64)).map(|v| v / &divisor))
            .collect();
        let rounded: Vec<[f32; 2]> = turns.iter().map(|t| [to_f32(&t[0]), to_f32(&t[1])]).collect();
        // The spectrum of a real row mirrors itself: what is not given counts with what is.
        let doubled: Vec<[f32; 2]> =
            turns.iter().map(|t| [to_f32(&(&t[0] * int(2))), to_f32(&(&t[1] * int(2)))]).collect();
        let mut out = vec![0.0; (rows * columns) as usize];
        let width = columns as usize;
        for j in 0..self.taken {
            for k in 0..self.results() {
                let mirrored = self.onesided && self.inverse && j > 0 && 2 * j < n;
                let table = if mirrored { &doubled } else { &rounded };
                let [c, s] = table[(u128::from(j) * u128::from(k) % u128::from(n)) as usize];
                let (row, column) = (j * (rows / self.taken), k * self.parts());
                let mut put = |part: u64, result: u64, v: f32| {
                    if result < self.parts() {
                        out[(row + part) as usize * width + (column + result) as usize] = v;
                    }
                };
                put(0, 0, c);
                put(0, 1, s);
                if self.complex {
                    put(1, 0, if s.is_zero() { 0.0 } else { -s });
                    put(1, 1, c);
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_of_four() {
        let t = Transform { taken: 4, length: 4, complex: false, inverse: false, onesided: true };
        let want = [
            [1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, -1.0, -1.0, 0.0],
            [1.0, 0.0, -1.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 1.0, -1.0, 0.0],
        ];
        assert_eq!(t.matrix().unwrap(), want.concat());
        let t = Transform { taken: 2, length: 2, complex: true, inverse: true, onesided: false };
        let want = [[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5], [0.5, 0.0, -0.5, 0.0], [0.0, 0.5, 0.0, -0.5]];
        assert_eq!(t.matrix().unwrap(), want.concat());
        let t = Transform { taken: 1, length: 0, complex: false, inverse: false, onesided: false };
        assert!(t.matrix().is_err());
    }
}
