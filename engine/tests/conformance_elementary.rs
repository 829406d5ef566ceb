//! The elementary functions are correctly rounded (spec NUM-7): a sample of the inputs that
//! `cargo run --release -p lockstep-engine --example exhaustive` checks in full.

#![allow(clippy::disallowed_methods)] // oracles are what the engine must not call

#[path = "../examples/oracle/mod.rs"]
mod oracle;

use oracle::{FUNCTIONS, Findings};

/// Inputs between one that is looked at and the next: prime, so that no bit of the pattern stays the same.
const EVERY: u64 = 4099;

fn holds(name: &str, found: &Findings) {
    assert!(found.wrong.is_empty(), "{name} is wrong on {:08x?}", found.wrong);
    assert!(found.band_left.is_empty(), "binary64 {name} is less exact than assumed on {:08x?}", found.band_left);
    assert!(found.decided > 0, "{name}: the oracle of many bits was never asked");
}

#[test]
fn every_function_on_every_4099th_input() {
    for f in FUNCTIONS {
        // EVERY and the distance between spot checks share no factor: one in 8,192 is looked at twice.
        let found = f.check(0, 1 << 32, EVERY, 1 << 13);
        assert_eq!(found.inputs, (1u64 << 32).div_ceil(EVERY));
        holds(f.name, &found);
    }
}

/// On these pxfm 0.1.30 and CORE-MATH differ; each would be a chain split. Many bits say who is right.
#[test]
fn inputs_on_which_libraries_differ() {
    for (name, x) in [("exp", -0.007_352_583_6_f32), ("sin", 9830.398), ("sin", -9830.398)] {
        let f = FUNCTIONS.iter().find(|f| f.name == name).unwrap();
        let bits = u64::from(x.to_bits());
        let found = f.check(bits, bits + 1, 1, 1);
        holds(name, &found);
        assert_eq!(found.other_wrong.len(), 1, "{name}({x}) no longer tells the libraries apart");
    }
}

#[test]
fn inputs_around_every_power_of_two() {
    for f in FUNCTIONS {
        let mut all = Findings::default();
        for exponent in 0..512u64 {
            let first = (exponent << 23).saturating_sub(8);
            all = all.and(f.check(first, first + 16, 1, 64));
        }
        holds(f.name, &all);
    }
}

#[test]
fn powers_random_exact_and_half_way() {
    let mut found = Findings::default();
    for n in 0..2_000_000 {
        let (x, y) = oracle::pow_case(n);
        oracle::check_pow(x, y, n.is_multiple_of(512), &mut found);
    }
    for (x, y) in oracle::pow_ties() {
        oracle::check_pow(x, y, true, &mut found);
    }
    holds("pow", &found);
    assert!(found.decided > 50_000);
}
