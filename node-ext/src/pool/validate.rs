//! Checks before a transaction enters the pool.

use super::{
    PoolError, Sender,
    blobs::{self, MAX_BLOB_TRANSACTION_BYTES, Sidecar},
};
use crate::{
    chain::Chain,
    primitives::{RecoveredTransaction, Transaction},
};
use alloy_consensus::{Transaction as _, Typed2718, transaction::SignerRecoverable};
use alloy_eips::{eip2718::Decodable2718, eip7825::MAX_TX_GAS_LIMIT_OSAKA};
use alloy_evm::{FromRecoveredTx, spec};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::U256;
use alloy_trie::KECCAK_EMPTY;
use revm::{
    context::TxEnv,
    handler::validation::validate_initial_tx_gas,
    primitives::{eip3860::MAX_INITCODE_SIZE, hardfork::SpecId},
};

const BLOB_TYPE: u8 = 3;
/// Largest encoded transaction without blobs, as in geth.
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// Decodes a raw transaction and recovers its sender.
pub(crate) fn decode(raw: &[u8]) -> Result<RecoveredTransaction, PoolError> {
    let limit = if raw.first() == Some(&BLOB_TYPE) { MAX_BLOB_TRANSACTION_BYTES } else { MAX_TRANSACTION_BYTES };
    if raw.len() > limit {
        return Err(PoolError::Oversized { size: raw.len(), limit });
    }
    let mut rest = raw;
    let tx = Transaction::decode_2718(&mut rest).map_err(|e| PoolError::Decode(e.to_string()))?;
    if !rest.is_empty() {
        return Err(PoolError::Decode(format!("{} bytes after the transaction", rest.len())));
    }
    let sender = tx.recover_signer().map_err(|e| PoolError::Signature(e.to_string()))?;
    Ok(RecoveredTransaction::new_unchecked(tx, sender))
}

/// Checks a transaction against the rules of the next block and the sender's account.
/// Returns the sender's nonce in the head state.
pub(super) fn check(chain: &Chain, tx: &RecoveredTransaction, sender: Sender) -> Result<u64, PoolError> {
    let head = chain.head();
    let spec_rules = chain.spec();
    let next = alloy_consensus::Header {
        number: head.header.number + 1,
        timestamp: head.header.timestamp.saturating_add(1),
        ..Default::default()
    };
    let rules = spec(spec_rules.as_ref(), &next);
    check_form(chain.spec().chain_id, rules, tx)?;
    if tx.is_eip4844() {
        let params = spec_rules.blob_params(next.timestamp).ok_or(PoolError::TypeInactive(BLOB_TYPE))?;
        blobs::check_form(tx, &params)?;
    }

    let gas = tx.gas_limit();
    if spec_rules.is_osaka_active_at_timestamp(next.timestamp) && gas > MAX_TX_GAS_LIMIT_OSAKA {
        return Err(PoolError::GasCap { cap: MAX_TX_GAS_LIMIT_OSAKA, gas });
    }
    if gas > head.header.gas_limit {
        return Err(PoolError::BlockGas { gas, limit: head.header.gas_limit });
    }
    let env = TxEnv::from_recovered_tx(tx.inner(), tx.signer());
    if let Err(error) = validate_initial_tx_gas(&env, rules, false, false, u64::MAX, None) {
        use revm::context_interface::result::InvalidTransaction as Invalid;
        let needed = match error {
            Invalid::CallGasCostMoreThanGasLimit { initial_gas, .. } => initial_gas,
            Invalid::GasFloorMoreThanGasLimit { gas_floor, .. } => gas_floor,
            other => return Err(PoolError::Decode(other.to_string())),
        };
        return Err(PoolError::IntrinsicGas { gas, needed });
    }

    let state = chain.store().state(&head.header, head.hash)?;
    let account = state.account(tx.signer())?.unwrap_or_default();
    if sender == Sender::Signed
        && account.code_hash != KECCAK_EMPTY
        && !state.code(tx.signer())?.starts_with(&[0xef, 0x01, 0x00])
    {
        return Err(PoolError::SenderHasCode(tx.signer()));
    }
    if tx.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    if tx.nonce() < account.nonce {
        return Err(PoolError::NonceTooLow { next: account.nonce, nonce: tx.nonce() });
    }
    let blob_gas = U256::from(tx.blob_gas_used().unwrap_or_default());
    let blob_cost = blob_gas.saturating_mul(U256::from(tx.max_fee_per_blob_gas().unwrap_or_default()));
    let cost = U256::from(gas).saturating_mul(U256::from(tx.max_fee_per_gas())).saturating_add(tx.value());
    let cost = cost.saturating_add(blob_cost);
    if cost > account.balance {
        return Err(PoolError::Funds { address: tx.signer(), balance: account.balance, cost });
    }
    if let Some(base_fee) = chain.next_base_fee(&head.header)
        && tx.max_fee_per_gas() < u128::from(base_fee)
    {
        return Err(PoolError::BaseFee { fee: tx.max_fee_per_gas(), base_fee });
    }
    Ok(account.nonce)
}

/// Checks the sidecar that came with a blob transaction, by the rules of the next block.
pub(super) fn check_sidecar(chain: &Chain, tx: &RecoveredTransaction, sidecar: &Sidecar) -> Result<(), PoolError> {
    let next = chain.head().header.timestamp.saturating_add(1);
    blobs::check_sidecar(tx, sidecar, chain.spec().is_osaka_active_at_timestamp(next))
}

fn check_form(chain_id: u64, rules: SpecId, tx: &RecoveredTransaction) -> Result<(), PoolError> {
    let active = match tx.ty() {
        0 => true,
        1 => rules.is_enabled_in(SpecId::BERLIN),
        2 => rules.is_enabled_in(SpecId::LONDON),
        4 => rules.is_enabled_in(SpecId::PRAGUE),
        BLOB_TYPE => rules.is_enabled_in(SpecId::CANCUN),
        _ => false,
    };
    if !active {
        return Err(PoolError::TypeInactive(tx.ty()));
    }
    // A legacy transaction may leave the chain id out.
    if tx.chain_id() != Some(chain_id) && !(tx.is_legacy() && tx.chain_id().is_none()) {
        return Err(PoolError::ChainId { have: tx.chain_id(), want: chain_id });
    }
    if tx.is_create() && rules.is_enabled_in(SpecId::SHANGHAI) && tx.input().len() > MAX_INITCODE_SIZE {
        return Err(PoolError::InitCode { size: tx.input().len(), limit: MAX_INITCODE_SIZE });
    }
    if tx.is_eip7702() {
        if tx.is_create() {
            return Err(PoolError::SetCodeCreate);
        }
        if tx.authorization_list().is_none_or(|list| list.is_empty()) {
            return Err(PoolError::EmptyAuthorizations);
        }
    }
    if let Some(tip) = tx.max_priority_fee_per_gas()
        && tip > tx.max_fee_per_gas()
    {
        return Err(PoolError::TipAboveFee { tip, fee: tx.max_fee_per_gas() });
    }
    Ok(())
}
