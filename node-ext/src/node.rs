//! Starting and stopping a node.

use crate::{
    care::{Care, Defences, Unfit, scrub::Scrub},
    chain::{Chain, ChainError, GenesisError, genesis, import},
    consensus::Driver,
    crosscheck::{CrossCheck, CrossCheckConfig, OnDifference},
    dev::dev_accounts,
    evm::Models,
    memo::{BLOCK_BYTES, NodeMemo},
    miner::DevMiner,
    models::{ModelError, ModelKeeper},
    pool::{Pool, PoolFollower},
    preexec::PreExecution,
    primitives::RecoveredTransaction,
    publish::{self, PublishedFile as Published},
    rpc::{self, engine::JwtSecret},
    storage::{DATABASE_CACHE, StorageError, Store},
};
use alloy_genesis::Genesis;
use jsonrpsee::server::ServerHandle;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// The port of JSON-RPC where none is given.
pub const DEFAULT_HTTP_PORT: u16 = 8545;

/// Where the chain's rules come from.
#[derive(Debug, Clone)]
pub enum GenesisSource {
    /// The dev chain: funded test accounts, blocks on demand, dev methods.
    Dev,
    /// A genesis file.
    File(PathBuf),
    /// A genesis in memory; `dev` adds the test accounts, the miner and the dev methods.
    Inline {
        /// The genesis.
        genesis: Box<Genesis>,
        /// Whether it is a dev chain.
        dev: bool,
    },
}

/// How to start a node.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The chain.
    pub genesis: GenesisSource,
    /// Where blocks and state are kept; in memory, and gone at the end, where `None`.
    pub datadir: Option<PathBuf>,
    /// Where JSON-RPC listens; port 0 takes a free one.
    pub http_addr: SocketAddr,
    /// Models (`*.lsm`) to publish at first start (dev only).
    pub models_dir: Option<PathBuf>,
    /// A block every so often, instead of one per arriving transaction (dev only).
    pub block_time: Option<Duration>,
    /// A file of RLP blocks to import at start.
    pub import: Option<PathBuf>,
    /// The Engine API, where a consensus client decides about blocks; not on a dev chain, whose miner decides.
    pub engine: Option<EngineConfig>,
    /// Threads that run pending transactions ahead of their block; 0: none.
    pub pre_execution_threads: usize,
    /// Bytes of memory that resident models may take; `None`: what the genesis allows.
    pub model_memory: Option<u64>,
    /// Bytes of the database that are kept in memory.
    pub database_cache: usize,
    /// Bytes of answers that are remembered for blocks; a quarter of it more for calls.
    pub memo_memory: usize,
    /// Models on disk: what the chain does not hold lies here; `models` in the data directory where `None`.
    pub cache: Option<PathBuf>,
    /// Where models come from that the chain does not hold: directories, `http(s)://…`, `peer:URL` of a node.
    pub model_sources: Vec<String>,
    /// What a finding of the cross-check does.
    pub on_difference: OnDifference,
    /// What keeps wrong answers out of blocks.
    pub defences: Defences,
}

/// Where the Engine API listens, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// The secret shared with the consensus client.
    pub secret: JwtSecret,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            genesis: GenesisSource::Dev,
            datadir: None,
            http_addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_HTTP_PORT),
            models_dir: None,
            block_time: None,
            import: None,
            engine: None,
            pre_execution_threads: default_pre_execution_threads(),
            model_memory: None,
            database_cache: DATABASE_CACHE,
            memo_memory: BLOCK_BYTES,
            cache: None,
            model_sources: Vec::new(),
            on_difference: OnDifference::default(),
            defences: Defences::default(),
        }
    }
}

/// A quarter of the machine's cores, at least one.
pub fn default_pre_execution_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 4).max(1)
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The genesis is refused.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The data directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The chain does not open.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The import failed.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// The server did not start.
    #[error(transparent)]
    Serve(#[from] rpc::ServeError),
    /// The active models cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Models cannot be published.
    #[error(transparent)]
    Publish(#[from] publish::DirectoryError),
    /// Models are published by transactions of a dev account.
    #[error("--models needs --dev; on another chain, publish with `lockstep publish MODEL.lsm --rpc URL`")]
    ModelsNeedDev,
    /// Two sides would decide about blocks.
    #[error(
        "a dev chain makes its own blocks: start the Engine API with --genesis FILE instead of --dev (`lockstep genesis` prints one)"
    )]
    EngineOnDev,
    /// This machine does not compute LS1.
    #[error("the self-test failed, and this node does not start: {0}")]
    Unfit(#[from] Unfit),
    /// A thread does not start.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A part of the start panicked.
    #[error("start-up failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A node.
#[derive(Debug)]
pub struct Node;

/// A running node. Dropping it leaves the node running until the runtime ends: call [`NodeHandle::stop`].
#[derive(Debug)]
pub struct NodeHandle {
    http_addr: SocketAddr,
    chain: Arc<Chain>,
    pool: Arc<Pool>,
    miner: Option<Arc<DevMiner>>,
    crosscheck: Option<Arc<CrossCheck>>,
    models: Models,
    preexec: Option<Arc<PreExecution>>,
    server: ServerHandle,
    engine: Option<Engine>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    published: Vec<Published>,
    scrub: Option<Scrub>,
}

/// The Engine API, running.
#[derive(Debug)]
struct Engine {
    address: SocketAddr,
    server: ServerHandle,
    driver: Arc<Driver>,
}

struct Parts {
    api: rpc::Api,
    published: Vec<Published>,
    scrub: Option<Scrub>,
}

impl Node {
    /// Starts a node; returns when JSON-RPC answers.
    pub async fn launch(config: NodeConfig) -> Result<NodeHandle, LaunchError> {
        // A port in use is found out before anything is written.
        rpc::check_address(config.http_addr)?;
        if let Some(engine) = &config.engine {
            rpc::check_address(engine.address)?;
        }
        let opening = config.clone();
        let Parts { api, published, scrub } = tokio::task::spawn_blocking(move || open(&opening)).await??;
        let (chain, pool, miner) = (api.chain.clone(), api.pool.clone(), api.miner.clone());
        let (crosscheck, models, preexec) = (api.crosscheck.clone(), api.models.clone(), api.preexec.clone());
        let driver = api.driver.clone();
        let api = Arc::new(api);
        let (http_addr, server) = rpc::serve(api.clone(), config.http_addr).await?;
        let engine = match (config.engine, driver) {
            (Some(EngineConfig { address, secret }), Some(driver)) => {
                let (address, server) = rpc::serve_engine(api, address, secret, &driver).await?;
                tracing::info!(%address, "the Engine API is up");
                Some(Engine { address, server, driver })
            }
            _ => None,
        };
        let mut tasks = Vec::new();
        if let (Some(miner), Some(every)) = (&miner, config.block_time) {
            tasks.push(tokio::spawn(mine_every(miner.clone(), every)));
        }
        if let Some(preexec) = &preexec {
            tasks.push(tokio::spawn(hear_arrivals(pool.arrivals(), preexec.clone())));
        }
        tracing::info!(%http_addr, chain_id = chain.spec().chain_id, head = chain.head().header.number, "node is up");
        Ok(NodeHandle {
            http_addr,
            chain,
            pool,
            miner,
            crosscheck,
            models,
            preexec,
            server,
            engine,
            tasks,
            published,
            scrub,
        })
    }
}

impl NodeHandle {
    /// Where JSON-RPC listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where the Engine API listens, where it is on.
    pub fn engine_addr(&self) -> Option<SocketAddr> {
        self.engine.as_ref().map(|engine| engine.address)
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The dev miner, on a dev chain.
    pub fn miner(&self) -> Option<&Arc<DevMiner>> {
        self.miner.as_ref()
    }

    /// The cross-check, on a chain with inference.
    pub fn crosscheck(&self) -> Option<&Arc<CrossCheck>> {
        self.crosscheck.as_ref()
    }

    /// The answers remembered.
    pub fn memo(&self) -> &NodeMemo {
        self.chain.evm().memo()
    }

    /// What keeps wrong answers out of blocks.
    pub fn care(&self) -> &Care {
        self.chain.evm().care()
    }

    /// Pre-execution, where it is on.
    pub fn pre_execution(&self) -> Option<&Arc<PreExecution>> {
        self.preexec.as_ref()
    }

    /// The models in memory.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The models of `models_dir`, with the file each came from; `gas_used` is 0 for those that were there already.
    pub fn published(&self) -> &[Published] {
        &self.published
    }

    /// Lets transactions be tried again that this node could not execute; call it when the reason may be gone.
    pub fn retry_parked(&self) {
        if self.pool.unpark()
            && let Some(miner) = &self.miner
        {
            miner.mine_waiting();
        }
    }

    /// Stops serving and mining; returns when both have ended. What was acknowledged is on disk already.
    pub async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        if self.server.stop().is_ok() {
            self.server.stopped().await;
        }
        if let Some(Engine { server, driver, .. }) = self.engine {
            if server.stop().is_ok() {
                server.stopped().await;
            }
            if let Err(error) = tokio::task::spawn_blocking(move || driver.jobs().stop()).await {
                tracing::error!(%error, "the builders did not stop");
            }
        }
        if let Some(scrub) = self.scrub
            && let Err(error) = tokio::task::spawn_blocking(move || scrub.stop()).await
        {
            tracing::error!(%error, "the scrub did not stop");
        }
        if let Some(preexec) = self.preexec
            && let Err(error) = tokio::task::spawn_blocking(move || preexec.stop()).await
        {
            tracing::error!(%error, "pre-execution did not stop");
        }
        if let Some(crosscheck) = self.crosscheck
            && let Err(error) = tokio::task::spawn_blocking(move || crosscheck.stop()).await
        {
            tracing::error!(%error, "the cross-check did not stop");
        }
    }
}

fn open(config: &NodeConfig) -> Result<Parts, LaunchError> {
    let (genesis, dev) = match &config.genesis {
        GenesisSource::Dev => (genesis::dev_genesis()?, true),
        GenesisSource::File(path) => (genesis::read_genesis(path)?, false),
        GenesisSource::Inline { genesis, dev } => ((**genesis).clone(), *dev),
    };
    if dev && config.engine.is_some() {
        return Err(LaunchError::EngineOnDev);
    }
    // Before anything is written: what this machine computes goes into blocks.
    if let Some(test) = &config.defences.self_test {
        let report = test.run()?;
        let (operators, threads, elapsed) = (report.operators, report.threads, report.elapsed);
        tracing::info!(operators, ways = report.ways.join(", "), threads, ?elapsed, "self-test passed");
    }
    let store = Store::open_with(config.datadir.as_deref(), config.database_cache)?;
    let models = Models::default();
    let chain = Arc::new(Chain::open(store, genesis, models.clone())?);
    chain.evm().care().configure(config.defences.clone());
    chain.evm().memo().set_budget(config.memo_memory);
    let pool = Arc::new(Pool::default());
    let miner = dev.then(|| Arc::new(DevMiner::new(chain.clone(), pool.clone(), config.block_time.is_none())));
    // A model that became resident lets the transactions run that waited for it.
    let (waiting, waker) = (Arc::downgrade(&pool), miner.as_ref().map(Arc::downgrade));
    let cache = config.cache.clone().or_else(|| config.datadir.as_ref().map(|dir| dir.join("models")));
    let (memory, sources) = (config.model_memory, config.model_sources.clone());
    let keeper = ModelKeeper::start(&chain, models.clone(), memory, cache, sources, move || {
        let Some(pool) = waiting.upgrade() else { return };
        if pool.unpark()
            && let Some(miner) = waker.as_ref().and_then(Weak::upgrade)
        {
            std::thread::spawn(move || miner.mine_waiting());
        }
    })?;
    let care = chain.evm().care().clone();
    let reloading = keeper.clone();
    let scrub = reloading.map(|keeper| Scrub::start(care, Box::new(move |id| keeper.reload(id)))).transpose();
    let scrub = scrub.map_err(LaunchError::Thread)?;
    chain.listen(Arc::new(PoolFollower::new(&chain, &pool)));
    let reproducers = config.datadir.as_ref().map(|dir| dir.join("findings"));
    let checking = CrossCheckConfig { on_difference: config.on_difference, reproducers };
    let crosscheck = CrossCheck::start(&chain, models.clone(), checking).map_err(LaunchError::Thread)?.map(Arc::new);
    if let Some(path) = &config.import {
        let blocks = import::import_file(&chain, path)?;
        tracing::info!(blocks, head = %chain.head().hash, "imported");
    }
    let accounts = if dev { dev_accounts() } else { Vec::new() };
    let preexec = PreExecution::start(&chain, &pool, miner.as_ref(), config.pre_execution_threads);
    let preexec = preexec.map_err(LaunchError::Thread)?.map(Arc::new);
    let driver = config.engine.is_some().then(|| Arc::new(Driver::new(chain.clone(), pool.clone(), keeper.clone())));
    let mut api = rpc::Api::new(chain, pool, miner, accounts, models, crosscheck, preexec);
    api.driver = driver;
    api.keeper = keeper;
    let published = match (&config.models_dir, &api.miner) {
        (Some(dir), Some(miner)) => publish::publish_directory(&api, miner, dir)?,
        (Some(_), None) => return Err(LaunchError::ModelsNeedDev),
        (None, _) => Vec::new(),
    };
    Ok(Parts { api, published, scrub })
}

async fn hear_arrivals(mut arrivals: Receiver<Arc<RecoveredTransaction>>, preexec: Arc<PreExecution>) {
    // Which ones it missed does not matter: the pool is looked through.
    while !matches!(arrivals.recv().await, Err(RecvError::Closed)) {
        preexec.arrived();
    }
}

async fn mine_every(miner: Arc<DevMiner>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let miner = miner.clone();
        match tokio::task::spawn_blocking(move || miner.mine()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "no block"),
            Err(error) => tracing::error!(%error, "no block"),
        }
    }
}
