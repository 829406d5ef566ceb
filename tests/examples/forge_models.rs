//! Writes contracts/test/native/models.json: run it after a committed model, or a price, has changed on purpose.

use lockstep_tests::fixtures;
use lockstep_tests::node::root;

fn main() -> anyhow::Result<()> {
    std::fs::write(root().join(fixtures::PATH), fixtures::generate()?)?;
    Ok(())
}
