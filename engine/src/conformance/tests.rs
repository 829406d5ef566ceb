use super::*;
use crate::ops::Op;

#[test]
fn every_operator_has_cases() {
    for (_, family) in Op::TABLE {
        let subjects = Subject::of(family);
        assert!(!subjects.is_empty(), "{family}: add its cases to engine/src/conformance/cases.rs");
        for s in subjects {
            let cases = s.cases();
            assert!(cases.len() >= 3, "{} has {} cases", s.name(), cases.len());
            assert!(cases.iter().all(|c| c.op.family() == *family));
            assert!(s.name().starts_with(family), "{}", s.name());
            let results = cases.iter().filter(|c| c.compute(&Way::REFERENCE).is_ok()).count();
            assert!(results * 2 >= cases.len(), "{}: {results} of {} give a result", s.name(), cases.len());
            // ScatterND's index vectors begin with the first axis: no row of it stands apart.
            let apart = *family == "ScatterND" || cases.iter().any(|c| !c.batched.is_empty());
            assert!(apart, "{} is never divided into rows", s.name());
        }
    }
}

/// All cases of an operator see each type that it takes, with NaN, infinities and zeros of both signs where that is f32.
#[test]
fn cases_contain_special_values() {
    let mut without = Vec::new();
    for s in Subject::all() {
        let values: Vec<f32> = s
            .cases()
            .iter()
            .flat_map(|c| c.operands.iter().flatten().filter_map(Tensor::as_f32).flatten().copied().collect::<Vec<_>>())
            .collect();
        if values.is_empty() {
            continue; // logical and bitwise operators
        }
        // Gemm's are finite: its weights have to be.
        let finite = s == Subject::Gemm;
        let has = [
            finite || values.iter().any(|x| x.is_nan()),
            finite || values.iter().any(|x| x.is_infinite()),
            values.iter().any(|x| x.is_subnormal()),
            values.iter().any(|x| x.to_bits() == 1 << 31),
        ];
        if has.contains(&false) {
            without.push((s.name(), has));
        }
    }
    assert!(without.is_empty(), "no NaN, infinity, subnormal number or -0 among the cases: {without:?}");
}

fn holds(way: &Way) {
    check(way).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_reference_has_the_approved_hashes() {
    assert_eq!(record().unwrap(), RECORDED, "conformance.toml is what the example writes");
    holds(&Way::REFERENCE);
    for batch in [1, 2, 3] {
        holds(&Way { batch: Some(batch), ..Way::REFERENCE });
    }
}

#[test]
fn every_level_number_of_threads_and_batch_size_has_the_approved_hashes() {
    for level in Level::available() {
        for threads in 1..=3 {
            holds(&Way { fast: Some((level, Threads::always(threads))), batch: None });
        }
        for rows in 1..=4 {
            holds(&Way { fast: Some((level, Threads::always(1 + rows % 2))), batch: Some(rows) });
        }
    }
}

#[test]
fn the_self_test_passes() {
    self_test().unwrap();
}

/// One bit of one result of one operator: the machine is refused, and the operator named.
#[test]
fn a_kernel_with_one_wrong_bit_is_found_and_named() {
    for wrong in ["MatMul", "Unary.Exp", "TreeEnsemble.Sum"] {
        let last = std::cell::Cell::new(0);
        let kernel = |name: &str, t: Tensor| match name == wrong && !t.data.is_empty() && last.replace(1) == 0 {
            true => crate::resident::flip(t, 0),
            false => t,
        };
        let found = check_through(&Way::fast(Level::detect()), &kernel);
        assert!(matches!(&found, Err(Fault::Bits { operator, .. }) if operator == wrong), "{found:?}");
    }
}

#[test]
fn a_wrong_hash_is_named() {
    let way = Way::fast(Level::detect());
    let e =
        Fault::Bits { operator: "Unary.Exp".into(), way: way.to_string(), expected: "aa".into(), actual: "bb".into() };
    assert!(e.to_string().starts_with("Unary.Exp by the fast path ("), "{e}");
    assert!(e.to_string().ends_with("has hash bb, aa is approved"), "{e}");
}

/// Flush-to-zero changes results, so a machine that flushes must not pass; it is refused before that.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_thread_that_flushes_is_refused() {
    let flushing = std::thread::spawn(|| {
        let control: u32 = 0x1f80 | 0x8000;
        // SAFETY: loads a valid control word on this thread only, which ends with the test.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control) };
        self_test()
    });
    assert!(matches!(flushing.join().unwrap(), Err(Fault::Environment(_))));
}
