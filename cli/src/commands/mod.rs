//! One file per command.

pub(crate) mod backup;
pub(crate) mod bind;
pub(crate) mod compare;
pub(crate) mod doctor;
mod duty;
pub(crate) mod follow;
pub(crate) mod genesis;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod kit;
pub(crate) mod models;
pub(crate) mod node;
pub(crate) mod publish;
pub(crate) mod quote;
pub(crate) mod run;
pub(crate) mod tokenize;
pub(crate) mod verify;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// What `lockstep` can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(import::Args),
    Inspect(inspect::Args),
    Run(run::Args),
    Tokenize(tokenize::Args),
    Quote(quote::Args),
    Compare(compare::Args),
    Bind(bind::Args),
    Publish(publish::Args),
    Verify(verify::Args),
    Node(node::Args),
    Follow(follow::Args),
    Backup(backup::Args),
    Genesis(genesis::Args),
    Doctor(doctor::Args),
    Models(models::Args),
    Kit(kit::Args),
}

impl Command {
    /// Whether the result is for a program.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Import(a) => a.json,
            Self::Inspect(a) => a.json,
            Self::Run(a) => a.json,
            Self::Tokenize(a) => a.json,
            Self::Quote(a) => a.json,
            Self::Compare(a) => a.json,
            Self::Bind(a) => a.json,
            Self::Publish(a) => a.json,
            Self::Verify(a) => a.json,
            Self::Doctor(a) => a.json,
            Self::Follow(a) => a.json,
            Self::Backup(a) => a.json,
            Self::Models(a) => a.json,
            Self::Node(_) | Self::Genesis(_) | Self::Kit(_) => false,
        }
    }

    /// Whether it must start fast and logs nothing.
    pub(crate) fn is_quick(&self) -> bool {
        matches!(self, Self::Kit(_))
    }

    /// Does it.
    pub(crate) fn execute(self) -> Result<Output, Failure> {
        match self {
            Self::Import(a) => import::execute(a),
            Self::Inspect(a) => inspect::execute(a),
            Self::Run(a) => run::execute(a),
            Self::Tokenize(a) => tokenize::execute(a),
            Self::Quote(a) => quote::execute(a),
            Self::Compare(a) => compare::execute(a),
            Self::Bind(a) => bind::execute(a),
            Self::Publish(a) => publish::execute(a),
            Self::Verify(a) => verify::execute(a),
            Self::Node(a) => node::execute(a),
            Self::Follow(a) => follow::execute(a),
            Self::Backup(a) => backup::execute(a),
            Self::Genesis(a) => genesis::execute(a),
            Self::Doctor(a) => doctor::execute(a),
            Self::Models(a) => models::execute(a),
            Self::Kit(a) => kit::execute(a),
        }
    }
}
