//! Parts of a model for other nodes, from the chain's state, and from the cache what is not there (spec CACHE-3).

use super::{ModelError, read::record};
use crate::{
    cache::{
        CacheError, Part,
        source::{Directory, Source},
    },
    storage::StateReader,
};
use alloy_primitives::{Address, B256, Bytes};
use lockstep_engine::format::merkle::LEAF_SIZE;
use lockstep_precompile::registry::CHUNK_PREFIX;
use std::path::Path;

/// Bytes `from` to `from + most` of a part, as far as it goes. A chunk's code hash is its leaf's hash (REG-2), so that
/// leaves cost no hashing, and only the chunks asked for are read.
///
/// What comes from the cache is not hashed here: whoever asks hashes it on arrival.
pub(crate) fn part(
    state: &StateReader,
    cache: Option<&Path>,
    id: B256,
    part: Part,
    from: u64,
    most: u64,
) -> Result<Bytes, ModelError> {
    let record = record(state, id)?;
    if record.is_off_chain() && part != Part::Graph {
        let dir = cache.ok_or(CacheError::NoCache)?;
        let read = Directory(dir.to_owned()).read(id, part, from, most);
        return Ok(read.map_err(|_| CacheError::Absent(id))?.into());
    }
    let (chunks, size) = match part {
        Part::Graph => (&record.graph_chunks, LEAF_SIZE),
        Part::Leaves => (&record.weight_chunks, 32),
        Part::Weights => (&record.weight_chunks, LEAF_SIZE),
    };
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let mut skip = from % size;
    for chunk in chunks.iter().skip(from / size) {
        if bytes.len() >= most {
            break;
        }
        let piece = piece(state, id, part, *chunk)?;
        let piece = piece.get(skip..).unwrap_or_default();
        bytes.extend_from_slice(&piece[..piece.len().min(most - bytes.len())]);
        skip = 0;
    }
    Ok(bytes.into())
}

fn piece(state: &StateReader, id: B256, part: Part, chunk: Address) -> Result<Vec<u8>, ModelError> {
    let damaged = ModelError::NotAChunk { id, chunk };
    if part == Part::Leaves {
        return Ok(state.account(chunk)?.ok_or(damaged)?.code_hash.to_vec());
    }
    match state.code(chunk)?.split_first() {
        Some((&CHUNK_PREFIX, rest)) => Ok(rest.to_vec()),
        _ => Err(damaged),
    }
}
