//! Checks this machine against `engine/conformance.toml`, or writes that file.
//!
//! `cargo run --release -p lockstep-engine --example conformance [-- --write | --one-thread]`

#![allow(clippy::disallowed_methods)] // a tool beside the engine: it reads the clock and writes a file

use std::process::ExitCode;
use std::time::Instant;

use lockstep_engine::conformance::{Fault, RECORDED, Way, check, operators, record};
use lockstep_engine::fast::{Level, Threads};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => run(true),
        ["--one-thread"] => run(false),
        ["--write"] => write(),
        _ => {
            eprintln!("usage: conformance [--write | --one-thread]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("conformance: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(several: bool) -> Result<(), Fault> {
    let mut ways = vec![Way::REFERENCE];
    for level in Level::available() {
        for (threads, batch) in [(1, None), (2, None), (1, Some(1))] {
            if several || threads == 1 {
                ways.push(Way { fast: Some((level, Threads::new(threads))), batch });
            }
        }
    }
    for way in ways {
        let began = Instant::now();
        check(&way)?;
        println!("{}: {} operators as approved, {} ms", way, operators().len(), began.elapsed().as_millis());
    }
    Ok(())
}

fn write() -> Result<(), Fault> {
    let text = record()?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance.toml");
    let changed = text.lines().filter(|l| !RECORDED.lines().any(|r| r == *l)).count();
    std::fs::write(path, text).map_err(|_| Fault::Environment("conformance.toml cannot be written"))?;
    println!("{path}: {changed} lines new or changed");
    Ok(())
}
