//! A dev node as a child process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::rpc::Rpc;

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The binary under test: `LOCKSTEP_BIN`, or the release build beside this test.
pub fn lockstep() -> PathBuf {
    if let Some(p) = std::env::var_os("LOCKSTEP_BIN") {
        return p.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("release/lockstep")
}

/// A TCP port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A running node; killed when dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    /// Its JSON-RPC.
    pub rpc: Rpc,
    /// Its HTTP port.
    pub port: u16,
}

impl Node {
    /// Starts `lockstep node` with these arguments on a free port and waits until it answers.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let binary = lockstep();
        let port = free_port()?;
        let mut child = Command::new(&binary)
            .arg("node")
            .args(arguments)
            .args(["--http-port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start: build it with `make build`", binary.display()))?;
        let rpc = Rpc::new(format!("http://127.0.0.1:{port}"));
        let began = Instant::now();
        while rpc.call("eth_chainId", json!([])).is_err() {
            if let Some(status) = child.try_wait()? {
                let log: Vec<String> = child
                    .stderr
                    .take()
                    .map(|e| BufReader::new(e).lines().map_while(Result::ok).collect())
                    .unwrap_or_default();
                bail!("the node ended with {status}:\n{}", log.join("\n"));
            }
            if began.elapsed() > Duration::from_secs(60) {
                bail!("the node does not answer");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Nobody reads its log from here on; an unread pipe would block it.
        if let Some(err) = child.stderr.take() {
            let echo = std::env::var_os("NODE_LOG").is_some();
            std::thread::spawn(move || {
                for line in BufReader::new(err).lines().map_while(Result::ok) {
                    if echo {
                        eprintln!("node: {line}");
                    }
                }
            });
        }
        Ok(Self { child, rpc, port })
    }

    /// A dev chain with every committed model published.
    pub fn dev_with_models() -> Result<Self> {
        let models = root().join("target/models");
        let models = models.to_str().context("the project's path is not UTF-8")?;
        Self::start(&["--dev", "--models", models])
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no chance to write anything.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Leaves the process running.
    pub fn leave(self) -> u32 {
        let pid = self.child.id();
        std::mem::forget(self);
        pid
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
