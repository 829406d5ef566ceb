//! Timing contenders in turn, so that what disturbs the machine disturbs all of them.

use std::time::Instant;

use anyhow::Result;

/// One implementation of a case: runs it so many times and gives the seconds that took.
pub struct Contender<'a> {
    /// Its name.
    pub name: &'static str,
    /// Runs the case.
    pub run: Box<dyn FnMut(usize) -> Result<f64> + 'a>,
}

impl<'a> Contender<'a> {
    /// Of a function that runs the case once.
    pub fn new(name: &'static str, mut once: impl FnMut() -> Result<()> + 'a) -> Self {
        let run = move |times: usize| {
            let began = Instant::now();
            for _ in 0..times {
                once()?;
            }
            Ok(began.elapsed().as_secs_f64())
        };
        Self { name, run: Box::new(run) }
    }
}

/// Seconds of one run, a list by round for each contender.
pub type Samples = Vec<Vec<f64>>;

/// Runs all contenders in each round, each for about `seconds`.
pub fn in_turn(contenders: &mut [Contender<'_>], rounds: usize, seconds: f64) -> Result<Samples> {
    let mut times = Vec::new();
    for c in contenders.iter_mut() {
        (c.run)(1)?;
        let once = (c.run)(1)?.max(1e-8);
        times.push(((seconds / once) as usize).clamp(1, 1_000_000));
    }
    let mut samples = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for ((c, times), samples) in contenders.iter_mut().zip(&times).zip(&mut samples) {
            samples.push((c.run)(*times)? / *times as f64);
        }
    }
    Ok(samples)
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many times as fast as `theirs` is `ours`: the median of the rounds' ratios.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(&ours.iter().zip(theirs).map(|(o, t)| t / o).collect::<Vec<_>>())
}
