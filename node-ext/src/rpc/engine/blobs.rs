//! `engine_getBlobs`: blobs that the pool has, for a consensus client that builds its own sidecars.

use super::TOO_LARGE;
use crate::{
    pool::blobs::Sidecar,
    rpc::{
        Api, Methods,
        error::{RpcResult, error},
    },
};
use alloy_eips::{
    eip4844::{BlobAndProofV1, BlobAndProofV2},
    eip7594::CELLS_PER_EXT_BLOB,
};
use alloy_primitives::B256;
use std::sync::Arc;

/// Blobs in one answer.
const BLOBS: usize = 128;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("engine_getBlobsV1", |api, args| {
            let (hashes, sidecars) = asked(api, args.next()?)?;
            Ok(hashes
                .iter()
                .map(|hash| sidecars.iter().find_map(|sidecar| with_proof(sidecar, hash)))
                .collect::<Vec<_>>())
        })
        // All of them, or null.
        .add("engine_getBlobsV2", |api, args| {
            let (hashes, sidecars) = asked(api, args.next()?)?;
            Ok(hashes
                .iter()
                .map(|hash| sidecars.iter().find_map(|sidecar| with_cell_proofs(sidecar, hash)))
                .collect::<Option<Vec<_>>>())
        });
}

fn asked(api: &Api, hashes: Vec<B256>) -> RpcResult<(Vec<B256>, Vec<Arc<Sidecar>>)> {
    if hashes.len() > BLOBS {
        return Err(error(
            TOO_LARGE,
            format!("Too large request: {} blobs, at most {BLOBS} in one answer", hashes.len()),
        ));
    }
    Ok((hashes, api.pool.sidecars()))
}

fn with_proof(sidecar: &Sidecar, hash: &B256) -> Option<BlobAndProofV1> {
    let Sidecar::Eip4844(sidecar) = sidecar else { return None };
    let index = sidecar.versioned_hashes().position(|known| known == *hash)?;
    Some(BlobAndProofV1 { blob: Box::new(*sidecar.blobs.get(index)?), proof: *sidecar.proofs.get(index)? })
}

fn with_cell_proofs(sidecar: &Sidecar, hash: &B256) -> Option<BlobAndProofV2> {
    let Sidecar::Eip7594(sidecar) = sidecar else { return None };
    let index = sidecar.versioned_hash_index(hash)?;
    let proofs = sidecar.cell_proofs.get(index * CELLS_PER_EXT_BLOB..(index + 1) * CELLS_PER_EXT_BLOB)?;
    Some(BlobAndProofV2 { blob: Box::new(*sidecar.blobs.get(index)?), proofs: proofs.to_vec() })
}
