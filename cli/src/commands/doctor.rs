//! `lockstep doctor`: whether this machine can do what is asked of it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lockstep_engine::fast::Level;
use lockstep_node_ext::care::SelfTest;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;

/// Check this machine: processor, floating-point environment, a self-test, disk and ports
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lockstep doctor
  lockstep doctor --datadir /var/lib/lockstep --http-port 8545

Every line is ok or says what to do. Exit status 1 where something is wrong.")]
pub(crate) struct Args {
    /// The folder where a node would keep its chain
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    /// The port where a node would listen
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    http_port: u16,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Seconds since 1970 when this version was made, roughly: a clock that shows less is wrong.
const RELEASED: u64 = 1_767_225_600;
/// Bytes of disk below which a chain will not run for long.
const LITTLE_DISK: u64 = 10 << 30;

/// One finding.
struct Check {
    name: &'static str,
    state: State,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Slower or less convenient, not wrong.
    Remark,
    Wrong,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Remark => "note",
            Self::Wrong => "WRONG",
        }
    }
}

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<Output, Failure> {
    let folder = args.datadir.clone().unwrap_or_else(|| PathBuf::from("."));
    let checks = [versions(), processor(), self_test(), clock(), disk(&folder), port(args.http_port)];
    let text: String = checks.iter().map(|c| format!("{:<6} {:<15} {}\n", c.state.name(), c.name, c.text)).collect();
    let list: Vec<Value> =
        checks.iter().map(|c| json!({ "check": c.name, "state": c.state.name(), "text": c.text })).collect();
    if checks.iter().any(|c| c.state == State::Wrong) {
        // The findings belong on stdout even then; the status says that something is wrong.
        Output::new(text, json!({ "checks": list })).print(args.json);
        return Err(Failure::Other(anyhow::anyhow!("this machine is not ready: see the lines marked WRONG")));
    }
    Ok(Output::new(text, json!({ "checks": list })))
}

fn versions() -> Check {
    let text = format!(
        "lockstep {}, LS1 version {}, gas schedule {}, model format {}",
        env!("CARGO_PKG_VERSION"),
        lockstep_engine::LS1_VERSION,
        crate::report::cost::SCHEDULE.version,
        lockstep_engine::format::FORMAT_VERSION
    );
    Check { name: "versions", state: State::Good, text }
}

fn processor() -> Check {
    let threads = super::run::all_cores();
    let (features, fast) = features();
    let list = if features.is_empty() { "none of those that matter".into() } else { features.join(", ") };
    let levels: Vec<&str> = Level::available().into_iter().map(Level::name).collect();
    let text = format!(
        "{}, {threads} threads, {list}; kernels {} (of {})",
        std::env::consts::ARCH,
        Level::detect().name(),
        levels.join(", ")
    );
    if fast {
        Check { name: "processor", state: State::Good, text }
    } else {
        let text = format!("{text}; without AVX2 and FMA (or NEON) inference is slow, its bits are the same");
        Check { name: "processor", state: State::Remark, text }
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> (Vec<&'static str>, bool) {
    let all = [
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512vnni", std::is_x86_feature_detected!("avx512vnni")),
    ];
    (all.iter().filter(|(_, has)| *has).map(|(n, _)| *n).collect(), all[0].1 && all[1].1)
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> (Vec<&'static str>, bool) {
    let neon = cfg!(target_arch = "aarch64");
    (if neon { vec!["neon"] } else { Vec::new() }, neon)
}

/// What a node does before it starts (spec CARE-1).
fn self_test() -> Check {
    match SelfTest::default().run() {
        Ok(report) => Check {
            name: "self-test",
            state: State::Good,
            text: format!(
                "{} operators have the approved bits by {}; floating point of {} threads is LS1's; {} ms",
                report.operators,
                report.ways.join(", "),
                report.threads,
                report.elapsed.as_millis()
            ),
        },
        Err(e) => Check { name: "self-test", state: State::Wrong, text: format!("{e}; a node does not start here") },
    }
}

/// Blocks are stamped with this clock, and other nodes refuse stamps of the future.
fn clock() -> Check {
    const STEADY: Duration = Duration::from_millis(20);
    let (wall, steady) = (SystemTime::now(), Instant::now());
    std::thread::sleep(STEADY);
    let (went, passed) = (wall.elapsed().unwrap_or_default(), steady.elapsed());
    let drift = went.abs_diff(passed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let synchronised = Path::new("/run/systemd/timesync/synchronized").exists();
    let (state, text) = if now < RELEASED {
        (State::Wrong, format!("it shows {now} seconds since 1970, which is before this binary was made: set it"))
    } else if drift > STEADY {
        (State::Wrong, format!("it was stepped by {} ms while it was looked at: something sets it", drift.as_millis()))
    } else if synchronised {
        (State::Good, "it runs evenly and is synchronised by systemd-timesyncd".to_owned())
    } else {
        (State::Good, "it runs evenly; whether it is synchronised is not known here: run chrony or ntpd".to_owned())
    };
    Check { name: "clock", state, text }
}

fn disk(folder: &Path) -> Check {
    // A folder that is not there yet is made by the node: what counts is its nearest parent.
    let mut there = folder;
    while !there.exists() {
        match there.parent() {
            Some(p) if !p.as_os_str().is_empty() => there = p,
            _ => {
                there = Path::new(".");
                break;
            }
        }
    }
    let probe = there.join(format!(".lockstep-doctor-{}", std::process::id()));
    let result = std::fs::write(&probe, b"probe");
    let _ = std::fs::remove_file(&probe);
    match result {
        Ok(()) => {
            let free = free(there);
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            let (state, text) = match free {
                Some(free) if free < LITTLE_DISK => {
                    (State::Remark, format!("only {:.1} GiB are free: a full disk stops the node", gib(free)))
                }
                Some(free) => (State::Good, format!("{:.0} GiB are free", gib(free))),
                None => (State::Remark, "how much is free is not known".to_owned()),
            };
            Check { name: "disk", state, text: format!("{} can be written; {text}", folder.display()) }
        }
        Err(e) => Check {
            name: "disk",
            state: State::Wrong,
            text: format!("{} cannot be written: {e}; choose another with --datadir", folder.display()),
        },
    }
}

/// Bytes that are free where this folder lies.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    rustix::fs::statvfs(folder).map(|s| s.f_bavail.saturating_mul(s.f_frsize)).ok()
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

fn port(number: u16) -> Check {
    match TcpListener::bind(("127.0.0.1", number)) {
        Ok(_) => Check { name: "port", state: State::Good, text: format!("{number} is free") },
        Err(e) => Check {
            name: "port",
            state: State::Remark,
            text: format!("{number} is not free ({e}); `lockstep node --http-port` takes another"),
        },
    }
}
