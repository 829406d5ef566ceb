//! What only whoever runs the node may ask: offered on the authenticated port, and on one that this machine alone reaches.

use super::{
    Methods,
    error::{INVALID_PARAMS, RpcResult, error, internal, server},
};
use crate::storage::{Backup, BackupError};
use std::sync::Mutex;

/// One backup at a time.
static BACKING_UP: Mutex<()> = Mutex::new(());

pub(super) fn add(methods: &mut Methods) {
    methods.add("lockstep_backup", |api, args| {
        let name: Option<String> = args.opt()?;
        let head = api.chain.head();
        let name = name
            .unwrap_or_else(|| format!("block-{}-{:.8}", head.header.number, alloy_primitives::hex::encode(head.hash)));
        let Ok(_alone) = BACKING_UP.try_lock() else {
            return Err(server("a backup is being made: wait until it is done"));
        };
        backup(api.chain.store().backup(&name))
    });
}

fn backup(made: Result<Backup, BackupError>) -> RpcResult<Backup> {
    match made {
        Ok(backup) => {
            tracing::info!(path = %backup.path.display(), number = backup.number, bytes = backup.bytes, "backup made");
            Ok(backup)
        }
        Err(e @ (BackupError::Name(_) | BackupError::Exists(_) | BackupError::InMemory)) => {
            Err(error(INVALID_PARAMS, e.to_string()))
        }
        Err(e) => Err(internal(e)),
    }
}
