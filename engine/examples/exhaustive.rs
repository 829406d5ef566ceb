//! Shows that the elementary functions are correctly rounded (spec NUM-7): all 2^32 inputs of each, and that those in
//! lanes have the same bits.
//!
//! `cargo run --release -p lockstep-engine --example exhaustive -- [--threads N] [--every N] [FUNCTION...]`
//! Functions by name; without one all, pow and lanes. Exit status 1 where one is wrong.

#![allow(clippy::disallowed_methods)] // a tool beside the engine: it reads the clock, and calls oracles

mod oracle;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lockstep_engine::fast::{Level, elementary};
use lockstep_engine::float::elementary as e;
use oracle::{FUNCTIONS, Findings, same};

/// The argument that checks the functions in lanes against the scalar ones.
const LANES: &str = "lanes";
type Lanes = fn(Level, &[f32], &mut [f32]);
type Scalar = fn(f32) -> f32;

const PART: u64 = 1 << 22;
const POW_CASES: u64 = 1 << 28;

fn main() {
    let (mut threads, mut every, mut names) = (2, 1u64, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(a) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        match a.as_str() {
            "--threads" => threads = number().unwrap_or_else(|| usage()),
            "--every" => every = number().unwrap_or_else(|| usage()),
            name if name == "pow" || name == LANES || FUNCTIONS.iter().any(|f| f.name == name) => names.push(a),
            _ => usage(),
        }
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let mut wrong = 0;
    for f in FUNCTIONS.iter().filter(|f| wanted(f.name)) {
        wrong +=
            report(f.name, threads, 1 << 32, &|first, end| f.check(first.next_multiple_of(every), end, every, 1 << 20));
    }
    if wanted(LANES) {
        for (name, lanes, scalar) in [
            ("exp", elementary::exp as Lanes, e::exp as Scalar),
            ("tanh", elementary::tanh, e::tanh),
            ("erf", elementary::erf, e::erf),
        ] {
            for level in Level::available() {
                let found = report(&format!("{name}, lanes of {}", level.name()), threads, 1 << 32, &|first, end| {
                    compare_lanes(level, lanes, scalar, first.next_multiple_of(every), end, every)
                });
                wrong += found;
            }
        }
    }
    if wanted("pow") {
        wrong += report("pow", threads, POW_CASES / every, &|first, end| {
            let mut found = Findings::default();
            (first..end).for_each(|n| {
                let (x, y) = oracle::pow_case(n);
                oracle::check_pow(x, y, n.is_multiple_of(1 << 14), &mut found);
            });
            if first == 0 {
                oracle::pow_ties().iter().for_each(|(x, y)| oracle::check_pow(*x, *y, true, &mut found));
            }
            found
        });
    }
    if wrong > 0 {
        std::process::exit(1);
    }
}

/// Lanes have the scalar function's bits.
fn compare_lanes(level: Level, lanes: Lanes, scalar: Scalar, first: u64, end: u64, every: u64) -> Findings {
    let mut found = Findings::default();
    let inputs = (first..end).step_by(every as usize).map(|bits| f32::from_bits(bits as u32));
    let mut inputs = inputs.peekable();
    let (mut x, mut y) = (Vec::new(), vec![0.0; 4096]);
    while inputs.peek().is_some() {
        x.clear();
        x.extend(inputs.by_ref().take(4096));
        let y = &mut y[..x.len()];
        lanes(level, &x, y);
        found.inputs += x.len() as u64;
        for (x, y) in x.iter().zip(y) {
            let want = scalar(*x);
            if !same(*y, want) {
                found.wrong.push([x, y, &want].map(|v| v.to_bits()));
            }
        }
    }
    found
}

fn usage() -> ! {
    let names: Vec<_> = FUNCTIONS.iter().map(|f| f.name).collect();
    eprintln!("usage: exhaustive [--threads N] [--every N] [pow lanes {}]", names.join(" "));
    std::process::exit(2)
}

/// Runs `check` over parts of 0..end, prints what came of it, and gives the number of wrong results.
fn report(name: &str, threads: u64, end: u64, check: &(dyn Fn(u64, u64) -> Findings + Sync)) -> usize {
    let (began, next) = (Instant::now(), AtomicU64::new(0));
    let found = std::thread::scope(|s| {
        let worker = || {
            let mut found = Findings::default();
            loop {
                let first = next.fetch_add(PART, Ordering::Relaxed);
                if first >= end {
                    return found;
                }
                if std::io::stderr().is_terminal() {
                    eprint!("\r{name} {:3} %", first * 100 / end);
                    std::io::stderr().flush().ok();
                }
                found = found.and(check(first, end.min(first + PART)));
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| s.spawn(worker)).collect();
        handles.into_iter().map(|h| h.join().expect("a worker")).fold(Findings::default(), Findings::and)
    });
    if std::io::stderr().is_terminal() {
        eprint!("\r");
    }
    println!(
        "{name:6} {:10} inputs, {:7} by many bits, {} wrong; pxfm: {} wrong; binary64 left its band on {}; {:.0} s",
        found.inputs,
        found.decided,
        found.wrong.len(),
        found.other_wrong.len(),
        found.band_left.len(),
        began.elapsed().as_secs_f64(),
    );
    let mut other = found.other_wrong.clone();
    other.sort_unstable();
    for [x, got, want] in other.iter().take(10) {
        let [x, got, want] = [*x, *got, *want].map(f32::from_bits);
        println!("       pxfm: {name}({x:e}) is {want:e}, not {got:e}");
    }
    for bits in found.wrong.iter().take(10) {
        let [a, b, c] = bits.map(f32::from_bits);
        match name {
            "pow" => println!("       WRONG: pow({a:e}, {b:e}) is not {c:e}"),
            _ => println!("       WRONG: {name}({a:e}) is {c:e}, not {b:e}"),
        }
    }
    found.wrong.len() + found.band_left.len()
}
