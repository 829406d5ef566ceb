//! `lockstep models`: the models on this machine's disk.

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::B256;
use lockstep_engine::{Limits, Model};
use lockstep_node_ext::cache::{Cache, CacheError, Entry, FetchOptions, Leftover, fetch, source};
use serde_json::json;

use crate::commands::duty;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::number::grouped;

/// Models on disk by content: list, fetch, pin, verify, evict; and attesting that they are there
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep models add risk.lsm
  lockstep models fetch 0x12… --from peer:http://node:8545 --from https://models.example.com/lockstep
  lockstep models verify
  lockstep models pin 0x12…
  LOCKSTEP_PASSWORD=… lockstep models attest 0x12… --rpc URL --account attester.json
  lockstep models duty 0x12… --rpc URL

A directory of models can be served as it is, by any file server that knows ranges: every byte is checked on arrival.
s3:// signs its requests: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL.")]
pub(crate) struct Args {
    /// Where models are kept
    #[arg(long, value_name = "DIR", env = "LOCKSTEP_CACHE", default_value = "lockstep-models", global = true)]
    cache: PathBuf,
    /// Bytes that all models may take; the ones used longest ago make room, pinned ones never
    #[arg(long, value_name = "BYTES", global = true)]
    budget: Option<u64>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// What is there, the one used longest ago first
    List,
    /// Put a model file in
    Add {
        /// The model
        model: PathBuf,
    },
    /// Get a model by its id; what an earlier attempt got is gone on with
    Fetch {
        /// The model
        id: B256,
        /// A directory, http(s)://…, s3://bucket/prefix or peer:URL of a node; the next is asked where one fails
        #[arg(long, value_name = "SOURCE", required = true)]
        from: Vec<String>,
        /// Seconds after which a source that does not answer a request is given up
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
        stall: u64,
    },
    /// Never evict a model to make room
    Pin {
        /// The model
        id: B256,
    },
    /// Take the pin away
    Unpin {
        /// The model
        id: B256,
    },
    /// Write a model as a file that every command takes
    Export {
        /// The model
        id: B256,
        /// Where to
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Hash what is there; what is damaged is set aside (exit status 1)
    Verify {
        /// The model; all where not given
        id: Option<B256>,
    },
    /// Remove what is no model: downloads that were never finished, models set aside as damaged
    Clean,
    /// Remove a model
    Evict {
        /// The model
        id: B256,
    },
    #[command(flatten)]
    Duty(duty::What),
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let open = || Cache::open(&args.cache, args.budget).map_err(failure);
    let what = match args.what {
        What::Duty(what) => return duty::execute(what, open),
        what => what,
    };
    let cache = open()?;
    let limits = Limits::default();
    let done =
        |id: B256, what: &str| Ok(Output::new(format!("{id}  {what}\n"), json!({ "modelId": id, "done": what })));
    match what {
        What::Duty(what) => duty::execute(what, || Ok(cache)),
        What::List => Ok(list(&cache.list().map_err(failure)?, &cache.leftovers().map_err(failure)?)),
        What::Add { model } => done(cache.add(&files::read(&model)?, &limits).map_err(failure)?, "added"),
        What::Fetch { id, from, stall } => {
            let parse = |s: &String| source::parse(s, Duration::from_secs(stall));
            let sources = from.iter().map(parse).collect::<Result<Vec<_>, _>>();
            let sources = sources.map_err(|e| Failure::Usage(e.to_string()))?;
            let sources: Vec<&dyn source::Source> =
                sources.iter().map(|source| source.as_ref() as &dyn source::Source).collect();
            let mut bar = None;
            let fetched = fetch(&cache, &sources, id, &FetchOptions { limits, ..Default::default() }, &mut |p| {
                bar.get_or_insert_with(|| Progress::new("fetching", p.total, "bytes")).at(p.done);
            });
            drop(bar);
            let fetched = fetched.map_err(failure)?;
            let text = format!(
                "{id}  {} bytes came, {} were there already; every one has the hash that names the model\n",
                grouped(fetched.bytes),
                grouped(fetched.resumed)
            );
            let json = json!({ "modelId": id, "bytes": fetched.bytes, "resumed": fetched.resumed, "troubles": fetched.troubles });
            Ok(Output::new(text, json).with_warnings(fetched.troubles))
        }
        What::Export { id, output } => {
            let stored = cache.read(id).map_err(failure)?;
            let model = Model::from_sections(&stored.graph, stored.weights, Vec::new(), &limits);
            let model = model.map_err(|e| failure(e.into()))?;
            files::write(&output, &model.encode())?;
            done(id, "written; a card is no part of what is kept by content")
        }
        What::Pin { id } => cache.pin(id, true).map_err(failure).and_then(|()| done(id, "pinned")),
        What::Unpin { id } => cache.pin(id, false).map_err(failure).and_then(|()| done(id, "not pinned any more")),
        What::Verify { id } => {
            let all = cache.list().map_err(failure)?;
            let ids: Vec<B256> = id.map_or_else(|| all.iter().map(|entry| entry.id).collect(), |id| vec![id]);
            let (mut text, mut wrong) = (String::new(), Vec::new());
            for id in &ids {
                match cache.read(*id) {
                    Ok(_) => text.push_str(&format!("{id}  every byte has its hash\n")),
                    Err(error @ CacheError::Damaged { .. }) => wrong.push(error.to_string()),
                    Err(other) => return Err(failure(other)),
                }
            }
            if !wrong.is_empty() {
                return Err(Failure::Differs(format!("{text}{}", wrong.join("\n"))));
            }
            Ok(Output::new(text, json!({ "verified": ids })))
        }
        What::Clean => {
            let bytes = cache.clean().map_err(failure)?;
            Ok(Output::new(format!("{} bytes are free again\n", grouped(bytes)), json!({ "freed": bytes })))
        }
        What::Evict { id } => cache.evict(id).map_err(failure).and_then(|()| done(id, "evicted")),
    }
}

fn list(all: &[Entry], leftovers: &[Leftover]) -> Output {
    let line =
        |e: &Entry| format!("{}  {:>14} bytes{}\n", e.id, grouped(e.bytes), if e.pinned { "  pinned" } else { "" });
    let mut text: String = all.iter().map(line).collect();
    if all.is_empty() {
        text.push_str("no models: `lockstep models add MODEL.lsm`, or `lockstep models fetch ID --from SOURCE`\n");
    }
    let state = |l: &Leftover| if l.damaged { "damaged" } else { "not finished" };
    for l in leftovers {
        let (bytes, state) = (grouped(l.bytes), state(l));
        text.push_str(&format!("{}  {bytes:>14} bytes  {state}: `lockstep models clean` removes it\n", l.id));
    }
    let json: Vec<_> = all.iter().map(|e| json!({ "modelId": e.id, "bytes": e.bytes, "pinned": e.pinned })).collect();
    let other: Vec<_> =
        leftovers.iter().map(|l| json!({ "modelId": l.id, "bytes": l.bytes, "state": state(l) })).collect();
    Output::new(text, json!({ "models": json, "leftovers": other }))
}

pub(super) fn failure(error: CacheError) -> Failure {
    match error {
        CacheError::Engine(_) => Failure::refused("the model", error.to_string()),
        CacheError::Pinned(_) | CacheError::Absent(_) => Failure::Usage(error.to_string()),
        CacheError::Damaged { .. } => Failure::Differs(error.to_string()),
        other => Failure::Other(anyhow::anyhow!("{other}")),
    }
}
