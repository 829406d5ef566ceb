//! Numbers with 18 decimals against exact rationals (spec ABI-4, ABI-5).

use alloy_primitives::{I256, Uint, hex};
use lockstep_engine::DType;
use lockstep_precompile::wad::{from_f32, from_integer, to_f32, to_integer};
use proptest::prelude::*;
use serde_json::Value;

type Big = Uint<1024, 16>;

/// |x| as numerator and denominator.
fn rational(x: f32) -> (Big, Big) {
    let bits = x.to_bits();
    let (field, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
    let (m, e) = if field == 0 { (fraction, -149) } else { (fraction | 1 << 23, field as i32 - 150) };
    if e >= 0 { (Big::from(m) << e as usize, Big::from(1)) } else { (Big::from(m), Big::from(1) << (-e) as usize) }
}

/// |a - n/d| * d
fn distance(a: &Big, (n, d): &(Big, Big)) -> Big {
    let left = *a * *d;
    if left > *n { left - *n } else { *n - left }
}

/// Whether |x| is the float nearest to `magnitude / 10^18`, by comparing with both neighbours.
fn is_nearest(magnitude: &Big, x: f32) -> bool {
    let wad = Big::from(10u64.pow(18));
    let of = |x: f32| {
        let (n, d) = rational(x);
        (n * wad, d)
    };
    // Distances over one denominator: that of the finest neighbour.
    let x = x.abs();
    let (down, up) = (f32::from_bits(x.to_bits().saturating_sub(1)), f32::from_bits(x.to_bits() + 1));
    let scaled = |x: f32| {
        let (n, d) = of(x);
        let to = Big::from(1) << 149usize;
        n * (to / d)
    };
    let target = *magnitude << 149usize;
    let gap = |x: f32| {
        let s = scaled(x);
        if s > target { s - target } else { target - s }
    };
    let own = gap(x);
    let even = x.to_bits() & 1 == 0;
    let beats = |other: Big| own < other || own == other && even;
    // Above the greatest float stands 2^128, which counts as a neighbour.
    let above = if up.is_finite() {
        gap(up)
    } else {
        let s = (wad << 128usize) << 149usize;
        if s > target { s - target } else { target - s }
    };
    (x == 0.0 || beats(gap(down))) && beats(above)
}

fn magnitude(v: I256) -> Big {
    Big::from(v.into_sign_and_abs().1)
}

fn check_in(v: I256) {
    let limit = (Big::from((1u64 << 25) - 1) << 103usize) * Big::from(10u64.pow(18));
    match to_f32(v) {
        Some(x) => {
            assert!(x.is_finite() && is_nearest(&magnitude(v), x), "{v} became {x:e}");
            assert_eq!(x.is_sign_negative(), v.is_negative());
        }
        // Half an ulp above the greatest float, ties to even: infinity.
        None => assert!(magnitude(v) >= limit, "{v} was refused"),
    }
}

fn check_out(x: f32) {
    let Some(v) = from_f32(x) else { return assert!(!x.is_finite()) };
    let (n, d) = rational(x);
    let exact = (n * Big::from(10u64.pow(18)), d);
    let own = distance(&magnitude(v), &exact);
    let twice = own << 1usize;
    assert!(twice < exact.1 || twice == exact.1 && !magnitude(v).bit(0), "{x:e} became {v}");
    assert!(v.is_zero() || v.is_negative() == x.is_sign_negative());
}

fn any_magnitude() -> impl Strategy<Value = I256> {
    (any::<[u8; 32]>(), 0usize..256).prop_map(|(b, shift)| I256::from_be_bytes(b).asr(shift))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn values_in_are_rounded_once(v in any_magnitude()) {
        check_in(v);
    }

    #[test]
    fn values_next_to_a_tie_are_rounded_once(m in 1u32 << 23..1 << 24, e in -18i32..160, off in -1i64..=1) {
        let tie = Big::from(2 * u64::from(m) + 1) * Big::from(10u64.pow(18));
        let v = if e >= 0 { tie << e as usize } else { tie >> (-e) as usize };
        let v: alloy_primitives::U256 = v.to();
        check_in(I256::from_raw(v).wrapping_add(I256::try_from(off).unwrap()));
    }

    #[test]
    fn values_out_are_rounded_once(bits: u32) {
        check_out(f32::from_bits(bits));
    }

    #[test]
    fn small_values_out_are_rounded_once(field in 58u32..96, fraction in 0u32..1 << 23, odd: bool) {
        // Products near one half of the last decimal.
        let fraction = if odd { fraction } else { fraction & 0x7f_f000 };
        check_out(f32::from_bits(field << 23 | fraction));
    }

    #[test]
    fn a_float_that_has_few_decimals_survives_the_way_out_and_in(n in -1_000_000i32..1_000_000) {
        let x = n as f32 / 1024.0;
        let back = to_f32(from_f32(x).unwrap()).unwrap();
        prop_assert_eq!(back.to_bits(), x.to_bits());
    }

    #[test]
    fn integers_survive_the_way_out_and_in(n: i64) {
        prop_assert_eq!(to_integer(from_integer(n), DType::I64), Some(n));
        let one_off = from_integer(n).wrapping_add(I256::ONE);
        prop_assert_eq!(to_integer(one_off, DType::I64), None);
    }
}

#[test]
fn the_committed_vectors_hold() {
    let file: Value = serde_json::from_str(include_str!("../../vectors/wad.json")).unwrap();
    let list = |a: &str, b: &str| file[a][b].as_array().unwrap().clone();
    let word = |v: &Value| I256::from_be_bytes(hex::decode_to_array::<_, 32>(v.as_str().unwrap()).unwrap());
    let (values, bits) = (list("toF32", "value"), list("toF32", "bits"));
    for (v, b) in values.iter().zip(&bits) {
        let got = to_f32(word(v)).map_or(u32::MAX, f32::to_bits);
        assert_eq!(u64::from(got), b.as_u64().unwrap(), "{v}");
    }
    let (inputs, ok, results) = (list("fromF32", "bits"), list("fromF32", "ok"), list("fromF32", "value"));
    for ((b, ok), v) in inputs.iter().zip(&ok).zip(&results) {
        let got = from_f32(f32::from_bits(b.as_u64().unwrap() as u32));
        assert_eq!(got, ok.as_bool().unwrap().then(|| word(v)), "{b}");
    }
    let t = |name| list("toInteger", name);
    for (((dtype, v), ok), n) in t("dtype").iter().zip(&t("value")).zip(&t("ok")).zip(&t("result")) {
        let dtype = DType::from_code(dtype.as_u64().unwrap() as u8).unwrap();
        let want = ok.as_bool().unwrap().then(|| i64::try_from(word(n)).unwrap());
        assert_eq!(to_integer(word(v), dtype), want, "{v} as {dtype}");
    }
    assert!(
        values.len() > 700 && inputs.len() > 1_000 && t("ok").len() > 100,
        "{} {} {}",
        values.len(),
        inputs.len(),
        t("ok").len()
    );
}
