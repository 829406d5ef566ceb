//! The self-test at start: does this machine, in this process, compute LS1?

use lockstep_engine::{
    conformance::{self, Fault, Way},
    fast::{Level, check_workers},
    float::{env, fma32},
    resident::flip,
};
use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

/// How it is carried out.
#[derive(Debug, Clone, Default)]
pub struct SelfTest {
    /// An operator (as engine/conformance.toml names it) whose kernel gets one wrong bit: for proving that it is found.
    pub wrong_kernel: Option<String>,
}

/// What was found well.
#[derive(Debug, Clone)]
pub struct Report {
    /// Operators whose bits are the approved ones.
    pub operators: usize,
    /// Ways to compute them: the reference, and each instruction set.
    pub ways: Vec<&'static str>,
    /// Threads whose floating-point environment was looked at.
    pub threads: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why this machine must not seal.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Rounding, subnormals or traps are not LS1's.
    #[error("the floating-point environment is not LS1's: {0}; a library in this process has changed it")]
    Environment(&'static str),
    /// Control registers look right, results do not.
    #[error("subnormal numbers are flushed to zero in this process, although its control register says otherwise")]
    Subnormals,
    /// A fused multiply-add that rounds twice.
    #[error("a fused multiply-add rounds twice: fma(2^-12 + 1, 2^-12 + 1, -(2^-11 + 1)) is {0:e}, 2^-24 is expected")]
    Fma(f32),
    /// Other bits than approved.
    #[error("{0}; do not run a node on this machine before the cause (processor, memory, build) is known")]
    Conformance(#[from] Fault),
    /// The test itself could not run.
    #[error("the self-test could not start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The test itself died.
    #[error("the self-test panicked: a kernel of this build fails on this machine")]
    Panicked,
}

impl SelfTest {
    /// Runs it.
    pub fn run(&self) -> Result<Report, Unfit> {
        let began = Instant::now();
        floats()?;
        let workers = check_workers().map_err(Unfit::Environment)?;
        let levels = Level::available();
        let ways: Vec<Way> = [Way::REFERENCE].into_iter().chain(levels.iter().copied().map(Way::fast)).collect();
        // Threads that are started later inherit from this one; and a panic stays in there.
        std::thread::scope(|scope| {
            let start =
                |way| std::thread::Builder::new().name("self-test".into()).spawn_scoped(scope, move || self.one(way));
            let started = ways.iter().map(start).collect::<Result<Vec<_>, _>>()?;
            started.into_iter().try_for_each(|thread| thread.join().map_err(|_| Unfit::Panicked)?)
        })?;
        Ok(Report {
            operators: conformance::operators().len(),
            ways: ["reference"].into_iter().chain(levels.into_iter().map(Level::name)).collect(),
            threads: workers + ways.len(),
            elapsed: began.elapsed(),
        })
    }

    /// All operators, computed in one way.
    fn one(&self, way: &Way) -> Result<(), Unfit> {
        floats()?;
        let once = Cell::new(self.wrong_kernel.clone().filter(|_| way.fast.is_some()));
        let kernel = |operator: &str, result| match once.take() {
            Some(wrong) if wrong == operator => flip(result, 0),
            wrong => {
                once.set(wrong);
                result
            }
        };
        Ok(conformance::check_through(way, &kernel)?)
    }
}

/// What the control registers say, and what the arithmetic does.
fn floats() -> Result<(), Unfit> {
    env::check().map_err(Unfit::Environment)?;
    let smallest = black_box(f32::MIN_POSITIVE);
    if smallest * black_box(0.5) == 0.0 || black_box(f32::from_bits(1)) + black_box(0.0) == 0.0 {
        return Err(Unfit::Subnormals);
    }
    let x = black_box(1.0 + f32::EPSILON * 2048.0);
    let low = fma32(x, x, black_box(-(1.0 + f32::EPSILON * 4096.0)));
    (low == f32::EPSILON / 2.0).then_some(()).ok_or(Unfit::Fma(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes() {
        let report = SelfTest::default().run().unwrap();
        eprintln!("{report:?}");
        assert!(report.operators > 80 && report.threads >= 2 && report.ways[0] == "reference");
    }

    #[test]
    fn a_wrong_kernel_is_named() {
        let test = SelfTest { wrong_kernel: Some("MatMul".into()) };
        let error = test.run().unwrap_err();
        assert!(matches!(&error, Unfit::Conformance(Fault::Bits { operator, .. }) if operator == "MatMul"), "{error}");
    }

    /// What a library of the process has set is found, whether it set it here or before the workers began.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_thread_that_flushes_is_unfit() {
        let flushing = std::thread::spawn(|| {
            let control: u32 = 0x1f80 | 0x8000;
            // SAFETY: loads a valid control word on this thread only, which ends with the test.
            unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control) };
            (SelfTest::default().run().map(drop), crate::care::Duty::default().check())
        });
        let (test, duty) = flushing.join().unwrap();
        assert!(matches!(test, Err(Unfit::Environment(_))));
        assert!(matches!(duty, Err(crate::care::Stop::Environment(_))), "and such a thread seals nothing");
    }
}
