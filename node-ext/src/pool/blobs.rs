//! Blob transactions (EIP-4844): they come with a sidecar, which is checked, kept apart, and handed to the consensus side
//! with the block that takes the transaction. Blocks never hold sidecars.

use super::PoolError;
use crate::primitives::{RecoveredTransaction, Transaction};
use alloy_consensus::{Signed, Transaction as _, TxEip4844Variant, TxEip4844WithSidecar};
use alloy_eips::{
    eip4844::{BlobTransactionSidecar, VERSIONED_HASH_VERSION_KZG},
    eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant, CELLS_PER_EXT_BLOB},
    eip7840::BlobParams,
};
use alloy_primitives::FixedBytes;
use c_kzg::{Blob, Bytes48, KzgSettings};

/// Blobs with commitments and proofs, in either form: one proof for each blob, or (from Osaka on) one for each cell.
pub(crate) type Sidecar = BlobTransactionSidecarVariant;

/// Largest blob transaction with its sidecar: six blobs, their proofs, and as much data as others may have.
pub(super) const MAX_BLOB_TRANSACTION_BYTES: usize = 6 * (131_072 + 48 * (CELLS_PER_EXT_BLOB + 1)) + 128 * 1024 + 1_024;
/// Most blob transactions of one sender.
pub(super) const MAX_BLOBS_PER_SENDER: usize = 16;
/// A blob transaction is replaced by one that pays at least this many percent more.
pub(super) const BLOB_REPLACEMENT_PERCENT: u128 = 100;

/// The transaction as blocks hold it, and its sidecar.
pub(crate) fn split(tx: RecoveredTransaction) -> (RecoveredTransaction, Option<Sidecar>) {
    let (tx, sender) = tx.into_parts();
    let (tx, sidecar) = match tx {
        Transaction::Eip4844(signed) => {
            let (variant, signature, hash) = signed.into_parts();
            let (inner, sidecar) = match variant {
                TxEip4844Variant::TxEip4844(inner) => (inner, None),
                TxEip4844Variant::TxEip4844WithSidecar(TxEip4844WithSidecar { tx, sidecar }) => (tx, Some(sidecar)),
            };
            (Transaction::Eip4844(Signed::new_unchecked(inner.into(), signature, hash)), sidecar)
        }
        other => (other, None),
    };
    (RecoveredTransaction::new_unchecked(tx, sender), sidecar)
}

/// Checks what a block would check of the blobs.
pub(super) fn check_form(tx: &RecoveredTransaction, params: &BlobParams) -> Result<(), PoolError> {
    let refuse = |reason: &'static str| Err(PoolError::Blob(reason));
    let hashes = tx.blob_versioned_hashes().unwrap_or_default();
    if tx.is_create() {
        return refuse("a blob transaction cannot create a contract");
    }
    if hashes.is_empty() {
        return refuse("it has no blobs");
    }
    if hashes.len() as u64 > params.max_blobs_per_tx.min(params.max_blob_count) {
        return refuse("it has more blobs than a transaction may");
    }
    if hashes.iter().any(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG) {
        return refuse("a blob's hash is not of version 1");
    }
    if tx.max_fee_per_blob_gas().unwrap_or_default() < params.min_blob_fee {
        return refuse("its blob fee is below the least there is");
    }
    Ok(())
}

/// Checks that the sidecar is the transaction's, and its proofs. It takes milliseconds: it comes last.
pub(super) fn check_sidecar(tx: &RecoveredTransaction, sidecar: &Sidecar, osaka: bool) -> Result<(), PoolError> {
    if !sidecar.versioned_hashes().eq(tx.blob_versioned_hashes().unwrap_or_default().iter().copied()) {
        return Err(PoolError::Blob("the sidecar holds other blobs than the transaction names"));
    }
    let settings = c_kzg::ethereum_kzg_settings(0);
    let proven = match sidecar {
        Sidecar::Eip4844(sidecar) if !osaka => blobs_proven(sidecar, settings),
        Sidecar::Eip7594(sidecar) if osaka => cells_proven(sidecar, settings),
        Sidecar::Eip4844(_) => return Err(PoolError::Blob("from Osaka on a sidecar has proofs of cells (EIP-7594)")),
        Sidecar::Eip7594(_) => {
            return Err(PoolError::Blob("before Osaka a sidecar has a proof for each blob (EIP-4844)"));
        }
    };
    match proven {
        Ok(true) => Ok(()),
        _ => Err(PoolError::Blob("the sidecar's proofs do not prove its blobs")),
    }
}

fn all48(values: &[FixedBytes<48>]) -> Vec<Bytes48> {
    values.iter().map(|value| Bytes48::new(value.0)).collect()
}

fn blobs_proven(sidecar: &BlobTransactionSidecar, settings: &KzgSettings) -> Result<bool, c_kzg::Error> {
    if sidecar.blobs.len() != sidecar.commitments.len() || sidecar.blobs.len() != sidecar.proofs.len() {
        return Ok(false);
    }
    let blobs = sidecar.blobs.iter().map(|blob| Blob::from_bytes(blob.as_slice())).collect::<Result<Vec<_>, _>>()?;
    settings.verify_blob_kzg_proof_batch(&blobs, &all48(&sidecar.commitments), &all48(&sidecar.proofs))
}

fn cells_proven(sidecar: &BlobTransactionSidecarEip7594, settings: &KzgSettings) -> Result<bool, c_kzg::Error> {
    let count = sidecar.blobs.len();
    if count != sidecar.commitments.len() || sidecar.cell_proofs.len() != count * CELLS_PER_EXT_BLOB {
        return Ok(false);
    }
    let (mut commitments, mut indices, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (blob, commitment) in sidecar.blobs.iter().zip(all48(&sidecar.commitments)) {
        cells.extend(settings.compute_cells(&Blob::from_bytes(blob.as_slice())?)?.iter().copied());
        commitments.extend(std::iter::repeat_n(commitment, CELLS_PER_EXT_BLOB));
        indices.extend(0..CELLS_PER_EXT_BLOB as u64);
    }
    settings.verify_cell_kzg_proof_batch(&commitments, &indices, &cells, &all48(&sidecar.cell_proofs))
}

/// Bytes that a sidecar takes.
pub(super) fn size(sidecar: &Sidecar) -> usize {
    sidecar.rlp_encoded_fields_length()
}
