//! One file per command.

pub(crate) mod doctor;
pub(crate) mod inspect;
pub(crate) mod kit;
pub(crate) mod quote;
pub(crate) mod run;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// What `lockstep` can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(inspect::Args),
    Run(run::Args),
    Quote(quote::Args),
    Doctor(doctor::Args),
    Kit(kit::Args),
}

impl Command {
    /// Whether the result is for a program.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Inspect(a) => a.json,
            Self::Run(a) => a.json,
            Self::Quote(a) => a.json,
            Self::Kit(_) => false,
            Self::Doctor(a) => a.json,
        }
    }

    /// Whether it must start fast and logs nothing.
    pub(crate) fn is_quick(&self) -> bool {
        matches!(self, Self::Kit(_))
    }

    /// Does it.
    pub(crate) fn execute(self) -> Result<Output, Failure> {
        match self {
            Self::Inspect(a) => inspect::execute(a),
            Self::Run(a) => run::execute(a),
            Self::Quote(a) => quote::execute(a),
            Self::Kit(a) => kit::execute(a),
            Self::Doctor(a) => doctor::execute(a),
        }
    }
}
