//! Threads split outputs, never sums.

/// Most threads of one operator.
pub const MAX_THREADS: usize = 64;

/// How many threads one operator may use.
#[derive(Debug, Clone, Copy)]
pub struct Threads {
    count: usize,
    /// Work below which a thread is not worth its start.
    grain: u64,
}

impl Threads {
    /// At least one, at most [`MAX_THREADS`].
    pub fn new(count: usize) -> Self {
        // Starting a thread takes some ten microseconds: half a million multiply-adds.
        Self { count: count.clamp(1, MAX_THREADS), grain: 1 << 19 }
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
        if n <= 1 || cfg!(target_family = "wasm") {
            f(0, out);
            return Ok(());
        }
        let per = units.div_ceil(n);
        std::thread::scope(|s| {
            let f = &f;
            let handles: Vec<_> = out
                .chunks_mut(per * unit)
                .enumerate()
                .map(|(i, part)| {
                    s.spawn(move || {
                        crate::float::env::check()?;
                        f(i * per, part);
                        Ok(())
                    })
                })
                .collect();
            handles.into_iter().try_for_each(|h| h.join().map_err(|_| "a worker thread panicked")?)
        })
    }
}
