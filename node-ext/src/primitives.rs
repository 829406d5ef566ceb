//! The chain's types, named once.

/// A signed transaction.
pub type Transaction = alloy_consensus::TxEnvelope;
/// A signed transaction with its sender.
pub type RecoveredTransaction = alloy_consensus::transaction::Recovered<Transaction>;
/// A receipt with bloom.
pub type Receipt = alloy_consensus::ReceiptEnvelope;
/// A block's body.
pub type Body = alloy_consensus::BlockBody<Transaction>;
/// A block.
pub type Block = alloy_consensus::Block<Transaction>;
