//! Memory of results that nothing reads any more, for the results that follow: the allocator would give large blocks
//! back to the system, and each page of a new one costs a fault.

use std::sync::{Mutex, PoisonError};

use crate::tensor::{Data, Tensor};

/// Floats of the shortest block that is worth keeping.
const LEAST: usize = 1 << 12;
/// Most floats that all runs of the process keep together: 64 MiB.
const MOST: usize = 1 << 24;
/// Most blocks.
const BLOCKS: usize = 64;

/// The last one given back is last: it may still be in a cache.
static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// `vec![0.0; n]`.
pub(crate) fn zeroed(n: usize) -> Vec<f32> {
    if n < LEAST {
        return vec![0.0; n];
    }
    let found = {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        // Not more than twice as long, so that a small result does not hold a large block.
        let at = spare.iter().rposition(|b| (n..=2 * n).contains(&b.capacity()));
        at.map(|i| spare.remove(i))
    };
    match found {
        Some(mut block) => {
            block.clear();
            block.resize(n, 0.0);
            block
        }
        None => vec![0.0; n],
    }
}

/// Keeps the memory of a tensor, or frees it where enough is kept.
pub(crate) fn keep(t: Tensor) {
    if let Data::F32(block) = t.data {
        keep_floats(block);
    }
}

/// The same of a vector.
pub(crate) fn keep_floats(block: Vec<f32>) {
    if block.capacity() < LEAST {
        return;
    }
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    let kept: usize = spare.iter().map(Vec::capacity).sum();
    if spare.len() < BLOCKS && kept.saturating_add(block.capacity()) <= MOST {
        spare.push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_zero_and_has_the_length_that_was_asked_for() {
        for n in [0, 1, LEAST - 1, LEAST, LEAST + 1, 3 * LEAST, 5 * LEAST / 2] {
            for _ in 0..3 {
                let mut block = zeroed(n);
                assert!(block.len() == n && block.iter().all(|x| x.to_bits() == 0));
                block.fill(f32::NAN);
                keep(Tensor::vector(block));
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long: Vec<f32> = vec![1.0; MOST + 1];
        keep(Tensor::vector(long));
        (0..2 * BLOCKS).for_each(|_| keep(Tensor::vector(vec![1.0; LEAST])));
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(spare.len() <= BLOCKS && spare.iter().map(Vec::capacity).sum::<usize>() <= MOST);
    }
}
