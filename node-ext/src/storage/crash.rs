//! Power cuts, one after every write of the database: what was acknowledged before is there after.
//!
//! A disk keeps what was synced. Of what was written since, it may keep any part: here nothing, everything, every
//! second write, and everything with the last write torn in the middle.

use super::{BlockState, DATABASE_FILE, StorageError, Store, StoredBlock};
use crate::primitives::Body;
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use redb::StorageBackend;
use revm::{
    database::{AccountStatus, BundleAccount, BundleState},
    state::AccountInfo,
};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
enum Step {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
    /// The node acknowledged the block of this number.
    Acknowledged(u64),
}

fn apply(image: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write(offset, data) => {
            let (from, to) = (*offset as usize, *offset as usize + data.len());
            if image.len() < to {
                image.resize(to, 0);
            }
            image[from..to].copy_from_slice(data);
        }
        Step::Length(length) => image.resize(*length as usize, 0),
        Step::Sync | Step::Acknowledged(_) => {}
    }
}

#[derive(Debug, Default)]
struct Disk {
    image: Vec<u8>,
    log: Vec<Step>,
}

/// Storage that remembers every step.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Disk>>);

impl Recorder {
    fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk { image, log: Vec::new() })))
    }

    fn step(&self, step: Step) {
        let mut disk = self.0.lock().unwrap();
        apply(&mut disk.image, &step);
        disk.log.push(step);
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.0.lock().unwrap().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let disk = self.0.lock().unwrap();
        let from = offset as usize;
        let bytes = disk.image.get(from..from + out.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.step(Step::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.step(Step::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.step(Step::Write(offset, data.to_vec()));
        Ok(())
    }
}

const BLOCKS: u64 = 6;

/// Appends blocks, each of which changes some accounts.
pub(super) fn append(store: &Store, blocks: u64, done: impl FnMut(u64)) {
    try_append(store, blocks, done).unwrap();
}

/// The same, up to the first block that is not written.
pub(super) fn try_append(store: &Store, blocks: u64, mut done: impl FnMut(u64)) -> Result<(), StorageError> {
    let (mut root, mut parent) = (EMPTY_ROOT_HASH, B256::ZERO);
    for number in 0..blocks {
        let mut bundle = BundleState::default();
        for index in 0..6u8 {
            let info = AccountInfo { balance: U256::from(number + 1), nonce: number, ..Default::default() };
            let account = BundleAccount::new(None, Some(info), Default::default(), AccountStatus::Changed);
            bundle.state.insert(Address::with_last_byte(index.wrapping_mul(31) ^ number as u8 & 3), account);
        }
        let state = store.state_at(root, number, parent).unwrap();
        let update = state.into_trie_update(&bundle).unwrap();
        let header = Header { number, parent_hash: parent, state_root: update.root, ..Default::default() };
        let hash = header.hash_slow();
        let block = StoredBlock { hash, header, body: Body::default(), senders: Vec::new(), receipts: Vec::new() };
        store.insert_block(&block, &BlockState { nodes: update.nodes, ..Default::default() }, true)?;
        (root, parent) = (update.root, hash);
        done(number);
    }
    Ok(())
}

/// Every block up to `acknowledged` is there with its state, and so is every block that the index names.
pub(super) fn check(store: &Store, acknowledged: Option<u64>) {
    let mut number = 0;
    while let Some(hash) = store.canonical_hash(number).unwrap() {
        let block = store.block(hash).unwrap().expect("a block of the index is whole");
        let state = store.state(&block.header, hash).unwrap();
        assert_eq!(store.verify_state(&block.header).unwrap().root, block.header.state_root);
        for index in 0..6u8 {
            let account = state.account(Address::with_last_byte(index.wrapping_mul(31) ^ number as u8 & 3)).unwrap();
            assert_eq!(account.expect("the account is there").balance, U256::from(number + 1));
        }
        number += 1;
    }
    assert!(acknowledged.is_none_or(|last| number > last), "{number} blocks, {acknowledged:?} was acknowledged");
    let head = store.head_hash().unwrap();
    assert_eq!(head, number.checked_sub(1).and_then(|last| store.canonical_hash(last).unwrap()));
}

#[test]
fn a_power_cut_after_any_write_loses_no_acknowledged_block() {
    let disk = Recorder::default();
    let store = Store::with_backend(disk.clone()).unwrap();
    append(&store, BLOCKS, |number| disk.step(Step::Acknowledged(number)));
    drop(store);
    let log = std::mem::take(&mut disk.0.lock().unwrap().log);

    let mut synced = Vec::new();
    let mut since: Vec<&Step> = Vec::new();
    let mut acknowledged = None;
    let mut cuts = 0;
    for step in &log {
        match step {
            Step::Sync => {
                since.drain(..).for_each(|step| apply(&mut synced, step));
                continue;
            }
            Step::Acknowledged(number) => {
                acknowledged = Some(*number);
                continue;
            }
            _ => since.push(step),
        }
        // The file is made by the first writes; a cut inside them leaves a directory without any block.
        if acknowledged.is_none() {
            continue;
        }
        let keep = |kept: &dyn Fn(usize) -> bool, torn: bool| {
            let mut image = synced.clone();
            for (index, step) in since.iter().enumerate().filter(|(index, _)| kept(*index)) {
                match step {
                    Step::Write(offset, data) if torn && index + 1 == since.len() => {
                        apply(&mut image, &Step::Write(*offset, data[..data.len() / 2].to_vec()));
                    }
                    step => apply(&mut image, step),
                }
            }
            image
        };
        for image in [
            keep(&|_| false, false),
            keep(&|_| true, false),
            keep(&|_| true, true),
            keep(&|index| index % 2 == 0, false),
            keep(&|index| index % 2 == 1, false),
        ] {
            let store = Store::with_backend(Recorder::holding(image)).expect("the database opens");
            check(&store, acknowledged);
            cuts += 1;
        }
    }
    assert!(cuts > 100, "{cuts} cuts");
    eprintln!("{cuts} power cuts over {BLOCKS} blocks: nothing acknowledged was lost");
}

/// A file that was cut short afterwards has lost pages that were on disk: nobody can bring them back. The node says so
/// at the start, or has everything; it never starts with less than was acknowledged.
#[test]
fn a_file_cut_short_is_whole_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Some(dir.path())).unwrap();
    append(&store, BLOCKS, drop);
    drop(store);
    let path = dir.path().join(DATABASE_FILE);
    let whole = std::fs::read(&path).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for cut in [1, 100, 4096, 8192, whole.len() / 2, whole.len() - 512, whole.len() - 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        match Store::open(Some(dir.path())) {
            Ok(store) => {
                check(&store, Some(BLOCKS - 1));
                opened += 1;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("restore a backup"), "{cut} bytes cut: {text}");
                refused += 1;
            }
        }
    }
    eprintln!("{opened} cuts lost nothing, {refused} were refused");
    std::fs::write(&path, b"not a database").unwrap();
    let error = Store::open(Some(dir.path())).unwrap_err().to_string();
    assert!(error.contains("is no database of this node"), "{error}");
    std::fs::write(&path, &whole).unwrap();
    check(&Store::open(Some(dir.path())).unwrap(), Some(BLOCKS - 1));
}

/// The state trie of a store with a missing node reports the damage and says what to do.
#[test]
fn a_missing_node_is_damage_of_this_node() {
    let store = Store::with_backend(Recorder::default()).unwrap();
    let state = store.state_at(B256::repeat_byte(1), 0, B256::ZERO).unwrap();
    assert!(state.account(Address::ZERO).unwrap_err().to_string().contains("restore a backup"));
    assert!(state.fault().is_none(), "the EVM read nothing");
    assert!(revm::database_interface::DatabaseRef::basic_ref(&state, Address::ZERO).is_err());
    assert!(state.fault().is_some());
}
