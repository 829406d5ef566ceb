//! Threads split outputs, never sums.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Most threads of one operator, and of the pool that all runs of the process share.
pub const MAX_THREADS: usize = 64;

/// How many threads one operator may use.
#[derive(Debug, Clone, Copy)]
pub struct Threads {
    count: usize,
    /// Work of one part below which another thread is not worth waking.
    grain: u64,
}

impl Threads {
    /// At least one, at most [`MAX_THREADS`].
    pub fn new(count: usize) -> Self {
        // Waking a thread takes some five microseconds: a quarter of a million multiply-adds.
        Self { count: count.clamp(1, MAX_THREADS), grain: 1 << 18 }
    }

    /// Threads however small the work is.
    #[cfg(test)]
    pub(crate) fn always(count: usize) -> Self {
        Self { grain: 1, ..Self::new(count) }
    }

    /// The number.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Splits `out` into runs of whole `unit`s and calls `f(first_unit, part)` for each, on several threads
    /// where `work` (multiply-adds, say) makes that worth it. Every thread checks its floating-point environment.
    pub fn split<T: Send>(
        &self,
        out: &mut [T],
        unit: usize,
        work: u64,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<(), &'static str> {
        let units = out.len().checked_div(unit).unwrap_or(0);
        let n = self.count.min(units).min(usize::try_from(work / self.grain).unwrap_or(usize::MAX));
        let pool = if n > 1 { pool() } else { None };
        let Some(pool) = pool else {
            f(0, out);
            return Ok(());
        };
        let per = units.div_ceil(n);
        let parts = out.len().div_ceil(per * unit);
        let mut done = vec![Ok(()); parts];
        let run = |i: usize, part: &mut [T]| {
            crate::float::env::check()?;
            catch_unwind(AssertUnwindSafe(|| f(i * per, part))).map_err(|_| "a worker thread panicked")
        };
        let run = &run;
        pool.in_place_scope(|scope| {
            let mut parts = out.chunks_mut(per * unit).zip(&mut done).enumerate();
            // The first part is the caller's own.
            let first = parts.next();
            parts.for_each(|(i, (part, done))| scope.spawn(move |_| *done = run(i, part)));
            if let Some((i, (part, done))) = first {
                *done = run(i, part);
            }
        });
        done.into_iter().collect()
    }
}

/// Checks the floating-point environment of this thread and of every thread of the pool; gives how many those are.
pub fn check_workers() -> Result<usize, &'static str> {
    crate::float::env::check()?;
    let Some(pool) = pool() else { return Ok(1) };
    let all = pool.broadcast(|_| crate::float::env::check());
    let count = all.len() + 1;
    all.into_iter().collect::<Result<(), _>>().map(|()| count)
}

/// The process's pool: a thread for each CPU, started at first use. `None` where threads cannot be started; then the
/// caller works alone. Which thread computes a part, and how many there are, changes no bit.
fn pool() -> Option<&'static rayon::ThreadPool> {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    POOL.get_or_init(|| {
        if cfg!(target_family = "wasm") {
            return None;
        }
        let count = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
        let name = |i| format!("lockstep-compute-{i}");
        rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(name).build().ok()
    })
    .as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_units_in_their_places() {
        for (length, unit, count) in [(0, 1, 4), (1, 1, 4), (7, 1, 3), (24, 4, 5), (1000, 10, 64)] {
            let mut out = vec![0usize; length];
            let fill = |first: usize, part: &mut [usize]| {
                assert_eq!(part.len() % unit, 0);
                part.iter_mut().enumerate().for_each(|(i, o)| *o = first * unit + i);
            };
            Threads::always(count).split(&mut out, unit, u64::MAX, fill).unwrap();
            assert_eq!(out, (0..length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_in_a_part_is_this_machine_s_failure() {
        let mut out = [0u8; 8];
        let fail = |first: usize, _: &mut [u8]| assert_ne!(first, 4, "on purpose");
        assert_eq!(Threads::always(2).split(&mut out, 1, u64::MAX, fail), Err("a worker thread panicked"));
    }

    #[test]
    fn many_callers_share_the_pool() {
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| {
                    for _ in 0..200 {
                        let mut out = [0usize; 64];
                        let fill = |first: usize, part: &mut [usize]| part.fill(first + 1);
                        Threads::always(4).split(&mut out, 1, u64::MAX, fill).unwrap();
                        assert!(out.iter().all(|o| *o > 0));
                    }
                });
            }
        });
    }
}
