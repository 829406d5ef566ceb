//! A chain with the registry and a probe that measures calls from inside the EVM.
#![allow(unreachable_pub)]

pub mod models;

use std::sync::Arc;

use alloy_evm::{Evm, EvmEnv, EvmFactory};
use alloy_primitives::{Address, B256, Bytes, I256, U256, address};
use alloy_sol_types::{SolCall, SolError};
use lockstep_engine::{DType, LoadedModel};
use lockstep_precompile::abi::IInference as E;
use lockstep_precompile::abi::Tensor;
use lockstep_precompile::registry::{Status, record_slot};
use lockstep_precompile::{
    InferenceSink, LockstepConfig, LockstepEvmFactory, PRECOMPILE_ADDRESS, REGISTRY_ADDRESS, RecordWord, ResidentModels,
};
use revm::context::TxEnv;
use revm::context::result::{EVMError, ExecutionResult, ResultAndState};
use revm::database::InMemoryDB;
use revm::primitives::TxKind;
use revm::state::{AccountInfo, Bytecode};

pub const CALLER: Address = address!("00000000000000000000000000000000000000c0");
pub const PROBE: Address = address!("00000000000000000000000000000000000000b0");
pub const BLOCK: u64 = 100;
/// More than any call here takes.
pub const PLENTY: u64 = 5_000_000;

pub struct Chain {
    pub db: InMemoryDB,
    pub config: LockstepConfig,
    pub models: Arc<ResidentModels>,
    pub sink: Option<Arc<dyn InferenceSink>>,
    pub block: u64,
}

/// One call that the probe makes.
#[derive(Clone)]
pub struct Step {
    pub opcode: u8,
    pub target: Address,
    pub gas: u64,
    pub value: u64,
    pub data: Vec<u8>,
}

pub const CALL: u8 = 0xf1;
pub const CALLCODE: u8 = 0xf2;
pub const DELEGATECALL: u8 = 0xf4;
pub const STATICCALL: u8 = 0xfa;

/// What the probe saw of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub ok: bool,
    /// Gas that the callee took.
    pub used: u64,
}

pub fn ask(data: &[u8], gas: u64) -> Step {
    Step { opcode: STATICCALL, target: PRECOMPILE_ADDRESS, gas, value: 0, data: data.to_vec() }
}

impl Chain {
    pub fn new() -> Self {
        let mut db = InMemoryDB::default();
        // The registry returns the slot it is asked for; the precompile's account has a marker: it returns 42.
        let registry = [0x5f, 0x35, 0x54, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
        let marker = [0x60, 0x2a, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
        for (at, code) in [(REGISTRY_ADDRESS, registry.to_vec()), (PRECOMPILE_ADDRESS, marker.to_vec())] {
            let mut info = AccountInfo::from_bytecode(Bytecode::new_raw(code.into()));
            info.nonce = 1;
            db.insert_account_info(at, info);
        }
        db.insert_account_info(CALLER, AccountInfo { balance: U256::from(1u64 << 40), ..Default::default() });
        Self {
            db,
            config: LockstepConfig::default(),
            models: Arc::new(ResidentModels::new()),
            sink: None,
            block: BLOCK,
        }
    }

    /// A model that is active and resident.
    pub fn add(&mut self, model: LoadedModel) -> B256 {
        let id = self.models.insert(model).unwrap();
        self.record(
            id,
            RecordWord { status: Status::Activated, activation_block: BLOCK, ls1_version: 1, ..Default::default() },
        );
        id
    }

    pub fn record(&mut self, id: B256, word: RecordWord) {
        self.db.insert_account_storage(REGISTRY_ADDRESS, record_slot(&id), word.pack()).unwrap();
    }

    pub fn factory(&self) -> LockstepEvmFactory {
        let factory = LockstepEvmFactory::new(Some(Arc::new(self.config.clone())), self.models.clone());
        match &self.sink {
            Some(sink) => factory.with_sink(sink.clone()),
            None => factory,
        }
    }

    /// A transaction to any account.
    pub fn transact(
        &mut self,
        to: Address,
        value: u64,
        data: Vec<u8>,
    ) -> Result<ResultAndState, EVMError<std::convert::Infallible>> {
        let mut env: EvmEnv = EvmEnv::default();
        env.block_env.number = U256::from(self.block);
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        env.block_env.gas_limit = u64::MAX;
        let tx = TxEnv {
            caller: CALLER,
            gas_limit: 100_000_000,
            kind: TxKind::Call(to),
            value: U256::from(value),
            data: data.into(),
            ..Default::default()
        };
        self.factory().create_evm(self.db.clone(), env).transact_raw(tx)
    }

    /// Runs calls from one contract in one transaction; gives what it saw, and what the last one returned.
    pub fn probe(&mut self, steps: &[Step]) -> Result<(Vec<Seen>, Bytes), String> {
        let (code, data) = probe_code(steps);
        let mut info = AccountInfo::from_bytecode(Bytecode::new_raw(code.into()));
        info.balance = U256::from(1000);
        self.db.insert_account_info(PROBE, info);
        let out = match self.transact(PROBE, 0, data) {
            Ok(r) => match r.result {
                ExecutionResult::Success { output, .. } => output.into_data(),
                other => panic!("the probe failed: {other:?}"),
            },
            Err(e) => return Err(e.to_string()),
        };
        let word = |i: usize| U256::from_be_slice(&out[32 * i..32 * i + 32]).to::<u64>();
        let seen = (0..steps.len())
            .map(|i| {
                let extra = if matches!(steps[i].opcode, CALL | CALLCODE) { 3 } else { 0 };
                Seen { ok: word(2 * i) == 1, used: word(2 * i + 1) - OVERHEAD - extra }
            })
            .collect();
        Ok((seen, out.slice(64 * steps.len()..)))
    }

    /// One call with this much gas.
    pub fn call(&mut self, data: &[u8], gas: u64) -> Result<(Seen, Bytes), String> {
        self.probe(&[ask(data, gas)]).map(|(seen, out)| (seen[0].clone(), out))
    }

    /// A call that succeeds: gas and result.
    pub fn ok(&mut self, data: &[u8]) -> (u64, Bytes) {
        let (seen, out) = self.call(data, PLENTY).unwrap();
        assert!(seen.ok, "reverted with {}", describe_error(&out));
        (seen.used, out)
    }

    /// A call that reverts: gas and error.
    pub fn revert(&mut self, data: &[u8]) -> (u64, Bytes) {
        let (seen, out) = self.call(data, PLENTY).unwrap();
        assert!(!seen.ok && !out.is_empty(), "expected a revert, saw {seen:?} {out}");
        (seen.used, out)
    }
}

pub fn describe_error(data: &[u8]) -> String {
    use alloy_sol_types::SolInterface;
    E::IInferenceErrors::abi_decode(data).map_or_else(|_| format!("{data:02x?}"), |e| format!("{e:?}"))
}

/// Six pushes, the call of a warm address, GAS.
const OVERHEAD: u64 = 18 + 100 + 2;

fn probe_code(steps: &[Step]) -> (Vec<u8>, Vec<u8>) {
    let data: Vec<u8> = steps.iter().flat_map(|s| s.data.iter().copied()).collect();
    let results = data.len().next_multiple_of(32) as u32;
    let mut code = Vec::new();
    fn push(code: &mut Vec<u8>, n: u32) {
        code.push(0x63);
        code.extend(n.to_be_bytes());
    }
    // CALLDATACOPY(0, 0, CALLDATASIZE)
    code.extend([0x36, 0x5f, 0x5f, 0x37]);
    let mut at = 0u32;
    for (i, s) in steps.iter().enumerate() {
        code.push(0x5a);
        for n in [0, 0, s.data.len() as u32, at] {
            push(&mut code, n);
        }
        if matches!(s.opcode, CALL | CALLCODE) {
            push(&mut code, s.value as u32);
        }
        code.push(0x73);
        code.extend(s.target);
        push(&mut code, s.gas as u32);
        code.push(s.opcode);
        // [before, ok] GAS SWAP2 -> [after, ok, before] DUP3 SWAP1 SUB -> [after, ok, used]
        code.extend([0x5a, 0x91, 0x82, 0x90, 0x03]);
        push(&mut code, results + 64 * i as u32 + 32);
        code.push(0x52);
        push(&mut code, results + 64 * i as u32);
        code.extend([0x52, 0x50]);
        at += s.data.len() as u32;
    }
    // RETURNDATACOPY(end, 0, RETURNDATASIZE); RETURN(results, end - results + RETURNDATASIZE)
    let end = results + 64 * steps.len() as u32;
    code.extend([0x3d, 0x5f]);
    push(&mut code, end);
    code.extend([0x3e, 0x3d]);
    push(&mut code, end - results);
    code.push(0x01);
    push(&mut code, results);
    code.push(0xf3);
    (code, data)
}

pub fn wad(v: f64) -> I256 {
    lockstep_precompile::wad::from_f32(v as f32).unwrap()
}

pub fn infer(id: B256, x: &[f64]) -> Vec<u8> {
    E::inferCall { modelId: id, x: x.iter().map(|v| wad(*v)).collect() }.abi_encode()
}

pub fn classify(id: B256, x: &[f64]) -> Vec<u8> {
    E::classifyCall { modelId: id, x: x.iter().map(|v| wad(*v)).collect() }.abi_encode()
}

pub fn run(id: B256, inputs: Vec<Tensor>) -> Vec<u8> {
    E::runCall { modelId: id, inputs }.abi_encode()
}

pub fn quote(call: &[u8]) -> Vec<u8> {
    E::quoteCall { call: call.to_vec().into() }.abi_encode()
}

pub fn describe(id: B256) -> Vec<u8> {
    E::describeCall { modelId: id }.abi_encode()
}

pub fn validate(graph: &[u8]) -> Vec<u8> {
    E::validateCall { graph: graph.to_vec().into() }.abi_encode()
}

pub fn tensor(dtype: DType, shape: &[u32], data: Vec<u8>) -> Tensor {
    Tensor { dtype: dtype.code(), shape: shape.to_vec(), data: data.into() }
}

pub fn floats(shape: &[u32], v: &[f32]) -> Tensor {
    tensor(DType::F32, shape, v.iter().flat_map(|x| x.to_le_bytes()).collect())
}

pub fn error(e: impl SolError) -> Vec<u8> {
    e.abi_encode()
}

pub fn quoted(out: &[u8]) -> u64 {
    U256::from_be_slice(out).to()
}
