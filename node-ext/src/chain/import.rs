//! Importing a file of RLP blocks, by the same validation as any other block.

use super::{Chain, ChainError};
use crate::primitives::Block;
use alloy_rlp::Decodable;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long an import waits for this node to become able to execute a block: a large model may still be loading.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a concatenation of RLP blocks.
    #[error("block {index} of {path} does not decode: {source}")]
    Decode {
        /// The file.
        path: PathBuf,
        /// How many blocks came before.
        index: usize,
        /// The decoder's reason.
        source: alloy_rlp::Error,
    },
    /// A block was refused.
    #[error("after {imported} blocks: {source}")]
    Chain {
        /// How many blocks were imported.
        imported: usize,
        /// The reason.
        source: ChainError,
    },
}

/// Imports all blocks of `path` and makes the last one the head, unless the head descends from it already. Returns how
/// many there were.
pub fn import_file(chain: &Chain, path: &Path) -> Result<usize, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::File { path: path.to_path_buf(), source })?;
    let mut rest = bytes.as_slice();
    let mut imported = 0;
    while !rest.is_empty() {
        let block = Block::decode(&mut rest).map_err(|source| ImportError::Decode {
            path: path.to_path_buf(),
            index: imported,
            source,
        })?;
        one(chain, block).map_err(|source| ImportError::Chain { imported, source })?;
        imported += 1;
    }
    Ok(imported)
}

fn one(chain: &Chain, block: Block) -> Result<(), ChainError> {
    let number = block.header.number;
    let hash = block.header.hash_slow();
    if number == 0 {
        // Genesis may lead the file.
        return match hash == chain.genesis_hash() {
            true => Ok(()),
            false => Err(ChainError::invalid(hash, "the file starts with the genesis of another chain")),
        };
    }
    // Importing again must not take back what came after.
    if chain.store().canonical_hash(number)? == Some(hash) {
        return Ok(());
    }
    let began = Instant::now();
    loop {
        match chain.import(block.clone()) {
            Err(ChainError::Stalled { reason, .. }) if began.elapsed() < PATIENCE => {
                tracing::debug!(number, reason, "the import waits");
                std::thread::sleep(Duration::from_millis(20));
            }
            imported => return imported.and_then(|hash| chain.set_head(hash)).map(drop),
        }
    }
}
