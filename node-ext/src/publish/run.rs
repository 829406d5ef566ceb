//! Carrying a plan out.

use super::{Chunk, ModelRegistry, Outgoing, Plan, PublishError, Registration, Staged, Transport};
use crate::evm::REGISTRY_ADDRESS;
use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;

/// Steps of publishing, for whoever shows progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// So many of the chunks are stored.
    Chunks {
        /// Stored.
        stored: usize,
        /// All.
        all: usize,
    },
    /// So many of the weight chunks are in the model's record (registration in steps).
    Listed {
        /// Listed.
        listed: usize,
        /// All.
        all: usize,
    },
    /// The model is registered.
    Registered,
    /// So many attesters say that they hold the weights (weights off chain).
    Attested {
        /// They say it.
        count: u16,
        /// They must.
        quorum: u16,
    },
    /// The model is activated.
    Activated,
}

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The model.
    pub model_id: B256,
    /// The first block in which it can be called; 0 where attesters must say first that they hold the weights.
    pub activation_block: u64,
    /// Gas used now; 0 where everything was there.
    pub gas_used: u64,
    /// Transactions sent now.
    pub transactions: usize,
}

/// Publishes a model, or what of it is not on the chain yet.
pub fn publish(
    plan: &Plan,
    transport: &mut dyn Transport,
    progress: &mut dyn FnMut(Progress),
) -> Result<Published, PublishError> {
    let mut run = Run::new(plan, transport, progress)?;
    let (mut status, mut activation_block) = run.status()?;
    let (listed, all) = run.listed()?;
    // Also where it was registered without its weights.
    if status == 0 || listed < all {
        run.store(&plan.chunks)?;
        match &plan.registration {
            Registration::AtOnce(call) => run.send_one("that registers the model", call.clone())?,
            Registration::InSteps(staged) => run.register_in_steps(staged)?,
            Registration::OffChain(_) => return Err(PublishError::OffChain),
        }
        (status, activation_block) = run.status()?;
        if status == 0 {
            return Err(PublishError::Disagreement(plan.model_id));
        }
        (run.progress)(Progress::Registered);
    }
    // With its weights all on chain a model that was registered by attestation is an ordinary one.
    if status == 1 {
        let deposit = run.read(&ModelRegistry::depositForCall { modelId: plan.model_id })?;
        run.send_paying("that activates the model", plan.activate.clone(), deposit)?;
        (_, activation_block) = run.status()?;
        (run.progress)(Progress::Activated);
    }
    run.done.activation_block = activation_block;
    Ok(run.done)
}

/// One run over a plan.
pub(super) struct Run<'a> {
    pub(super) transport: &'a mut dyn Transport,
    pub(super) progress: &'a mut dyn FnMut(Progress),
    pub(super) done: Published,
}

impl<'a> Run<'a> {
    /// At a chain that has the registry.
    pub(super) fn new(
        plan: &Plan,
        transport: &'a mut dyn Transport,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Result<Self, PublishError> {
        if transport.have_code(&[REGISTRY_ADDRESS])? != [true] {
            return Err(PublishError::NoRegistry(REGISTRY_ADDRESS));
        }
        let done = Published { model_id: plan.model_id, activation_block: 0, gas_used: 0, transactions: 0 };
        Ok(Self { transport, progress, done })
    }

    /// Stores the chunks that are not on the chain.
    ///
    /// Several are under way at a time, as many as fill half a block: fuller blocks would raise the base fee by an eighth
    /// each (EIP-1559), a factor of 100 after 40 blocks.
    pub(super) fn store(&mut self, chunks: &[Chunk]) -> Result<(), PublishError> {
        let addresses: Vec<_> = chunks.iter().map(|chunk| chunk.address).collect();
        let there = self.transport.have_code(&addresses)?;
        let missing: Vec<&Chunk> = chunks.iter().zip(&there).filter(|(_, there)| !**there).map(|(c, _)| c).collect();
        let all = chunks.len();
        let mut stored = all - missing.len();
        (self.progress)(Progress::Chunks { stored, all });
        let target = self.transport.block_gas()? / 2;
        let mut rest = missing.as_slice();
        while !rest.is_empty() {
            let mut gas = 0u64;
            let fits = |chunk: &&&Chunk| {
                gas = gas.saturating_add(chunk.gas());
                gas <= target
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let outgoing = rest[..count]
                .iter()
                .map(|chunk| Outgoing {
                    what: format!("that stores chunk {}", chunk.address),
                    data: chunk.call(),
                    gas: Some(chunk.gas_limit()),
                    value: U256::ZERO,
                })
                .collect();
            self.send(outgoing)?;
            rest = &rest[count..];
            stored += count;
            (self.progress)(Progress::Chunks { stored, all });
        }
        Ok(())
    }

    /// Opens the record, unless somebody did, and appends what it lacks.
    fn register_in_steps(&mut self, staged: &Staged) -> Result<(), PublishError> {
        let (mut listed, known) = self.listed()?;
        if known == 0 {
            self.send_one("that opens the model's record", staged.open.clone())?;
            (listed, _) = self.listed()?;
        }
        let all = staged.all();
        (self.progress)(Progress::Listed { listed, all });
        while let Some((call, next)) = staged.append(listed) {
            self.send_one(&format!("that lists weight chunks {listed} to {}", next - 1), call)?;
            listed = next;
            (self.progress)(Progress::Listed { listed, all });
        }
        Ok(())
    }

    pub(super) fn send_one(&mut self, what: &str, data: Bytes) -> Result<(), PublishError> {
        self.send_paying(what, data, U256::ZERO)
    }

    pub(super) fn send_paying(&mut self, what: &str, data: Bytes, value: U256) -> Result<(), PublishError> {
        self.send(vec![Outgoing { what: what.into(), data, gas: None, value }])
    }

    fn send(&mut self, outgoing: Vec<Outgoing>) -> Result<(), PublishError> {
        let whats: Vec<String> = outgoing.iter().map(|o| o.what.clone()).collect();
        for (included, what) in self.transport.send(outgoing)?.into_iter().zip(whats) {
            self.done.gas_used += included.gas_used;
            self.done.transactions += 1;
            if !included.success {
                let reason = "it reverted; trace it with debug_traceTransaction".into();
                return Err(PublishError::Failed { what, hash: included.hash, reason });
            }
        }
        Ok(())
    }

    pub(super) fn status(&mut self) -> Result<(u8, u64), PublishError> {
        let call = ModelRegistry::statusCall { modelId: self.done.model_id };
        let status = self.read(&call)?;
        Ok((status.status, status.activationBlock))
    }

    /// How many weight chunks the record lists, and how many the model has; both 0 where there is no record.
    pub(super) fn listed(&mut self) -> Result<(usize, usize), PublishError> {
        let answer = self.read(&ModelRegistry::weightsAppendedCall { modelId: self.done.model_id })?;
        Ok((answer.appended.saturating_to(), answer.all.saturating_to()))
    }

    pub(super) fn read<C: SolCall>(&mut self, call: &C) -> Result<C::Return, PublishError> {
        let answer = self.transport.call(call.abi_encode().into())?;
        C::abi_decode_returns_validate(&answer)
            .map_err(|e| PublishError::Transport(format!("the registry's answer does not decode: {e}")))
    }
}
