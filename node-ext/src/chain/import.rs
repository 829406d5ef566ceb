//! Importing a file of RLP blocks, by the same validation as any other block.

use super::{Chain, ChainError};
use crate::primitives::Block;
use alloy_rlp::Decodable;
use std::path::{Path, PathBuf};

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

/// Imports all blocks of `path` and makes the last one the head. Returns how many there were.
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
        // Genesis may lead the file.
        if block.header.number > 0 {
            chain
                .import(block)
                .and_then(|hash| chain.set_head(hash))
                .map_err(|source| ImportError::Chain { imported, source })?;
        }
        imported += 1;
    }
    Ok(imported)
}
