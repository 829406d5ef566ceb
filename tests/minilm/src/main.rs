//! all-MiniLM-L6-v2 imported, against candle-transformers on the committed sentences.
//!
//! `lockstep-minilm DIR f32=A.lsm [i16=B.lsm] [i8=C.lsm]`; scripts/minilm.sh installs the model, imports the classes and
//! runs this. `--profile` shows where the time goes, `--chain` publishes each
//! model to a dev chain and calls it from a contract. Exit status 1 where a class is less exact than it has to be.

mod candle;
mod chain;
mod encoder;
mod profile;
mod sentences;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use lockstep_cli::tokenizer::{Tokenizer, Tokens};
use lockstep_tests::kit;

use encoder::Encoder;
use sentences::{cosine, neighbours};

/// What a class of weights has to reach: lowest cosine to candle's f32, equal nearest neighbours of 100.
fn required(class: &str) -> Result<(f64, usize)> {
    Ok(match class {
        "f32" | "i16" => (0.999_999, 100),
        "i8" => (0.999, 98),
        other => bail!("'{other}' is no class of weights: f32, i16, i8"),
    })
}

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut flag = |name: &str| arguments.iter().position(|a| a == name).map(|i| arguments.remove(i)).is_some();
    let (profiled, on_chain, off_chain) = (flag("--profile"), flag("--chain"), flag("--off-chain"));
    let (directory, models) = arguments.split_first().context("a directory and CLASS=MODEL.lsm are expected")?;
    let directory = Path::new(directory);

    let count = sentences::check_tokens(directory)?;
    println!("tokens: {count} texts have the ids of Python's tokenizers");

    let texts = sentences::read()?;
    let tokenizer = Tokenizer::read(directory, None).map_err(|e| anyhow::anyhow!(e.to_text()))?;
    let tokens: Vec<Tokens> =
        texts.iter().map(|t| tokenizer.tokens(t).map_err(|e| anyhow::anyhow!(e.to_text()))).collect::<Result<_>>()?;
    let lengths: Vec<usize> = tokens.iter().map(|t| t.ids.len()).collect();
    let (shortest, longest) = (lengths.iter().min().context("no text")?, lengths.iter().max().context("no text")?);
    println!("sentences: {} of {shortest} to {longest} tokens", texts.len());

    let oracle = candle::embed(directory, &tokens)?;
    let nearest = neighbours(&oracle.embeddings);
    let related =
        nearest.iter().enumerate().filter(|(i, n)| *i / sentences::CLUSTER == **n / sentences::CLUSTER).count();
    println!(
        "candle f32: {:.1} ms a sentence; the nearest neighbour is of the same topic for {related}",
        oracle.milliseconds
    );
    ensure!(related >= 50, "the sentences are no test of meaning: {related} of {} neighbours related", texts.len());

    println!(
        "\n{:5} {:>11} {:>11} {:>10} {:>9} {:>12} {:>8} {:>10} {:>10}",
        "class", "cos lowest", "cos mean", "neighbours", "MB", "gas (16 tok)", "fast ms", "ref. ms", "call MB"
    );
    let mut failures = Vec::new();
    for model in models {
        let (class, path) = model.split_once('=').context("CLASS=MODEL.lsm is expected")?;
        let (least, least_equal) = required(class)?;
        let m = Encoder::load(Path::new(path))?;
        let run = m.embed(&tokens)?;
        let cosines: Vec<f64> = run.embeddings.iter().zip(&oracle.embeddings).map(|(a, b)| cosine(a, b)).collect();
        let lowest = cosines.iter().copied().fold(f64::MAX, f64::min);
        let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let equal = neighbours(&run.embeddings).iter().zip(&nearest).filter(|(a, b)| a == b).count();

        // Bits: a padded batch of all, the reference, and the precompile's own code say the same.
        m.check_batch(&tokens, &run.embeddings)?;
        let reference = m.check_reference(&tokens[..2], &run.embeddings)?;
        let sixteen = lengths.iter().position(|n| *n == 16).context("no sentence of 16 tokens")?;
        let call = m.call_data(&tokens[sixteen]);
        let answer = kit::call(Path::new(path), &call, u64::MAX >> 8)?;
        ensure!(answer.status == 0, "{class}: the precompile's status is {}", answer.status);
        m.check_answer(&answer.data, &run.embeddings[sixteen])?;

        println!(
            "{class:5} {lowest:>11.7} {mean:>11.7} {equal:>10} {:>9.1} {:>12} {:>8.1} {reference:>10.0} {:>10.1}",
            m.file_bytes as f64 / 1e6,
            answer.gas,
            run.milliseconds,
            m.peak_memory(16)? as f64 / 1e6,
        );
        if lowest < least || equal < least_equal {
            failures.push(format!("{class}: at least {least} and {least_equal} neighbours are required"));
        }
        if profiled {
            profile::by_operator(&m)?;
        }
        if on_chain {
            chain::check(class, Path::new(path), &m, directory, false)?;
        }
        if on_chain || off_chain {
            chain::check(class, Path::new(path), &m, directory, true)?;
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}
