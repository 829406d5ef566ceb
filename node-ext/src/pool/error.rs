//! Why a transaction is not taken. Messages follow geth's words, since tools match on them.

use alloy_primitives::{Address, B256, U256};

/// A transaction is refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PoolError {
    #[error("transaction does not decode: {0}")]
    Decode(String),
    #[error("invalid sender: {0}")]
    Signature(String),
    #[error("blob transactions are not signed here: send them signed, with their sidecar, by eth_sendRawTransaction")]
    Blobs,
    #[error("blob transaction without its sidecar: send blobs, commitments and proofs with it")]
    NoSidecar,
    #[error("invalid blob transaction: {0}")]
    Blob(&'static str),
    #[error("invalid chain id for signer: have {have:?} want {want}")]
    ChainId { have: Option<u64>, want: u64 },
    #[error("transaction type {0} not supported: its fork is not active on this chain")]
    TypeInactive(u8),
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized { size: usize, limit: usize },
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCode { size: usize, limit: usize },
    #[error("set code transaction must have at least one authorization")]
    EmptyAuthorizations,
    #[error("set code transaction must not be a create transaction")]
    SetCodeCreate,
    #[error("max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}")]
    TipAboveFee { tip: u128, fee: u128 },
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasCap { cap: u64, gas: u64 },
    #[error("exceeds block gas limit: {gas} > {limit}")]
    BlockGas { gas: u64, limit: u64 },
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGas { gas: u64, needed: u64 },
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    #[error("nonce has max value")]
    NonceMax,
    #[error("insufficient funds for gas * price + value: address {address} have {balance} want {cost}")]
    Funds { address: Address, balance: U256, cost: U256 },
    #[error("sender not an eoa: address {0}")]
    SenderHasCode(Address),
    #[error("max fee per gas less than block base fee: maxFeePerGas: {fee}, baseFee: {base_fee}")]
    BaseFee { fee: u128, base_fee: u64 },
    #[error("already known")]
    Known(B256),
    #[error(
        "replacement transaction underpriced: raise all fees by at least 10 %, those of blob transactions by 100 %"
    )]
    Underpriced,
    #[error("txpool is full: at most {0}")]
    Full(&'static str),
    #[error(transparent)]
    Storage(#[from] crate::storage::StorageError),
}
