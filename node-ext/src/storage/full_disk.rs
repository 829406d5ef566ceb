//! A disk that is full: what is not on it is not acknowledged, and what was acknowledged stays.

use super::{
    Store,
    crash::{check, try_append},
};
use redb::StorageBackend;
use std::{
    io::{Error, ErrorKind},
    sync::{Arc, Mutex},
};

/// A file that can grow to so many bytes.
#[derive(Debug, Clone)]
struct Small {
    image: Arc<Mutex<Vec<u8>>>,
    room: usize,
    /// What does not fit is dropped, and nobody hears of it.
    silent: bool,
}

impl Small {
    fn new(image: Vec<u8>, room: usize) -> Self {
        Self { image: Arc::new(Mutex::new(image)), room, silent: false }
    }

    fn grow(&self, to: usize) -> std::io::Result<()> {
        let mut image = self.image.lock().unwrap();
        if to > image.len() && to > self.room {
            return Err(Error::from(ErrorKind::StorageFull));
        }
        let length = image.len().max(to);
        image.resize(length, 0);
        Ok(())
    }
}

impl StorageBackend for Small {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.image.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let image = self.image.lock().unwrap();
        let from = offset as usize;
        out.copy_from_slice(image.get(from..from + out.len()).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        match self.grow(len as usize) {
            Err(_) if self.silent => return Ok(()),
            grown => grown?,
        }
        self.image.lock().unwrap().truncate(len as usize);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        let from = offset as usize;
        match self.grow(from + data.len()) {
            Err(_) if self.silent => return Ok(()),
            grown => grown?,
        }
        self.image.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

const BLOCKS: u64 = 3_000;

#[test]
fn a_full_disk_loses_no_acknowledged_block() {
    let disk = Small::new(Vec::new(), 2 << 20);
    let store = Store::with_backend(disk.clone()).unwrap();
    let mut acknowledged = None;
    let error = try_append(&store, BLOCKS, |number| acknowledged = Some(number)).expect_err("the disk is full");
    let text = error.to_string();
    assert!(text.contains("space"), "it is named, with what to do: {text}");
    let last = acknowledged.expect("some blocks fit");
    assert!(last + 1 < BLOCKS);
    drop(store);
    // With room again, everything that was acknowledged is there. What was not acknowledged is not: had the node gone on
    // as if the write had worked, that block would be lost.
    let image = disk.image.lock().unwrap().clone();
    let store = Store::with_backend(Small::new(image, usize::MAX)).unwrap();
    check(&store, Some(last));
    assert!(store.canonical_hash(last + 1).unwrap().is_none(), "the block that was refused");
    eprintln!(
        "FAULT|full disk|the write fails, the block is not acknowledged ({text:.60}…)|nothing: {} blocks kept",
        last + 1
    );
}

/// What the defence is worth: the same disk, and a node that does not hear of its errors acknowledges what is lost.
#[test]
fn without_the_error_of_a_full_disk_acknowledged_blocks_are_lost() {
    let disk = Small { silent: true, ..Small::new(Vec::new(), 2 << 20) };
    let acknowledged = Mutex::new(None);
    // The database may notice by itself, and die of it, when it reads what it wrote.
    let lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let store = Store::with_backend(disk.clone()).unwrap();
        let noted = try_append(&store, BLOCKS, |number| *acknowledged.lock().unwrap() = Some(number));
        drop(store);
        noted.is_err()
    }));
    let last = acknowledged.into_inner().unwrap().expect("some blocks fit");
    let image = disk.image.lock().unwrap().clone();
    let after = std::panic::catch_unwind(|| {
        let store = Store::with_backend(Small::new(image, usize::MAX)).map_err(|_| ())?;
        store.canonical_hash(last).map_err(|_| ())?.ok_or(())
    });
    assert!(!matches!(after, Ok(Ok(_))), "block {last} was acknowledged, and is there: {lost:?}");
}
