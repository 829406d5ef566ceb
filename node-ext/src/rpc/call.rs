//! Calls that change nothing: `eth_call`, `eth_createAccessList`.

use super::{
    Api, Methods,
    access::Located,
    error::{RpcResult, from_evm, invalid_params, reverted, server},
    limits,
};
use crate::storage::StateReader;
use alloy_eips::{BlockId, eip2930::AccessList};
use alloy_evm::{
    Evm, EvmEnv, EvmFactory,
    call::caller_gas_allowance,
    overrides::{apply_block_overrides, apply_state_overrides},
    rpc::TryIntoTxEnv,
};
use alloy_primitives::{Bytes, U64};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use revm::{
    context::{
        TxEnv,
        result::{ExecutionResult, HaltReason},
    },
    database::{State, WrapDatabaseRef},
};
use revm_inspectors::access_list::AccessListInspector;

pub(super) fn add(methods: &mut Methods) {
    methods
        .add("eth_call", |api, args| {
            let request: TransactionRequest = args.next()?;
            let (block, state, blocks) = (args.opt()?, args.opt()?, args.opt()?);
            let mut call = Call::prepare(api, request, block, state, blocks)?;
            output(call.run(api)?)
        })
        .add("eth_createAccessList", |api, args| {
            let request: TransactionRequest = args.next()?;
            let mut call = Call::prepare(api, request, args.opt()?, args.opt()?, None)?;
            create_access_list(api, &mut call)
        });
}

pub(super) type CallState = State<WrapDatabaseRef<StateReader>>;

/// A call ready to run.
pub(super) struct Call {
    pub(super) env: EvmEnv,
    pub(super) tx: TxEnv,
    pub(super) db: CallState,
    _permit: super::gate::Permit,
}

impl Call {
    /// Puts a request on top of a block. What binds only transactions that are sent is not checked: nonce, base fee,
    /// block gas limit, EIP-3607, the gas cap of EIP-7825.
    pub(super) fn prepare(
        api: &Api,
        request: TransactionRequest,
        block: Option<BlockId>,
        state: Option<StateOverride>,
        blocks: Option<Box<BlockOverrides>>,
    ) -> RpcResult<Self> {
        let permit = api.gate.enter();
        let block: Located = api.locate(block)?;
        let mut env = api.env(&block);
        let reader = api.state(Some(block.hash.into()))?;
        env.cfg_env.disable_nonce_check = true;
        env.cfg_env.disable_base_fee = true;
        env.cfg_env.disable_block_gas_limit = true;
        env.cfg_env.disable_eip3607 = true;
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        let mut db = State::builder().with_database_ref(reader).build();
        if let Some(overrides) = blocks {
            apply_block_overrides(*overrides, &mut db, &mut env.block_env);
        }
        if let Some(overrides) = state {
            apply_state_overrides(overrides, &mut db).map_err(invalid_params)?;
        }
        let asked = request.gas;
        let mut tx = request.try_into_tx_env(&env).map_err(invalid_params)?;
        tx.gas_limit = asked.unwrap_or(limits::CALL_GAS).min(limits::CALL_GAS);
        if let Ok(Some(account)) = revm::Database::basic(&mut db, tx.caller) {
            tx.nonce = account.nonce;
        }
        if tx.gas_price > 0 {
            let allowance = caller_gas_allowance(&mut db, &tx).map_err(server)?;
            if asked.is_none() {
                tx.gas_limit = tx.gas_limit.min(allowance);
            }
        }
        Ok(Self { env, tx, db, _permit: permit })
    }

    /// Runs the call.
    pub(super) fn run(&mut self, api: &Api) -> RpcResult<ExecutionResult<HaltReason>> {
        let mut evm = api.chain.evm().for_call().create_evm(&mut self.db, self.env.clone());
        Ok(evm.transact(self.tx.clone()).map_err(from_evm)?.result)
    }
}

/// What the call returned, or its failure as an error.
pub(super) fn output(result: ExecutionResult<HaltReason>) -> RpcResult<Bytes> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(reverted(&output)),
        ExecutionResult::Halt { reason, gas, .. } => Err(server(halted(&reason, gas.tx_gas_used()))),
    }
}

/// A halt in geth's words where it has some.
pub(super) fn halted(reason: &HaltReason, gas: u64) -> String {
    match reason {
        HaltReason::OutOfGas(_) => format!("out of gas: gas required exceeds: {gas}"),
        HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode => "invalid opcode".into(),
        HaltReason::CallTooDeep => "max call depth exceeded".into(),
        HaltReason::CreateCollision => "contract address collision".into(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
        HaltReason::OutOfFunds => "insufficient balance for transfer".into(),
        other => format!("execution halted: {other:?}"),
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessListAnswer {
    access_list: AccessList,
    gas_used: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn create_access_list(api: &Api, call: &mut Call) -> RpcResult<AccessListAnswer> {
    // A list changes the gas of the call, which may change what it touches: run until it stays.
    let mut list = call.tx.access_list.clone();
    for _ in 0..8 {
        let mut inspector = AccessListInspector::new(list.clone());
        let result = {
            let factory = api.chain.evm().for_call();
            let mut evm = factory.create_evm_with_inspector(&mut call.db, call.env.clone(), &mut inspector);
            let mut tx = call.tx.clone();
            alloy_evm::env::TransactionEnvMut::set_access_list(&mut tx, list.clone());
            evm.transact(tx).map_err(from_evm)?.result
        };
        let found = inspector.into_access_list();
        let error = match &result {
            ExecutionResult::Success { .. } => None,
            ExecutionResult::Revert { output, .. } => Some(reverted(output).message().to_string()),
            ExecutionResult::Halt { reason, gas, .. } => Some(halted(reason, gas.tx_gas_used())),
        };
        if found == list {
            return Ok(AccessListAnswer { access_list: found, gas_used: U64::from(result.gas().tx_gas_used()), error });
        }
        list = found;
    }
    Err(server("the access list does not settle: the call touches other slots each time"))
}

/// The code at an address in the call's state, overrides included.
pub(super) fn has_code(db: &mut CallState, address: alloy_primitives::Address) -> bool {
    match revm::Database::basic(db, address) {
        Ok(Some(account)) => !account.is_empty_code_hash(),
        _ => false,
    }
}
