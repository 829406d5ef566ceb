//! A floating-point environment other than LS1's is this node's fault, found before anything is computed (spec NUM-2):
//! whoever set it, a thread for itself or a library for the whole process.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::disallowed_methods)] // the tests start a process of their own and tell it by its environment

use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::fast::Threads;
use lockstep_engine::graph::{Constant, Graph, Input, Node, Output, ValueId};
use lockstep_engine::ops::contraction::MatMul;
use lockstep_engine::{ComputeError, DType, Dim, Limits, LoadedModel, Model, Tensor, TensorType};

const DEFAULT: u32 = 0x1f80;
const FLUSH_TO_ZERO: u32 = DEFAULT | 0x8000;

/// Sets MXCSR of this thread.
fn set(control: u32) {
    // SAFETY: a valid control word; the threads and processes that call this end with their test.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control) };
}

/// y = x * W, large enough for several threads.
fn model() -> LoadedModel {
    let (k, n) = (256, 512);
    let graph = Graph {
        symbols: vec!["batch".into()],
        inputs: vec![Input { name: "x".into(), dtype: DType::F32, shape: vec![Dim::symbol(0), Dim::Known(k)] }],
        constants: vec![Constant { dtype: DType::F32, shape: vec![k as u32, n as u32] }],
        nodes: vec![Node { op: MatMul {}.into(), inputs: vec![Some(ValueId(0)), Some(ValueId(1))] }],
        outputs: vec![Output { name: "y".into(), value: ValueId(2) }],
        ..Graph::default()
    };
    let weights = Tensor::new(vec![k as usize, n as usize], data(k as usize * n as usize)).unwrap();
    LoadedModel::new(Model::build(graph, &[weights], Vec::new(), &Limits::default()).unwrap(), &Limits::default())
        .unwrap()
}

fn data(n: usize) -> lockstep_engine::Data {
    lockstep_engine::Data::F32(vec![1.0e-30; n])
}

fn run(m: &LoadedModel, implementation: Implementation, threads: usize) -> Result<Vec<Tensor>, ComputeError> {
    let x = Tensor::new(vec![64, 256], data(64 * 256)).unwrap();
    let plan = m.plan(&[(DType::F32, &[64, 256])], &Limits::default())?;
    assert_eq!(plan.outputs, [TensorType::known(DType::F32, &[64, 512])]);
    m.run(&plan, vec![x], &Options { implementation, threads })
}

fn refused(m: &LoadedModel) {
    for implementation in [Implementation::Reference, Implementation::Fast] {
        for threads in 1..=3 {
            let e = run(m, implementation, threads).unwrap_err();
            assert!(matches!(e, ComputeError::Environment(_)), "{e}");
        }
    }
}

#[test]
fn a_thread_that_flushes_to_zero_is_found() {
    let m = model();
    run(&m, Implementation::Fast, 3).unwrap();
    let others = [
        FLUSH_TO_ZERO,
        DEFAULT | 0x0040,    // subnormal operands are zero
        DEFAULT | 0x2000,    // round down
        DEFAULT | 0x6000,    // round towards zero
        DEFAULT & !(1 << 9), // division by zero traps
    ];
    for control in others {
        std::thread::scope(|s| {
            s.spawn(|| {
                set(control);
                refused(&m);
            });
        });
    }
    // Flags that earlier operations left say nothing.
    std::thread::scope(|s| {
        s.spawn(|| {
            set(DEFAULT | 0x3f);
            run(&m, Implementation::Fast, 1).unwrap();
        });
    });
    run(&m, Implementation::Fast, 3).unwrap();
}

/// A thread inherits the environment of the one that starts it: a worker checks its own.
#[test]
fn workers_check_themselves() {
    let split = || Threads::new(2).split(&mut [0u8; 2], 1, u64::MAX, |_, part| part.fill(1));
    split().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| {
            set(FLUSH_TO_ZERO);
            assert!(split().is_err());
            s.spawn(|| refused(&model()));
        });
    });
}

/// What a library built with -ffast-math does: its constructor sets flush-to-zero before main.
#[used]
#[unsafe(link_section = ".init_array")]
static LIBRARY: extern "C" fn() = constructor;

const ASKED: &str = "LOCKSTEP_TEST_FLUSHES";

extern "C" fn constructor() {
    if std::env::var_os(ASKED).is_some() {
        set(FLUSH_TO_ZERO);
    }
}

#[test]
fn a_library_that_flushes_in_the_main_thread_is_found() {
    let inner = "inside_a_process_that_flushes";
    let run = |asked: bool| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", inner, "--ignored"]);
        if asked {
            command.env(ASKED, "1");
        }
        let out = command.output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        (text.contains("1 passed"), text)
    };
    let (passed, text) = run(true);
    assert!(passed, "{text}");
    let (passed, text) = run(false);
    assert!(!passed && text.contains("1 failed"), "without the library nothing is refused: {text}");
}

/// Runs in the process that the test above starts: in a thread that main started after the library was loaded.
#[test]
#[ignore = "started by a_library_that_flushes_in_the_main_thread_is_found"]
fn inside_a_process_that_flushes() {
    let m = model();
    refused(&m);
    std::thread::scope(|s| {
        s.spawn(|| refused(&m));
    });
    assert!(matches!(
        lockstep_engine::conformance::self_test(),
        Err(lockstep_engine::conformance::Fault::Environment(_))
    ));
}
