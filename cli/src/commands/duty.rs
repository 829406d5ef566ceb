//! The part of `lockstep models` that is about a chain: attesting, and the end of storage duty.

use alloy_primitives::{Address, B256, Bytes, U256, utils::format_ether};
use alloy_sol_types::SolCall;
use lockstep_node_ext::cache::Cache;
use lockstep_node_ext::publish::off_chain::{self, Duties, Holder};
use lockstep_node_ext::publish::{Outgoing, PublishError, Transport};
use serde_json::json;

use crate::commands::publish::failure;
use crate::failure::Failure;
use crate::output::Output;
use crate::report::number::grouped;
use crate::rpc::{Account, Client, Sender};

/// A chain, and who signs.
#[derive(Debug, clap::Args)]
pub(crate) struct Chain {
    /// JSON-RPC of a node
    #[arg(long, value_name = "URL")]
    rpc: String,
    #[command(flatten)]
    account: Account,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Attest, as one of the chain's attesters, that the weights are in this cache: every byte is hashed with the challenge
    Attest {
        /// The model
        id: B256,
        #[command(flatten)]
        chain: Chain,
    },
    /// What a chain says of a model whose weights are off chain: attestations, deposit, end
    Duty {
        /// The model
        id: B256,
        /// JSON-RPC of a node
        #[arg(long, value_name = "URL")]
        rpc: String,
    },
    /// Announce that storage duty ends; only whoever has paid the deposit can
    AnnounceEnd {
        /// The model
        id: B256,
        #[command(flatten)]
        chain: Chain,
    },
    /// Keep a model whose end is announced, by taking its deposit over
    Extend {
        /// The model
        id: B256,
        #[command(flatten)]
        chain: Chain,
    },
    /// End storage duty after the notice; anyone can
    Retire {
        /// The model
        id: B256,
        #[command(flatten)]
        chain: Chain,
    },
    /// Take out what was given back of deposits
    Withdraw {
        /// The account that gets it; the one that signs where not given
        #[arg(long, value_name = "ADDRESS")]
        to: Option<Address>,
        #[command(flatten)]
        chain: Chain,
    },
}

/// Runs the command.
pub(crate) fn execute(what: What, cache: impl FnOnce() -> Result<Cache, Failure>) -> Result<Output, Failure> {
    match what {
        What::Attest { id, chain } => attest(&cache()?, id, &chain),
        What::Duty { id, rpc } => duty(id, &rpc).map_err(|e| failure("the model", e)),
        What::AnnounceEnd { id, chain } => {
            let call = Duties::announceEndCall { modelId: id };
            send(&chain, "that announces the end", &call, |_| Ok(U256::ZERO))
        }
        What::Extend { id, chain } => {
            let price = |sender: &mut Sender| read(sender, &Duties::depositForCall { modelId: id });
            send(&chain, "that takes the deposit over", &Duties::extendCall { modelId: id }, price)
        }
        What::Retire { id, chain } => {
            send(&chain, "that retires the model", &Duties::retireCall { modelId: id }, |_| Ok(U256::ZERO))
        }
        What::Withdraw { to, chain } => {
            let (mut sender, _) = open(&chain)?;
            let own = sender.address();
            let amount =
                read(&mut sender, &Duties::creditCall { account: own }).map_err(|e| failure("the account", e))?;
            if amount.is_zero() {
                return Err(Failure::Usage(format!("the registry owes {own} nothing")));
            }
            let call = Duties::withdrawCall { to: to.unwrap_or(own) };
            sent(&mut sender, "that withdraws", &call, U256::ZERO).map_err(|e| failure("the account", e))
        }
    }
}

fn open(chain: &Chain) -> Result<(Sender, u64), Failure> {
    let client = Client::new(&chain.rpc);
    let chain_id = client.chain_id().map_err(|e| failure("the chain", e))?;
    let signer = chain.account.signer(chain_id)?;
    Ok((Sender::new(client, signer).map_err(|e| failure("the chain", e))?, chain_id))
}

fn read<C: SolCall>(transport: &mut dyn Transport, call: &C) -> Result<C::Return, PublishError> {
    let answer = transport.call(call.abi_encode().into())?;
    C::abi_decode_returns_validate(&answer)
        .map_err(|e| PublishError::Transport(format!("the registry's answer does not decode: {e}")))
}

fn attest(cache: &Cache, id: B256, chain: &Chain) -> Result<Output, Failure> {
    let model = cache.read(id).map_err(super::models::failure)?;
    let (mut sender, chain_id) = open(chain)?;
    let signer = sender.signer().clone();
    let done = off_chain::attest(&Holder { chain_id, signer: &signer, model: &model }, &mut sender);
    let (own, bytes) = (signer.address(), grouped(model.weights.len() as u64));
    match done.map_err(|e| failure("the model", e))? {
        Some(included) => Ok(Output::new(
            format!("{id}  {own} attests that it holds {bytes} bytes of weights\nsent      {}\n", included.hash),
            json!({ "modelId": id, "attester": own, "transaction": included.hash, "gasUsed": included.gas_used }),
        )),
        None => Ok(Output::new(
            format!("{id}  {own} has attested already\n"),
            json!({ "modelId": id, "attester": own, "transaction": null }),
        )),
    }
}

fn send<C: SolCall>(
    chain: &Chain,
    what: &str,
    call: &C,
    price: impl FnOnce(&mut Sender) -> Result<U256, PublishError>,
) -> Result<Output, Failure> {
    let (mut sender, _) = open(chain)?;
    let done = price(&mut sender).and_then(|value| sent(&mut sender, what, call, value));
    done.map_err(|e| failure("the model", e))
}

fn sent<C: SolCall>(sender: &mut Sender, what: &str, call: &C, value: U256) -> Result<Output, PublishError> {
    let outgoing = Outgoing { what: what.into(), data: Bytes::from(call.abi_encode()), gas: None, value };
    let included = sender.send(vec![outgoing])?.pop();
    let included = included.ok_or_else(|| PublishError::Transport("no transaction was sent".into()))?;
    if !included.success {
        let reason = "it reverted; trace it with debug_traceTransaction".into();
        return Err(PublishError::Failed { what: what.into(), hash: included.hash, reason });
    }
    let paid = if value.is_zero() { String::new() } else { format!(", {} ether", format_ether(value)) };
    Ok(Output::new(
        format!("sent      {}  ({} gas{paid})\n", included.hash, grouped(included.gas_used)),
        json!({ "transaction": included.hash, "gasUsed": included.gas_used, "valueWei": value.to_string() }),
    ))
}

fn duty(id: B256, url: &str) -> Result<Output, PublishError> {
    let client = Client::new(url);
    let mut reader = crate::rpc::Reader(&client);
    let answer = read(&mut reader, &Duties::dutyCall { modelId: id })?;
    let price = read(&mut reader, &Duties::depositForCall { modelId: id })?;
    let asked = off_chain::asked(&mut reader, id)?;
    let d = answer.duty;
    let mut text = format!("{id}  weights {}\n", if answer.offChain { "off chain" } else { "on chain, or unknown" });
    match &asked {
        Some(asked) => {
            text.push_str(&format!("attested  {} of {}, until block {}\n", asked.count, asked.quorum, asked.end));
            for (attester, signed) in &asked.attesters {
                text.push_str(&format!("  {attester}  {}\n", if *signed { "attests" } else { "has not attested" }));
            }
        }
        None => text.push_str("attested  nothing is asked at present\n"),
    }
    if d.deposit.is_zero() {
        text.push_str(&format!("deposit   none is held; a slot costs {} ether\n", format_ether(price)));
    } else {
        text.push_str(&format!("deposit   {} ether of {}\n", format_ether(d.deposit), d.depositor));
    }
    match d.noticeEnd {
        0 => text.push_str("end       none is announced\n"),
        end => text.push_str(&format!("end       may be retired from block {end}, unless `lockstep models extend`\n")),
    }
    let attesters: Vec<_> =
        asked.iter().flat_map(|a| &a.attesters).map(|(a, s)| json!({ "address": a, "attested": s })).collect();
    let json = json!({
        "modelId": id,
        "weightsOffChain": answer.offChain,
        "challenge": asked.as_ref().map(|a| a.challenge),
        "challengeEnd": asked.as_ref().map(|a| a.end),
        "quorum": asked.as_ref().map(|a| a.quorum),
        "attesters": attesters,
        "depositWei": d.deposit.to_string(),
        "depositor": d.depositor,
        "priceWei": price.to_string(),
        "noticeEnd": (d.noticeEnd != 0).then_some(d.noticeEnd),
    });
    Ok(Output::new(text, json))
}
