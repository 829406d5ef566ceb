//! `--models DIR`: every model file of a directory is on the dev chain when the node is up.

use super::{PublishError, Published, local::LocalTransport, plan, publish};
use crate::{miner::DevMiner, rpc::Api};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long published models may take to load.
const LOAD_TIME: Duration = Duration::from_secs(120);

/// Why a directory of models was not published.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Not readable.
    #[error("cannot read {path}: {source}; --models takes a folder with *.lsm files (`lockstep import` makes them)")]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model was not published.
    #[error("{path}: {source}")]
    Publish {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PublishError,
    },
    /// A model is on the chain and not in memory.
    #[error("{path} is published, but this node did not load it; the log says why")]
    NotLoaded {
        /// The file.
        path: PathBuf,
    },
    /// The chain takes no models.
    #[error("the genesis has no config.lockstep: this chain takes no models")]
    PlainChain,
}

/// A model file and what publishing it did.
#[derive(Debug, Clone)]
pub struct PublishedFile {
    /// The file.
    pub path: PathBuf,
    /// The model.
    pub published: Published,
}

/// Publishes every `*.lsm` of `dir`, in order of their names, and makes blocks until all can be called.
pub(crate) fn publish_directory(api: &Api, miner: &DevMiner, dir: &Path) -> Result<Vec<PublishedFile>, DirectoryError> {
    let config = api.chain.spec().lockstep.clone().ok_or(DirectoryError::PlainChain)?;
    let read = |path: &Path| {
        let path = path.to_path_buf();
        move |source| DirectoryError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read(dir))? {
        let path = entry.map_err(read(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "lsm") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        tracing::warn!(dir = %dir.display(), "no *.lsm file here: nothing to publish; `lockstep import` makes them");
    }
    // A broken file is refused before anything is sent.
    let mut plans = Vec::with_capacity(files.len());
    for path in files {
        let bytes = std::fs::read(&path).map_err(read(&path))?;
        match plan(&bytes, &config.limits.engine()) {
            Ok(plan) => plans.push((path, plan)),
            Err(source) => return Err(DirectoryError::Publish { path, source }),
        }
    }
    let mut all = Vec::with_capacity(plans.len());
    let mut active_from = 0;
    for (path, plan) in plans {
        let failed = |source| DirectoryError::Publish { path: path.clone(), source };
        let mut transport = LocalTransport::new(api, miner).map_err(failed)?;
        let published = publish(&plan, &mut transport, &mut |_| {}).map_err(failed)?;
        tracing::info!(
            file = %path.display(),
            model = %published.model_id,
            gas = published.gas_used,
            transactions = published.transactions,
            "model published"
        );
        active_from = active_from.max(published.activation_block);
        all.push(PublishedFile { path, published });
    }
    if let Some(last) = all.last() {
        let failed = |source| DirectoryError::Publish { path: last.path.clone(), source };
        LocalTransport::new(api, miner).and_then(|local| local.mine_until(active_from)).map_err(failed)?;
    }
    // Large models load on threads of their own.
    let began = Instant::now();
    for file in &all {
        while !api.models.contains(&file.published.model_id) {
            if began.elapsed() > LOAD_TIME {
                return Err(DirectoryError::NotLoaded { path: file.path.clone() });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(all)
}
