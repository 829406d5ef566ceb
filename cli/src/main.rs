//! The binary `lockstep`; everything is in the library beside it.

fn main() -> std::process::ExitCode {
    lockstep_cli::run()
}
