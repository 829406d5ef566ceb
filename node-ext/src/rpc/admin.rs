//! What only whoever runs the node may ask: offered on the authenticated port, and on one that this machine alone reaches.

use super::{
    Methods,
    error::{INVALID_PARAMS, IntoRpc, RpcResult, error, internal, server},
};
use crate::storage::{Backup, BackupError};
use alloy_primitives::B256;
use serde_json::json;
use std::sync::Mutex;

/// What reads everything does so one at a time.
static READING_ALL: Mutex<()> = Mutex::new(());

pub(super) fn add(methods: &mut Methods) {
    methods.add("lockstep_backup", |api, args| {
        let name: Option<String> = args.opt()?;
        let head = api.chain.head();
        let name = name
            .unwrap_or_else(|| format!("block-{}-{:.8}", head.header.number, alloy_primitives::hex::encode(head.hash)));
        let Ok(_alone) = READING_ALL.try_lock() else {
            return Err(server("a backup or a check of the state is at work: wait until it is done"));
        };
        backup(api.chain.store().backup(&name))
    });
    methods.add("lockstep_verifyState", |api, args| {
        let block = api.locate(args.opt()?)?;
        let Ok(_alone) = READING_ALL.try_lock() else {
            return Err(server("a backup or a check of the state is at work: wait until it is done"));
        };
        api.chain.store().verify_state(&block.header).rpc()
    });
    methods.add("lockstep_fetchModel", |api, args| {
        let (id, sources): (B256, Option<Vec<String>>) = (args.next()?, args.opt()?);
        let keeper = api.keeper.as_ref().ok_or_else(|| server("a plain chain has no models"))?;
        let fetched = keeper.fetch(id, &sources.unwrap_or_default()).map_err(|e| server(e.to_string()))?;
        Ok(json!({ "modelId": id, "bytes": fetched.bytes, "resumed": fetched.resumed, "troubles": fetched.troubles }))
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
