//! `eth_estimateGas`.
//!
//! The answer, sent as the gas limit, makes the transaction do what it does with all the gas it may have. Success
//! alone is not enough: a contract may catch an inference that ran out of gas (a `try` call leaves it 1/64) and go on
//! without the answer. So the calls to the precompile are watched, and a limit counts only if each of them ends as it
//! does with plenty of gas.

use super::{
    Api, Methods,
    call::{Call, halted, has_code},
    error::{RpcResult, from_evm, reverted, server},
    limits,
};
use crate::evm::PRECOMPILE_ADDRESS;
use alloy_eips::{BlockId, eip7825::MAX_TX_GAS_LIMIT_OSAKA};
use alloy_evm::{Evm, EvmFactory};
use alloy_primitives::{TxKind, U64};
use alloy_rpc_types_eth::TransactionRequest;
use revm::{
    Inspector,
    context::result::{ExecutionResult, HaltReason},
    context_interface::Transaction as _,
    interpreter::{CallInputs, CallOutcome, InstructionResult, interpreter::EthInterpreter},
    primitives::hardfork::SpecId,
};

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// The search ends when the bounds are within this share of each other (1/2^n).
const PRECISION_SHIFT: u32 = 9;

pub(super) fn add(methods: &mut Methods) {
    methods.add("eth_estimateGas", |api, args| {
        let request: TransactionRequest = args.next()?;
        let asked = request.gas;
        // The transaction will run in the next block: a model may become active there.
        let block = args.opt()?.or(Some(BlockId::pending()));
        let (state, blocks) = (args.opt()?, args.opt()?);
        let mut call = Call::prepare(api, request, block, state, blocks)?;
        let mut highest = asked.unwrap_or(u64::MAX).min(most_gas(&call));
        if call.tx.gas_price > 0 {
            let allowance = alloy_evm::call::caller_gas_allowance(&mut call.db, &call.tx).map_err(server)?;
            highest = highest.min(allowance);
        }
        estimate(api, &mut call, highest).map(U64::from)
    });
}

/// The most gas that a transaction may have.
fn most_gas(call: &Call) -> u64 {
    let most = call.env.block_env.gas_limit.min(limits::CALL_GAS);
    if call.env.cfg_env.spec.is_enabled_in(SpecId::OSAKA) { most.min(MAX_TX_GAS_LIMIT_OSAKA) } else { most }
}

/// The estimate for a transaction that names no limit.
pub(super) fn estimate_default(api: &Api, call: &mut Call) -> RpcResult<u64> {
    let most = most_gas(call);
    estimate(api, call, most)
}

/// How each call to the precompile ended, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct InferenceWatch {
    ended: Vec<InstructionResult>,
}

impl<CTX> Inspector<CTX, EthInterpreter> for InferenceWatch {
    fn call_end(&mut self, _context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        if inputs.bytecode_address == PRECOMPILE_ADDRESS {
            self.ended.push(outcome.result.result);
        }
    }
}

struct Trial {
    result: ExecutionResult<HaltReason>,
    watch: InferenceWatch,
}

/// Runs with this gas limit; `None` if the limit does not even cover the intrinsic gas.
fn trial(api: &Api, call: &mut Call, gas: u64) -> RpcResult<Option<Trial>> {
    let mut tx = call.tx.clone();
    tx.gas_limit = gas;
    let mut watch = InferenceWatch::default();
    let result = {
        let factory = api.chain.evm().for_call();
        let mut evm = factory.create_evm_with_inspector(&mut call.db, call.env.clone(), &mut watch);
        evm.transact(tx)
    };
    match result {
        Ok(done) => Ok(Some(Trial { result: done.result, watch })),
        Err(error) => {
            use alloy_evm::{EvmError, InvalidTxError};
            match error.as_invalid_tx_err() {
                Some(invalid) if invalid.is_gas_limit_too_low() => Ok(None),
                _ => Err(from_evm(error)),
            }
        }
    }
}

fn estimate(api: &Api, call: &mut Call, highest: u64) -> RpcResult<u64> {
    let exceeded = || server(format!("gas required exceeds allowance ({highest})"));
    // A transfer to an account without code needs no search.
    if let TxKind::Call(to) = call.tx.kind
        && call.tx.input().is_empty()
        && call.tx.access_list.0.is_empty()
        && call.tx.authorization_list.is_empty()
        && highest >= TRANSFER_GAS
        && !has_code(&mut call.db, to)
        && to != PRECOMPILE_ADDRESS
        && trial(api, call, TRANSFER_GAS)?.is_some_and(|t| t.result.is_success())
    {
        return Ok(TRANSFER_GAS);
    }

    let first = trial(api, call, highest)?.ok_or_else(exceeded)?;
    let (used, refunded) = match &first.result {
        ExecutionResult::Success { gas, .. } => (gas.tx_gas_used(), gas.final_refunded()),
        ExecutionResult::Revert { output, .. } => return Err(reverted(output)),
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => return Err(exceeded()),
        ExecutionResult::Halt { reason, gas, .. } => return Err(server(halted(reason, gas.tx_gas_used()))),
    };
    let suffices = |trial: Option<Trial>| trial.is_some_and(|t| t.result.is_success() && t.watch == first.watch);

    // Below what was used it cannot succeed. Most calls need little more: what was refunded at the end, a stipend,
    // and what 63/64 keeps back.
    let mut lowest = used.saturating_sub(1).min(highest);
    let mut highest = highest;
    let guess = (used + refunded + 2_300).saturating_mul(64) / 63;
    if guess < highest {
        if suffices(trial(api, call, guess)?) {
            highest = guess;
        } else {
            lowest = lowest.max(guess);
        }
    }
    while highest - lowest > 1 && highest - lowest > highest >> PRECISION_SHIFT {
        // Needs are near what was used: look low first.
        let middle = (lowest + (highest - lowest) / 2).min(lowest.saturating_mul(2)).max(lowest + 1);
        if suffices(trial(api, call, middle)?) {
            highest = middle;
        } else {
            lowest = middle;
        }
    }
    Ok(highest)
}
