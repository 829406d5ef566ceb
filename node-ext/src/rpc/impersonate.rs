//! `anvil_impersonateAccount`: transactions of any account without its key, on a dev chain.
//!
//! Such a transaction carries no signature of its sender: this node keeps the sender beside it. A block that holds one
//! is valid here alone.

use super::{Api, Methods, error::RpcResult, send::signed};
use crate::primitives::RecoveredTransaction;
use alloy_consensus::TypedTransaction;
use alloy_primitives::{Address, Signature, U256};
use alloy_rpc_types_eth::TransactionRequest;
use serde_json::Value;
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The accounts.
#[derive(Debug, Default)]
pub(crate) struct Impersonated(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    accounts: HashSet<Address>,
    all: bool,
}

impl Impersonated {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sender of the request, if it is impersonated.
    pub(super) fn sender(&self, request: &TransactionRequest) -> Option<Address> {
        let inner = self.lock();
        request.from.filter(|from| inner.all || inner.accounts.contains(from))
    }
}

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("anvil_impersonateAccount", |api, args| {
            api.impersonated.lock().accounts.insert(args.next()?);
            Ok(Value::Null)
        })
        .alias("hardhat_impersonateAccount", "anvil_impersonateAccount")
        .add("anvil_stopImpersonatingAccount", |api: &Api, args| {
            api.impersonated.lock().accounts.remove(&args.next::<Address>()?);
            Ok(Value::Null)
        })
        .alias("hardhat_stopImpersonatingAccount", "anvil_stopImpersonatingAccount")
        .add("anvil_autoImpersonateAccount", |api, args| {
            api.impersonated.lock().all = args.next()?;
            Ok(Value::Null)
        });
}

/// The transaction of an account without its key. The sender stands in the signature's place, so that equal
/// transactions of two senders have two hashes.
pub(super) fn unsigned(tx: TypedTransaction, from: Address) -> RpcResult<RecoveredTransaction> {
    let signature = Signature::new(U256::from_be_slice(from.as_slice()), U256::ONE, false);
    Ok(RecoveredTransaction::new_unchecked(signed(tx, signature)?, from))
}
