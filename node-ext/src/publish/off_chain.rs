//! Publishing a model whose weights stay off chain: its graph is stored, attesters are asked, and with their quorum it is
//! activated for the slot's deposit (docs/spec.md, REG-12 to REG-16).

use super::{
    Chunks, Included, ModelRegistry, Outgoing, Plan, Progress, PublishError, Published, Registration, Transport,
    activation, cost::Cost, run::Run,
};
use crate::{evm::REGISTRY_ADDRESS, models::StoredModel};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, sol};
use lockstep_engine::{
    Limits, Model,
    format::{Container, merkle},
};
use lockstep_precompile::attestation::{Statement, possession, salt};

sol! {
    /// An attester's word, as the registry takes it.
    #[derive(Debug, PartialEq, Eq)]
    struct Attestation { uint8 attester; uint8 v; bytes32 r; bytes32 s; bytes32 possession; }

    /// What goes with a model whose weights are off chain.
    #[derive(Debug)]
    struct Duty {
        bytes32 challenge;
        uint256 attested;
        uint256 deposit;
        address depositor;
        uint64 noticeEnd;
        uint32 place;
        uint64 challengeEnd;
        uint32 round;
        uint16 attestations;
    }

    /// Bounds of the chain.
    struct Caps {
        uint32 maxActiveModels;
        uint64 maxActiveWeightBytes;
        uint64 noticeBlocks;
        uint32 challengeBlocks;
        uint16 quorum;
    }

    /// What slots cost.
    #[derive(Debug)]
    struct Deposits { uint80 slot; uint80 perMebibyte; uint80 onChain; }

    /// The part of the registry that is about weights off chain.
    #[allow(missing_docs)]
    interface Duties {
        function challenge(bytes32 modelId) external returns (bytes32 seed);
        function attest(bytes32 modelId, Attestation[] attestations) external returns (uint256 count);
        function announceEnd(bytes32 modelId) external returns (uint64 noticeEnd);
        function extend(bytes32 modelId) external payable;
        function retire(bytes32 modelId) external;
        function withdraw(address to) external returns (uint256 amount);
        function credit(address account) external view returns (uint256);
        function depositFor(bytes32 modelId) external view returns (uint256);
        function duty(bytes32 modelId) external view returns (bool offChain, Duty duty);
        function attesterCount() external view returns (uint256);
        function attesterAt(uint256 index) external view returns (address);
        function caps() external view returns (Caps caps);
        function deposits() external view returns (Deposits deposits);
    }
}

/// Works out how to publish a model file without its weights.
pub fn plan(file: &[u8], limits: &Limits) -> Result<Plan, PublishError> {
    let model_id = B256::from(Model::decode(file, limits)?.id());
    let sections = Container::decode(file)?;
    let mut chunks = Chunks::default();
    let graph_chunks = chunks.split(sections.graph);
    let weights_root = merkle::weights_root(sections.weights).into();
    let open = ModelRegistry::openCall { graphChunks: graph_chunks, weightsRoot: weights_root };
    let (graph_length, weights_length) = (sections.graph.len(), sections.weights.len());
    if weights_length == 0 {
        return Err(PublishError::OnChain(model_id));
    }
    Ok(Plan {
        model_id,
        cost: Cost::off_chain(&chunks.chunks, graph_length, weights_length),
        chunks: chunks.chunks,
        registration: Registration::OffChain(open.abi_encode().into()),
        activate: activation(model_id),
        graph_length,
        weights_length,
    })
}

/// Whoever can sign as an attester, with the weights in its hands.
#[derive(Debug)]
pub struct Holder<'a> {
    /// The chain for which it signs.
    pub chain_id: u64,
    /// Its key.
    pub signer: &'a PrivateKeySigner,
    /// The model, every byte of which has the hash that its name wants.
    pub model: &'a StoredModel,
}

/// What is asked of attesters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The challenge.
    pub challenge: B256,
    /// The last block in which it stands.
    pub end: u64,
    /// How many have signed it.
    pub count: u16,
    /// How many must.
    pub quorum: u16,
    /// All attesters, with whether each has signed.
    pub attesters: Vec<(Address, bool)>,
}

impl Asked {
    /// Whether enough have signed.
    pub fn is_enough(&self) -> bool {
        self.count >= self.quorum
    }
}

fn read<C: SolCall>(transport: &mut dyn Transport, call: &C) -> Result<C::Return, PublishError> {
    let answer = transport.call(call.abi_encode().into())?;
    C::abi_decode_returns_validate(&answer)
        .map_err(|e| PublishError::Transport(format!("the registry's answer does not decode: {e}")))
}

/// What is asked for a model at present; `None`: nothing, or nothing any more.
pub fn asked(transport: &mut dyn Transport, model_id: B256) -> Result<Option<Asked>, PublishError> {
    let answer = read(transport, &Duties::dutyCall { modelId: model_id })?;
    let duty = answer.duty;
    // A transaction sent now is in the next block at the earliest.
    if duty.challenge.is_zero() || duty.challengeEnd <= transport.block_number()? {
        return Ok(None);
    }
    let count: u16 = read(transport, &Duties::attesterCountCall {})?.saturating_to();
    let mut attesters = Vec::with_capacity(usize::from(count));
    for index in 0..usize::from(count) {
        let address = read(transport, &Duties::attesterAtCall { index: U256::from(index) })?;
        attesters.push((address, duty.attested.bit(index)));
    }
    let quorum = read(transport, &Duties::capsCall {})?.quorum;
    let (challenge, end) = (duty.challenge, duty.challengeEnd);
    Ok(Some(Asked { challenge, end, count: duty.attestations, quorum, attesters }))
}

impl Holder<'_> {
    /// Signs; `None` where this key is no attester's that has not signed yet.
    pub fn attest(&self, asked: &Asked) -> Result<Option<Attestation>, PublishError> {
        let own = self.signer.address();
        let Some(index) = asked.attesters.iter().position(|(address, signed)| *address == own && !signed) else {
            return Ok(None);
        };
        let statement = Statement {
            chain_id: self.chain_id,
            registry: REGISTRY_ADDRESS,
            model_id: self.model.id,
            weights_root: merkle::weights_root(&self.model.weights).into(),
            challenge: asked.challenge,
            possession: possession(salt(asked.challenge, own), &self.model.weights),
        };
        let signature = self
            .signer
            .sign_hash_sync(&statement.digest())
            .map_err(|e| PublishError::Transport(format!("the key does not sign: {e}")))?;
        Ok(Some(Attestation {
            attester: u8::try_from(index).map_err(|e| PublishError::Transport(e.to_string()))?,
            v: 27 + u8::from(signature.v()),
            r: signature.r().into(),
            s: signature.s().into(),
            possession: statement.possession,
        }))
    }
}

/// The call that brings an attestation to the registry.
pub fn attest_call(model_id: B256, attestation: Attestation) -> Bytes {
    Duties::attestCall { modelId: model_id, attestations: vec![attestation] }.abi_encode().into()
}

/// Attests for a model for which somebody asked; whoever sends pays. `None` where this attester has signed already.
pub fn attest(holder: &Holder<'_>, transport: &mut dyn Transport) -> Result<Option<Included>, PublishError> {
    let id = holder.model.id;
    let asked = asked(transport, id)?.ok_or(PublishError::NotAsked(id))?;
    let own = holder.signer.address();
    if !asked.attesters.iter().any(|(address, _)| *address == own) {
        return Err(PublishError::NotAnAttester(own, asked.attesters.iter().map(|(address, _)| *address).collect()));
    }
    let Some(attestation) = holder.attest(&asked)? else { return Ok(None) };
    let what = "that attests for the model".to_owned();
    let call = Outgoing { what: what.clone(), data: attest_call(id, attestation), gas: None, value: U256::ZERO };
    match transport.send(vec![call])?.pop() {
        Some(included) if included.success => Ok(Some(included)),
        other => {
            let hash = other.map(|included| included.hash).unwrap_or_default();
            Err(PublishError::Failed { what, hash, reason: "it reverted".into() })
        }
    }
}

/// Publishes a model without its weights, or what of it is not done yet. `holder` signs where it is an attester; where the
/// quorum is not reached, the model is not activated yet, and `activation_block` is 0: the same again goes on.
pub fn publish(
    plan: &Plan,
    holder: &Holder<'_>,
    transport: &mut dyn Transport,
    progress: &mut dyn FnMut(Progress),
) -> Result<Published, PublishError> {
    let Registration::OffChain(open) = &plan.registration else { return Err(PublishError::OnChain(plan.model_id)) };
    let mut run = Run::new(plan, transport, progress)?;
    if read(run.transport, &Duties::capsCall {})?.quorum == 0 {
        return Err(PublishError::NoAttesters);
    }
    let (status, activation_block) = run.status()?;
    run.done.activation_block = activation_block;
    if status == 2 {
        return Ok(run.done);
    }
    let (listed, all) = run.listed()?;
    if all == 0 {
        run.store(&plan.chunks)?;
        run.send_one("that opens the model's record", open.clone())?;
    } else if listed == all {
        return Err(PublishError::OnChain(plan.model_id));
    }
    let asked = match asked(run.transport, plan.model_id)? {
        Some(asked) => asked,
        None => {
            let call = Duties::challengeCall { modelId: plan.model_id }.abi_encode();
            run.send_one("that asks the attesters", call.into())?;
            asked(run.transport, plan.model_id)?.ok_or(PublishError::Disagreement(plan.model_id))?
        }
    };
    let mut count = asked.count;
    if !asked.is_enough()
        && let Some(attestation) = holder.attest(&asked)?
    {
        run.send_one("that attests for the model", attest_call(plan.model_id, attestation))?;
        count += 1;
    }
    (run.progress)(Progress::Attested { count, quorum: asked.quorum });
    if count < asked.quorum {
        return Ok(run.done);
    }
    (run.progress)(Progress::Registered);
    let deposit = run.read(&Duties::depositForCall { modelId: plan.model_id })?;
    run.send_paying("that activates the model", plan.activate.clone(), deposit)?;
    (_, run.done.activation_block) = run.status()?;
    (run.progress)(Progress::Activated);
    Ok(run.done)
}

/// Wei for the slot of a model whose weights, so many bytes, stay off chain.
pub fn deposit(transport: &mut dyn Transport, weights_length: usize) -> Result<U256, PublishError> {
    let price = read(transport, &Duties::depositsCall {})?;
    let mebibytes = U256::from((weights_length as u64).div_ceil(1 << 20));
    Ok(U256::from(price.slot) + mebibytes * U256::from(price.perMebibyte))
}
