//! Prints docs/operators.md, or writes it: `cargo run -p lockstep-importer --example operators -- --write`.

use lockstep_importer::operators::{self, Status};

fn main() -> std::io::Result<()> {
    let all = operators::list();
    let refused = all.iter().filter(|o| o.status == Status::Refused).count();
    eprintln!("{} operators, {refused} of them refused", all.len());
    if std::env::args().any(|a| a == "--write") {
        return std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operators.md"), operators::markdown());
    }
    print!("{}", operators::markdown());
    Ok(())
}
