//! The directory: what is there, room for more, reading with every byte hashed.

use super::{CacheError, Part, Parts, io};
use crate::models::StoredModel;
use alloy_primitives::B256;
use lockstep_engine::{
    Limits, Model,
    format::{Container, merkle::LeafHasher},
};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

const PIN: &str = "pin";
const USED: &str = "used";
const PARTIAL: &str = "part";
const DAMAGED: &str = "damaged";

/// A directory of models, held by one process at a time.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    budget: Option<u64>,
    _lock: File,
}

/// A model of the cache.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The model.
    pub id: B256,
    /// Bytes on disk.
    pub bytes: u64,
    /// Whether it is never evicted to make room.
    pub pinned: bool,
    /// When it was put there or read.
    pub used: SystemTime,
}

/// What takes room in a cache and is no model.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// The model that it was, or was to become.
    pub id: B256,
    /// Set aside as damaged; otherwise a download that is not finished.
    pub damaged: bool,
    /// Bytes on disk.
    pub bytes: u64,
    changed: SystemTime,
    path: PathBuf,
}

impl Leftover {
    fn remove(self) -> Result<u64, CacheError> {
        tracing::info!(model = %self.id, bytes = self.bytes, damaged = self.damaged, "leftover removed from the cache");
        fs::remove_dir_all(&self.path).map_err(io(self.path))?;
        Ok(self.bytes)
    }
}

impl Cache {
    /// Opens (or makes) a cache that may take so many bytes.
    pub fn open(dir: &Path, budget: Option<u64>) -> Result<Self, CacheError> {
        fs::create_dir_all(dir).map_err(io(dir))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(io(&path))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => CacheError::Busy(dir.to_owned()),
            fs::TryLockError::Error(source) => CacheError::Io { path, source },
        })?;
        Ok(Self { dir: dir.to_owned(), budget, _lock: lock })
    }

    /// All models, the one used longest ago first.
    pub fn list(&self) -> Result<Vec<Entry>, CacheError> {
        let mut all = Vec::new();
        for found in fs::read_dir(&self.dir).map_err(io(&self.dir))? {
            let path = found.map_err(io(&self.dir))?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let Ok(id) = name.parse::<B256>() else { continue };
            let length = |part: Part| fs::metadata(path.join(part.name())).map_or(0, |m| m.len());
            let used = fs::metadata(path.join(USED)).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            let bytes = length(Part::Graph) + length(Part::Leaves) + length(Part::Weights);
            all.push(Entry { id, bytes, pinned: path.join(PIN).exists(), used });
        }
        all.sort_by_key(|entry| (entry.used, entry.id));
        Ok(all)
    }

    /// What takes room and is no model: downloads that are not finished, models set aside as damaged; the oldest first.
    pub fn leftovers(&self) -> Result<Vec<Leftover>, CacheError> {
        let mut all = Vec::new();
        for found in fs::read_dir(&self.dir).map_err(io(&self.dir))? {
            let path = found.map_err(io(&self.dir))?.path();
            let id = path.file_stem().and_then(|stem| stem.to_string_lossy().parse::<B256>().ok());
            let extension = path.extension().map(|e| e.to_string_lossy().into_owned());
            let (Some(id), Some(extension)) = (id, extension) else { continue };
            if extension != PARTIAL && extension != DAMAGED {
                continue;
            }
            let (mut bytes, mut changed) = (0, SystemTime::UNIX_EPOCH);
            for part in [Part::Graph, Part::Leaves, Part::Weights] {
                let Ok(file) = fs::metadata(path.join(part.name())) else { continue };
                bytes += file.len();
                changed = changed.max(file.modified().unwrap_or(SystemTime::UNIX_EPOCH));
            }
            all.push(Leftover { id, damaged: extension == DAMAGED, bytes, changed, path });
        }
        all.sort_by_key(|leftover| (!leftover.damaged, leftover.changed, leftover.id));
        Ok(all)
    }

    /// Removes what is no model; gives the bytes that are free now.
    pub fn clean(&self) -> Result<u64, CacheError> {
        self.leftovers()?.into_iter().try_fold(0, |bytes, leftover| Ok(bytes + leftover.remove()?))
    }

    /// Whether the model is there.
    pub fn contains(&self, id: B256) -> bool {
        self.path(id).is_dir()
    }

    /// Pins a model, or takes the pin away.
    pub fn pin(&self, id: B256, pinned: bool) -> Result<(), CacheError> {
        let path = self.there(id)?.join(PIN);
        match pinned {
            true => File::create(&path).map(drop).map_err(io(path)),
            false if path.exists() => fs::remove_file(&path).map_err(io(path)),
            false => Ok(()),
        }
    }

    /// Takes a model out.
    pub fn evict(&self, id: B256) -> Result<(), CacheError> {
        let path = self.there(id)?;
        if path.join(PIN).exists() {
            return Err(CacheError::Pinned(id));
        }
        fs::remove_dir_all(&path).map_err(io(path))
    }

    /// Puts the model of a file in; gives its name.
    pub fn add(&self, file: &[u8], limits: &Limits) -> Result<B256, CacheError> {
        let id = B256::from(Model::decode(file, limits)?.id());
        let sections = Container::decode(file)?;
        let mut leaves = LeafHasher::default();
        leaves.push(sections.weights);
        let parts = Parts::proven(id, sections.graph.to_vec(), leaves.leaves().as_flattened())
            .map_err(|reason| CacheError::Damaged { id, reason })?;
        if !self.contains(id) {
            let partial = self.begin(&parts)?;
            let path = partial.join(Part::Weights.name());
            write(&path, sections.weights)?;
            self.publish(&parts)?;
        }
        Ok(id)
    }

    /// Reads a model into memory. Every byte is hashed after it was copied: a file can change when it likes. What is
    /// damaged is set aside, and is not there any more.
    pub fn read(&self, id: B256) -> Result<StoredModel, CacheError> {
        let dir = self.there(id)?;
        let read = |part: Part| fs::read(dir.join(part.name())).map_err(io(dir.join(part.name())));
        let (graph, leaves, weights) = (read(Part::Graph)?, read(Part::Leaves)?, read(Part::Weights)?);
        let sound = Parts::proven(id, graph, &leaves).and_then(|parts| match parts.check(0, &weights) {
            _ if weights.len() as u64 != parts.weights_length => {
                Err(format!("its weights have {} bytes, not {}", weights.len(), parts.weights_length))
            }
            (_, Some(leaf)) => Err(format!("leaf {leaf} of its weights has another hash")),
            (_, None) => Ok(parts.graph),
        });
        match sound {
            Ok(graph) => {
                let used = dir.join(USED);
                File::create(&used).map_err(io(used))?;
                Ok(StoredModel { id, graph, weights })
            }
            Err(reason) => {
                tracing::error!(alarm = "cache_damage", model = %id, reason, "model damaged on disk");
                let aside = dir.with_extension(DAMAGED);
                let _ = fs::remove_dir_all(&aside);
                fs::rename(&dir, &aside).map_err(io(dir))?;
                Err(CacheError::Damaged { id, reason })
            }
        }
    }

    /// Begins a model, or goes on with one that was begun: gives its folder, with graph and leaves in it.
    pub(super) fn begin(&self, parts: &Parts) -> Result<PathBuf, CacheError> {
        let dir = self.path(parts.id).with_extension(PARTIAL);
        fs::create_dir_all(&dir).map_err(io(&dir))?;
        self.make_room(parts)?;
        write(&dir.join(Part::Graph.name()), &parts.graph)?;
        write(&dir.join(Part::Leaves.name()), parts.leaves.as_flattened())?;
        Ok(dir)
    }

    /// The model that was begun is whole: it gets its name at once or not at all.
    pub(super) fn publish(&self, parts: &Parts) -> Result<(), CacheError> {
        let (partial, path) = (self.path(parts.id).with_extension(PARTIAL), self.path(parts.id));
        write(&partial.join(USED), &[])?;
        sync(&partial)?;
        fs::rename(&partial, &path).map_err(io(path))?;
        sync(&self.dir)
    }

    /// Removes leftovers, then what was used longest ago, until the model fits.
    fn make_room(&self, parts: &Parts) -> Result<(), CacheError> {
        let Some(budget) = self.budget else { return Ok(()) };
        let all = self.list()?;
        let needed = parts.bytes();
        let pinned: u64 = all.iter().filter(|entry| entry.pinned).map(|entry| entry.bytes).sum();
        if needed.saturating_add(pinned) > budget {
            return Err(CacheError::Room { id: parts.id, needed, budget, pinned });
        }
        // What is there of this very model is part of what is needed.
        let own = |leftover: &Leftover| leftover.id == parts.id && !leftover.damaged;
        let leftovers: Vec<Leftover> = self.leftovers()?.into_iter().filter(|l| !own(l)).collect();
        let mut held: u64 =
            all.iter().map(|entry| entry.bytes).sum::<u64>() + leftovers.iter().map(|l| l.bytes).sum::<u64>();
        for leftover in leftovers {
            if held + needed <= budget {
                break;
            }
            held -= leftover.remove()?;
        }
        for entry in all.iter().filter(|entry| !entry.pinned) {
            if held + needed <= budget {
                break;
            }
            tracing::info!(model = %entry.id, bytes = entry.bytes, "evicted from the cache to make room");
            self.evict(entry.id)?;
            held -= entry.bytes;
        }
        Ok(())
    }

    fn path(&self, id: B256) -> PathBuf {
        self.dir.join(id.to_string())
    }

    fn there(&self, id: B256) -> Result<PathBuf, CacheError> {
        let path = self.path(id);
        if path.is_dir() { Ok(path) } else { Err(CacheError::Absent(id)) }
    }
}

/// Writes a file that is on disk when this returns.
fn write(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(io(path))
}

fn sync(dir: &Path) -> Result<(), CacheError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io(dir))
}
