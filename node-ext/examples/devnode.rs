//! A node in one process, for tests that kill it: `devnode DATADIR PORT [GENESIS] [IMPORT]`.
//!
//! Prints the address it listens on and runs until its input ends or it is killed.

use lockstep_node_ext::{GenesisSource, Node, NodeConfig};
use std::{io::Read, net::SocketAddr, path::PathBuf};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let datadir = args.next().filter(|dir| !dir.is_empty() && dir != "-").map(PathBuf::from);
    let port = args.next().unwrap_or_else(|| "0".into()).parse()?;
    let genesis = match args.next().filter(|path| path != "-") {
        Some(path) => GenesisSource::File(path.into()),
        None => GenesisSource::Dev,
    };
    let import = args.next().map(PathBuf::from);
    let http_addr = SocketAddr::from(([127, 0, 0, 1], port));
    let node = Node::launch(NodeConfig { genesis, datadir, http_addr, import, ..Default::default() }).await?;
    println!("{}", node.http_addr());
    eprintln!("head {} {}", node.chain().head().header.number, node.chain().head().hash);
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    node.stop().await;
    Ok(())
}
