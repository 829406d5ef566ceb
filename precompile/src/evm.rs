//! The precompile inside revm and alloy-evm.

use std::fmt;
use std::sync::Arc;

use alloy_evm::eth::{EthEvm, EthEvmBuilder, EthEvmContext};
use alloy_evm::precompiles::{DynPrecompile, PrecompileInput, PrecompilesMap};
use alloy_evm::{Database, EvmEnv, EvmFactory, EvmInternals};
use alloy_primitives::{Address, B256, Bytes};
use lockstep_engine::exec::Options;
use revm::Inspector;
use revm::context::{BlockEnv, DBErrorMarker, TxEnv};
use revm::context_interface::cfg::gas::GasTracker;
use revm::context_interface::result::{EVMError, HaltReason};
use revm::inspector::NoOpInspector;
use revm::precompile::{
    PrecompileError, PrecompileHalt, PrecompileId, PrecompileOutput, PrecompileResult, PrecompileSpecId,
    PrecompileStatus, Precompiles,
};
use revm::primitives::hardfork::SpecId;

use crate::config::LockstepConfig;
use crate::execute::{CallEnv, Outcome, execute};
use crate::memo::Memo;
use crate::registry::{PRECOMPILE_ADDRESS, REGISTRY_ADDRESS, RecordWord, RegistryView, record_slot};
use crate::sink::InferenceSink;
use crate::store::ModelStore;
use crate::{Fatal, GasSchedule};

/// An EVM factory with the model precompile, for every user of alloy-evm's traits.
///
/// Without a configuration it is [`alloy_evm::EthEvmFactory`].
#[derive(Clone)]
pub struct LockstepEvmFactory {
    config: Option<Arc<LockstepConfig>>,
    precompile: Binding,
}

/// What the precompile's closure holds.
#[derive(Clone)]
struct Binding {
    store: Arc<dyn ModelStore>,
    sink: Option<Arc<dyn InferenceSink>>,
    memo: Option<Arc<dyn Memo>>,
    options: Options,
}

impl LockstepEvmFactory {
    /// A factory for a chain; `None`: a plain Ethereum chain.
    pub fn new(config: Option<Arc<LockstepConfig>>, store: Arc<dyn ModelStore>) -> Self {
        Self { config, precompile: Binding { store, sink: None, memo: None, options: Options::default() } }
    }

    /// Gives the EVMs made from here on another store.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn ModelStore>) -> Self {
        self.precompile.store = store;
        self
    }

    /// Sends successful inferences of the EVMs made from here on to a sink: for blocks, not for calls and traces.
    #[must_use]
    pub fn with_sink(mut self, sink: Arc<dyn InferenceSink>) -> Self {
        self.precompile.sink = Some(sink);
        self
    }

    /// Gives the EVMs made from here on a memory of answers.
    #[must_use]
    pub fn with_memo(mut self, memo: Arc<dyn Memo>) -> Self {
        self.precompile.memo = Some(memo);
        self
    }

    /// Sets how the engine runs.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.precompile.options = options;
        self
    }

    /// The chain's configuration.
    pub fn config(&self) -> Option<&Arc<LockstepConfig>> {
        self.config.as_ref()
    }

    fn precompiles(&self, spec: SpecId, block: &BlockEnv) -> PrecompilesMap {
        let mut map = PrecompilesMap::from_static(Precompiles::new(PrecompileSpecId::from_spec_id(spec)));
        if let Some(config) = self.config.as_ref().filter(|c| c.is_active(block.number.saturating_to())) {
            map.extend_precompiles([(PRECOMPILE_ADDRESS, self.precompile.clone().bind(Arc::clone(config)))]);
        }
        map
    }
}

impl fmt::Debug for LockstepEvmFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockstepEvmFactory")
            .field("config", &self.config)
            .field("sink", &self.precompile.sink.is_some())
            .field("memo", &self.precompile.memo.is_some())
            .field("options", &self.precompile.options)
            .finish_non_exhaustive()
    }
}

impl EvmFactory for LockstepEvmFactory {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = EthEvm<DB, I, PrecompilesMap>;
    type Context<DB: Database> = EthEvmContext<DB>;
    type Tx = TxEnv;
    type Error<DBError: DBErrorMarker> = EVMError<DBError>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        let precompiles = self.precompiles(env.cfg_env.spec, &env.block_env);
        EthEvmBuilder::new(db, env).precompiles(precompiles).build()
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<Self::Context<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        let precompiles = self.precompiles(env.cfg_env.spec, &env.block_env);
        EthEvmBuilder::new(db, env).precompiles(precompiles).activate_inspector(inspector).build()
    }
}

/// The precompile by address, for programs that take precompiles instead of a factory (anvil, forge).
/// They are active from the first block on.
pub fn precompiles(config: Arc<LockstepConfig>, store: Arc<dyn ModelStore>) -> Vec<(Address, DynPrecompile)> {
    let binding = Binding { store, sink: None, memo: None, options: Options::default() };
    vec![(PRECOMPILE_ADDRESS, binding.bind(config))]
}

impl Binding {
    /// Stateful: its answers depend on the registry, so nobody may cache them by call data.
    fn bind(self, config: Arc<LockstepConfig>) -> DynPrecompile {
        DynPrecompile::new_stateful(PrecompileId::custom("lockstep"), move |input| self.call(&config, input))
    }

    fn call(&self, config: &LockstepConfig, input: PrecompileInput<'_>) -> PrecompileResult {
        let fatal = |reason: String| Err(PrecompileError::Fatal(format!("lockstep: {reason}")));
        let Some(schedule) = GasSchedule::by_version(config.gas_schedule) else {
            return fatal(format!("gas schedule {} is unknown to this binary", config.gas_schedule));
        };
        let delegated_to = (!input.is_direct_call()).then_some(input.target_address);
        let block_number = input.internals.block_number().saturating_to();
        let mut registry = JournaledRegistry { internals: input.internals };
        let mut env = CallEnv {
            block_number,
            schedule,
            limits: &config.limits,
            registry: &mut registry,
            store: &*self.store,
            value: input.value,
            delegated_to,
            memo: self.memo.as_deref(),
            options: self.options,
            record: self.sink.is_some(),
        };
        let (status, bytes, used) = match execute(&mut env, input.data, input.gas) {
            Outcome::Success { gas_used, output, inference } => {
                if let (Some(sink), Some(record)) = (&self.sink, inference) {
                    sink.record(record);
                }
                (PrecompileStatus::Success, output, gas_used)
            }
            Outcome::Revert { gas_used, data } => (PrecompileStatus::Revert, data, gas_used),
            Outcome::OutOfGas => (PrecompileStatus::Halt(PrecompileHalt::OutOfGas), Vec::new(), input.gas),
            Outcome::Fatal(reason) => return fatal(reason),
        };
        // The tracker carries the state gas reservoir (EIP-8037) back to the caller.
        let gas = GasTracker::new_used_gas(input.gas, used, input.reservoir);
        Ok(PrecompileOutput::from_gas_tracker(status, Bytes::from(bytes), gas))
    }
}

/// Reads the registry through the journal and leaves no warmth behind (spec GAS-4).
struct JournaledRegistry<'a> {
    internals: EvmInternals<'a>,
}

impl RegistryView for JournaledRegistry<'_> {
    fn record(&mut self, model_id: &B256) -> Result<RecordWord, Fatal> {
        let checkpoint = self.internals.checkpoint();
        let word = self.internals.sload(REGISTRY_ADDRESS, record_slot(model_id));
        self.internals.checkpoint_revert(checkpoint);
        match word {
            Ok(word) => Ok(RecordWord::unpack(word.data)),
            Err(e) => Err(Fatal(format!("the registry cannot be read: {e}"))),
        }
    }
}
