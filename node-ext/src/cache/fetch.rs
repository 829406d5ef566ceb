//! Getting a model from sources, none of which is believed: each leaf is hashed before it is kept.

use super::{Cache, CacheError, Part, Parts, io, source::Source};
use alloy_primitives::B256;
use lockstep_engine::{Limits, format::merkle::LEAF_SIZE};
use std::{
    fs::OpenOptions,
    io::{Read, Seek, SeekFrom, Write},
};

/// Leaves asked for at a time.
const LEAVES: usize = 40;

/// How a model is got.
#[derive(Debug, Clone, Copy)]
pub struct FetchOptions {
    /// What a model may be like.
    pub limits: Limits,
    /// Attempts at each source before the next one is asked.
    pub attempts: usize,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), attempts: 2 }
    }
}

/// What has been got.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Bytes of weights that are there and right.
    pub done: u64,
    /// All bytes of weights.
    pub total: u64,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes of weights that came now.
    pub bytes: u64,
    /// Bytes of weights that an earlier attempt had left, and that were found right.
    pub resumed: u64,
    /// What sources did wrong on the way.
    pub troubles: Vec<String>,
}

/// Gets a model into the cache from the first source that gives it. What is right is kept on disk at once, so that an
/// attempt that ends, for whatever reason, is gone on with by the next one, and by the next source.
pub fn fetch(
    cache: &Cache,
    sources: &[&dyn Source],
    id: B256,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, CacheError> {
    let mut fetched = Fetched { bytes: 0, resumed: 0, troubles: Vec::new() };
    if cache.contains(id) {
        return Ok(fetched);
    }
    let mut first = true;
    for source in sources {
        for _ in 0..options.attempts {
            let done = one(cache, *source, id, options, &mut fetched, first, progress);
            first = false;
            match done {
                Ok(()) => return Ok(fetched),
                Err(Trouble::Here(error)) => return Err(error),
                Err(Trouble::Source(reason)) => {
                    tracing::warn!(alarm = "source_failed", model = %id, source = source.name(), reason, "a source failed");
                    fetched.troubles.push(format!("{}: {reason}", source.name()));
                }
            }
        }
    }
    Err(CacheError::Sources { id, reasons: fetched.troubles })
}

enum Trouble {
    Here(CacheError),
    Source(String),
}

impl From<CacheError> for Trouble {
    fn from(error: CacheError) -> Self {
        Self::Here(error)
    }
}

fn one(
    cache: &Cache,
    source: &dyn Source,
    id: B256,
    options: &FetchOptions,
    fetched: &mut Fetched,
    first: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Trouble> {
    let limits = &options.limits;
    let get = |part, from, most| source.read(id, part, from, most).map_err(|e| Trouble::Source(e.to_string()));
    let graph = get(Part::Graph, 0, limits.max_graph_bytes)?;
    let leaves = get(Part::Leaves, 0, 32 * limits.max_weight_bytes.div_ceil(LEAF_SIZE as u64))?;
    let parts = Parts::proven(id, graph, &leaves).map_err(Trouble::Source)?;
    lockstep_engine::model::check_graph(&parts.graph, limits).map_err(|e| Trouble::Here(e.into()))?;
    let dir = cache.begin(&parts)?;
    let path = dir.join(Part::Weights.name());
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io(&path))?;

    // What an earlier attempt left is hashed like everything else; from the first wrong leaf on it is got again.
    let mut there = Vec::new();
    file.read_to_end(&mut there).map_err(io(&path))?;
    let (mut right, _) = parts.check(0, &there);
    let length = |leaves: usize| (leaves as u64 * LEAF_SIZE as u64).min(parts.weights_length);
    file.set_len(length(right)).map_err(io(&path))?;
    file.seek(SeekFrom::Start(length(right))).map_err(io(&path))?;
    if first {
        fetched.resumed = length(right);
    }
    drop(there);
    while right < parts.leaves.len() {
        progress(Progress { done: length(right), total: parts.weights_length });
        let wanted = length(right + LEAVES) - length(right);
        let bytes = get(Part::Weights, length(right), wanted)?;
        let (whole, wrong) = parts.check(right, &bytes);
        let good = length(right + whole) - length(right);
        file.write_all(&bytes[..good as usize]).map_err(io(&path))?;
        fetched.bytes += good;
        right += whole;
        if let Some(leaf) = wrong {
            return Err(Trouble::Source(format!(
                "leaf {leaf} of the weights has another hash than the model's name wants"
            )));
        }
        if good < wanted {
            return Err(Trouble::Source(format!("{good} bytes came where {wanted} were asked for")));
        }
    }
    file.sync_all().map_err(io(&path))?;
    progress(Progress { done: parts.weights_length, total: parts.weights_length });
    cache.publish(&parts)?;
    Ok(())
}
