//! The importer: any bytes give a model or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = lockstep_importer::import(bytes, &lockstep_importer::ImportOptions::default());
});
