//! The conformance test as a WebAssembly module: run.mjs asks for the hashes and compares them.

use std::sync::OnceLock;

use lockstep_engine::conformance::{Way, hashes};
use lockstep_engine::fast::Level;

static REPORTS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];

/// The hashes as text, a line each: of the reference (0) or of the fast path (1).
fn report(fast: bool) -> &'static str {
    REPORTS[usize::from(fast)].get_or_init(|| {
        let way = if fast { Way::fast(Level::detect()) } else { Way::REFERENCE };
        match hashes(&way) {
            Ok(all) => all.iter().map(|(name, hash)| format!("{name} = \"{hash}\"\n")).collect(),
            Err(e) => e.to_string(),
        }
    })
}

/// Where the text is.
#[unsafe(no_mangle)]
pub extern "C" fn report_start(fast: bool) -> *const u8 {
    report(fast).as_ptr()
}

/// Its length in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn report_length(fast: bool) -> usize {
    report(fast).len()
}

/// C's: CORE-MATH asks for NaNs with a message as payload; LS1 has one NaN.
#[unsafe(no_mangle)]
pub extern "C" fn nanf(_tag: *const u8) -> f32 {
    f32::NAN
}
