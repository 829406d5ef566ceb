//! The benchmark: Lockstep beside candle, tract and onnxruntime on the same work in one run (`make bench`).

mod calls;
mod cases;
mod measure;
mod ours;
mod peers;
mod report;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::cases::{Bench, Row};

/// Measures, and writes what was measured.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Measures with so many threads and writes the rows as JSON.
    Run {
        /// Threads of every contender; candle takes them from RAYON_NUM_THREADS.
        #[arg(long)]
        threads: usize,
        /// Rounds in which all contenders take their turn.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// Seconds of one turn.
        #[arg(long, default_value_t = 0.1)]
        seconds: f64,
        /// Folder with the ONNX files of models.py.
        #[arg(long)]
        models: PathBuf,
        /// Python with onnxruntime.
        #[arg(long)]
        python: PathBuf,
        /// Only cases with this in their name.
        #[arg(long)]
        only: Option<String>,
        /// Where the rows go.
        #[arg(long)]
        out: PathBuf,
    },
    /// Joins runs: summary.json, and docs/benchmarks.md with its plot.
    Report {
        /// What `run` wrote.
        runs: Vec<PathBuf>,
        /// The machine in words.
        #[arg(long)]
        machine: String,
        /// Folder of summary.json.
        #[arg(long)]
        out: PathBuf,
        /// Folder of the page.
        #[arg(long)]
        docs: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Step::Run { threads, rounds, seconds, models, python, only, out } => {
            let mut bench = Bench { threads, rounds, seconds, models, only, python, rows: Vec::new() };
            bench.run()?;
            std::fs::write(&out, serde_json::to_string_pretty(&bench.rows)?).with_context(|| out.display().to_string())
        }
        Step::Report { runs, machine, out, docs } => {
            let mut rows: Vec<Row> = Vec::new();
            for run in runs {
                let text = std::fs::read_to_string(&run).with_context(|| run.display().to_string())?;
                rows.extend(serde_json::from_str::<Vec<Row>>(&text)?);
            }
            report::write(&rows, &machine, &out, &docs)
        }
    }
}
