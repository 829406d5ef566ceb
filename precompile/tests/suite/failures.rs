//! Each failure: its error, its charge, and that one unit of gas less halts (spec sections 5 to 7).

use alloy_primitives::{Address, B256, I256, U256, address};
use alloy_sol_types::SolCall;
use lockstep_engine::ops::unary::UnaryKind;
use lockstep_engine::{DType, Labels};
use lockstep_precompile::abi::IInference as E;
use lockstep_precompile::registry::Status;
use lockstep_precompile::{PRECOMPILE_ADDRESS, RecordWord};
use revm::state::{AccountInfo, Bytecode};

use crate::chain::models::{self, Builder, n};
use crate::chain::*;

/// A call that reverts.
struct Case {
    name: &'static str,
    data: Vec<u8>,
    error: Vec<u8>,
    stage: Stage,
}

/// Gas for each item of the shapes' evaluation.
const SHAPE: u64 = 15;

/// The stage that fails; the numbers are of the graph's items (nodes, operands, inputs, outputs), and the price.
#[derive(Clone, Copy)]
enum Stage {
    Bytes,
    Registry,
    Shapes(u64),
    Price(u64, u64),
    Validate(u64),
}

impl Stage {
    /// Charges after base and bytes.
    fn charge(self) -> u64 {
        match self {
            Self::Bytes => 0,
            Self::Registry => 2_600,
            Self::Shapes(items) => 2_600 + SHAPE * items,
            Self::Price(items, price) => 2_600 + SHAPE * items + price,
            Self::Validate(bytes) => 16 * bytes,
        }
    }
}

fn own(data: &[u8]) -> u64 {
    700 + 16 * (data.len() as u64).div_ceil(32)
}

/// The error comes with exactly the charge, also where no more gas is there; one less is out of gas.
/// `quote` gives the same error where the call fails before it runs, and else the charge.
fn check(chain: &mut Chain, case: &Case) {
    let Case { name, data, error, stage } = case;
    let charge = own(data) + stage.charge();
    for gas in [PLENTY, charge] {
        let (seen, out) = chain.call(data, gas).unwrap();
        assert_eq!((seen.ok, describe_error(&out)), (false, describe_error(error)), "{name}");
        assert_eq!(&out[..], error, "{name}");
        assert_eq!(seen.used, charge, "{name}: charge");
    }
    out_of_gas(chain, data, charge - 1, name);
    let question = quote(data);
    match stage {
        Stage::Bytes | Stage::Registry | Stage::Shapes(_) => {
            let (used, out) = chain.revert(&question);
            assert_eq!(&out[..], error, "quote: {name}");
            assert_eq!(used, own(&question) + stage.charge(), "quote: {name}");
            out_of_gas(chain, &question, used - 1, name);
        }
        Stage::Price(items, _) => {
            let (used, out) = chain.ok(&question);
            assert_eq!(quoted(&out), charge, "quote: {name}");
            assert_eq!(used, own(&question) + Stage::Shapes(*items).charge(), "quote: {name}");
        }
        Stage::Validate(_) => {
            let (used, out) = chain.ok(&question);
            assert_eq!((quoted(&out), used), (charge, own(&question)), "quote: {name}");
        }
    }
}

fn out_of_gas(chain: &mut Chain, data: &[u8], gas: u64, name: &str) {
    let (seen, out) = chain.call(data, gas).unwrap();
    assert_eq!((seen.ok, seen.used, out.len()), (false, gas, 0), "{name}: {gas} should run out");
}

fn check_all(chain: &mut Chain, cases: Vec<Case>) {
    for case in cases {
        check(chain, &case);
    }
}

macro_rules! case {
    ($stage:expr, $data:expr, $error:ident { $($field:ident: $value:expr),* $(,)? }) => {
        Case { name: stringify!($error), data: $data, stage: $stage, error: error(E::$error { $($field: $value),* }) }
    };
}

fn u(n: u64) -> U256 {
    U256::from(n)
}

fn raw(id: B256, x: &[I256]) -> Vec<u8> {
    E::inferCall { modelId: id, x: x.to_vec() }.abi_encode()
}

#[test]
fn calls_that_are_no_calls() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let mut trailing = infer(id, &[1.0, 2.0, 3.0]);
    let length = u(trailing.len() as u64);
    trailing.push(0);
    let selector = |s: [u8; 4]| s.into();
    check_all(
        &mut chain,
        vec![
            case!(Stage::Bytes, vec![1, 2, 3, 4, 5], UnknownSelector { selector: selector([1, 2, 3, 4]) }),
            case!(Stage::Bytes, vec![0xaa], UnknownSelector { selector: selector([0xaa, 0, 0, 0]) }),
            case!(Stage::Bytes, vec![], UnknownSelector { selector: selector([0; 4]) }),
            case!(Stage::Bytes, trailing, NotCanonical { offset: length }),
            case!(Stage::Bytes, describe(id)[..35].to_vec(), NotCanonical { offset: u(4) }),
        ],
    );
    // quote of quote.
    let data = quote(&quote(&describe(id)));
    let (used, out) = chain.revert(&data);
    assert_eq!(used, own(&data));
    assert_eq!(&out[..], error(E::UnknownSelector { selector: E::quoteCall::SELECTOR.into() }));
}

#[test]
fn calls_longer_than_the_chain_allows() {
    let mut chain = Chain::new();
    chain.config.limits.max_call_data = 1_000;
    let data = validate(&[0; 1_000]);
    let (used, out) = chain.revert(&data);
    assert_eq!(used, own(&data));
    let (limit, maximum, actual) = ("maxCallData".to_owned(), u(1_000), u(data.len() as u64));
    assert_eq!(&out[..], error(E::LimitExceeded { limit, maximum, actual }));
}

#[test]
fn models_that_cannot_be_called() {
    let mut chain = Chain::new();
    let [unknown, registered, later, invalid, off_chain] = [1, 2, 3, 4, 5].map(B256::repeat_byte);
    let word = |status, activation_block| RecordWord { status, activation_block, ..Default::default() };
    chain.record(registered, word(Status::Registered, 0));
    // Attested and not yet activated, or retired: also where this node still has it in memory.
    chain.record(off_chain, word(Status::OffChain, 0));
    chain.models.insert_as(off_chain, std::sync::Arc::new(models::affine())).unwrap();
    chain.record(later, word(Status::Activated, BLOCK + 1));
    chain.record(invalid, word(Status::Activated, BLOCK));
    chain.models.insert_invalid(invalid, "table 3 is not sorted".to_owned()).unwrap();
    let calls: [fn(B256) -> Vec<u8>; 4] =
        [|id| infer(id, &[1.0]), |id| classify(id, &[1.0]), |id| run(id, vec![]), describe];
    for call in calls {
        check_all(
            &mut chain,
            vec![
                case!(Stage::Registry, call(unknown), UnknownModel { modelId: unknown }),
                case!(Stage::Registry, call(registered), ModelNotActive { modelId: registered, activationBlock: 0 }),
                case!(Stage::Registry, call(off_chain), ModelNotActive { modelId: off_chain, activationBlock: 0 }),
                case!(Stage::Registry, call(later), ModelNotActive { modelId: later, activationBlock: BLOCK + 1 }),
                case!(Stage::Registry, call(invalid), InvalidWeights { reason: "table 3 is not sorted".to_owned() }),
            ],
        );
    }
}

#[test]
fn rows_that_do_not_fit() {
    let mut chain = Chain::new();
    let (affine, add) = (chain.add(models::affine()), chain.add(models::add()));
    let (fixed, five) = (chain.add(models::fixed_rows()), chain.add(models::five_rows()));
    let typed = chain.add(models::all_types());
    let wrong =
        |index, expected, actual| E::WrongLength { kind: 0, index: u(index), expected: u(expected), actual: u(actual) };
    let length = |items, data, expected, actual| Case {
        name: "WrongLength",
        data,
        error: error(wrong(0, expected, actual)),
        stage: Stage::Shapes(items),
    };
    let range = |row: [f64; 6], position| {
        case!(
            Stage::Shapes(44),
            infer(typed, &[[0.0; 6], row].concat()),
            OutOfRange { kind: 0, index: u(0), position: u(position) }
        )
    };
    let huge = I256::MAX;
    check_all(
        &mut chain,
        vec![
            length(8, infer(affine, &[1.0; 4]), 3, 4),
            length(8, infer(affine, &[]), 3, 0),
            length(8, classify(affine, &[1.0]), 3, 1),
            length(4, infer(fixed, &[1.0; 2]), 4, 2),
            length(4, infer(fixed, &[1.0; 8]), 4, 8),
            case!(Stage::Shapes(6), infer(add, &[1.0]), NotTabular { modelId: add }),
            case!(Stage::Shapes(6), classify(add, &[1.0]), NotTabular { modelId: add }),
            case!(Stage::Shapes(5), infer(five, &[1.0; 6]), ShapeMismatch { node: u(0), operator: "Add".to_owned() }),
            case!(Stage::Shapes(5), classify(five, &[1.0; 3]), NotAClassifier { modelId: five }),
            case!(
                Stage::Shapes(8),
                raw(affine, &[I256::ONE, huge, huge]),
                OutOfRange { kind: 0, index: u(0), position: u(1) }
            ),
            range([0.0, 256.0, 0.0, 0.0, 0.0, 0.0], 7),
            range([0.0, 0.5, 0.0, 0.0, 0.0, 0.0], 7),
            range([0.0, 0.0, -129.0, 0.0, 0.0, 0.0], 8),
            range([0.0, 0.0, 0.0, 2_147_483_648.0, 0.0, 0.0], 9),
            range([0.0, 0.0, 0.0, 0.0, 1e19, 2.0], 10),
            range([0.0, 0.0, 0.0, 0.0, 0.0, 2.0], 11),
        ],
    );
}

#[test]
fn tensors_that_do_not_fit() {
    let mut chain = Chain::new();
    let (affine, add) = (chain.add(models::affine()), chain.add(models::add()));
    let typed = chain.add(models::all_types());
    let one = |t| run(affine, vec![t]);
    let two = |a, b| run(add, vec![a, b]);
    let types = |bool_byte: u8, rows: u32| {
        let t = |d: DType, byte: u8| tensor(d, &[rows, 1], vec![byte; d.size()]);
        run(typed, DType::ALL.iter().map(|d| t(*d, if *d == DType::Bool { bool_byte } else { 0 })).collect())
    };
    let max = u32::MAX;
    check_all(
        &mut chain,
        vec![
            case!(Stage::Shapes(8), run(affine, vec![]), WrongInputCount { expected: u(1), actual: u(0) }),
            case!(
                Stage::Shapes(8),
                one(tensor(DType::I32, &[1, 3], vec![0; 12])),
                WrongType { kind: 0, index: u(0), expected: 1, actual: 6 }
            ),
            case!(
                Stage::Shapes(8),
                one(lockstep_precompile::abi::Tensor { dtype: 77, ..floats(&[1, 3], &[0.0; 3]) }),
                WrongType { kind: 0, index: u(0), expected: 1, actual: 77 }
            ),
            case!(
                Stage::Shapes(8),
                one(floats(&[3], &[0.0; 3])),
                WrongShape { kind: 0, index: u(0), axis: U256::MAX, expected: u(2), actual: u(1) }
            ),
            case!(
                Stage::Shapes(8),
                one(floats(&[3, 1], &[0.0; 3])),
                WrongShape { kind: 0, index: u(0), axis: u(1), expected: u(3), actual: u(1) }
            ),
            case!(
                Stage::Shapes(6),
                two(floats(&[1, 2], &[0.0; 2]), floats(&[1, 3], &[0.0; 3])),
                DimensionConflict { symbol: "k".to_owned(), bound: u(2), actual: u(3) }
            ),
            case!(
                Stage::Shapes(8),
                one(tensor(DType::F32, &[1, 3], vec![0; 11])),
                WrongLength { kind: 0, index: u(0), expected: u(12), actual: u(11) }
            ),
            case!(
                Stage::Shapes(8),
                one(tensor(DType::U8, &[1, 3], vec![0; 12])),
                WrongLength { kind: 0, index: u(0), expected: u(3), actual: u(12) }
            ),
            case!(Stage::Shapes(44), types(2, 1), OutOfRange { kind: 0, index: u(5), position: u(0) }),
            // Types of all inputs come before any shape, shapes before data.
            case!(
                Stage::Shapes(6),
                two(floats(&[1], &[]), tensor(DType::I64, &[1, 1], vec![])),
                WrongType { kind: 0, index: u(1), expected: 1, actual: 7 }
            ),
            case!(
                Stage::Shapes(6),
                two(floats(&[1, 2], &[]), floats(&[1], &[])),
                WrongShape { kind: 0, index: u(1), axis: U256::MAX, expected: u(2), actual: u(1) }
            ),
            // A lie about the shape meets the limit of memory before anything is allocated.
            case!(
                Stage::Shapes(6),
                two(floats(&[max, max], &[]), floats(&[max, max], &[])),
                LimitExceeded { limit: "maxPeakMemory".to_owned(), maximum: u(1 << 30), actual: U256::from(u64::MAX) }
            ),
        ],
    );
}

#[test]
fn calls_that_need_more_memory_than_the_chain_allows() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    chain.config.limits.max_peak_memory = 1_000;
    chain.ok(&infer(id, &[1.0; 3]));
    // 100 rows: 1,200 bytes of input and as many of the first product.
    let limit = "maxPeakMemory".to_owned();
    let case = case!(
        Stage::Shapes(8),
        infer(id, &[1.0; 300]),
        LimitExceeded { limit: limit, maximum: u(1_000), actual: u(2_400) }
    );
    check(&mut chain, &case);
}

#[test]
fn results_that_cannot_be_returned() {
    let mut chain = Chain::new();
    let log = chain.add(models::function(UnaryKind::Log));
    let divide = chain.add(models::divide());
    let scores = chain.add(models::scores(2));
    // A node and an elementary function; three words.
    let price = 32 + 24;
    let nan = || floats(&[1, 2], &[0.0, f32::NAN]);
    let run_nan = run(scores, vec![nan()]);
    // A node and two elements; offset, count, offset, type, offsets, rank, 2 dims, length, data.
    let run_price = 32 + 8 * 11;
    let division = case!(
        Stage::Price(6, 31 + 24),
        infer(divide, &[1.0, 0.0]),
        ComputationFailed { node: u(0), operator: "Div".to_owned(), reason: "integer division by zero".to_owned() }
    );
    check_all(
        &mut chain,
        vec![
            case!(Stage::Price(4, price), infer(log, &[-1.0]), NotANumber { kind: 1, index: u(0), position: u(0) }),
            case!(
                Stage::Price(4, price),
                infer(log, &[0.0]),
                NotRepresentable { kind: 1, index: u(0), position: u(0) }
            ),
            case!(Stage::Price(5, run_price), run_nan, NotANumber { kind: 1, index: u(0), position: u(1) }),
            division,
        ],
    );
}

#[test]
fn rows_without_a_class() {
    let mut chain = Chain::new();
    let ints = chain.add(models::labelled(2, Labels::Ints(vec![10, 20, 30])));
    let strings = chain.add(models::labelled(2, Labels::Strings(vec!["a".into(), "b".into()])));
    let free = chain.add(models::labelled(2, Labels::None));
    let log = chain.add(models::function(UnaryKind::Log));
    // Two nodes with 2 and 1 elements, the row's 2 elements, the table's 3; two arrays of one.
    let price = |elements: u64| (60_000 + 700 * elements).div_ceil(1_000) + 8 * 6;
    let items = 9;
    check_all(
        &mut chain,
        vec![
            case!(Stage::Price(items, price(8)), classify(ints, &[0.5, 0.5, 11.0]), NotAClassifier { modelId: ints }),
            case!(Stage::Price(items, price(8)), classify(ints, &[0.5, 0.5, 30.0]), NotAClassifier { modelId: ints }),
            case!(
                Stage::Price(items, price(5)),
                classify(strings, &[0.5, 0.5, 2.0]),
                NotAClassifier { modelId: strings }
            ),
            case!(Stage::Price(items, price(5)), classify(free, &[0.5, 0.5, -1.0]), NotAClassifier { modelId: free }),
            case!(
                Stage::Price(4, 33 + 48),
                classify(log, &[-1.0]),
                NotANumber { kind: 1, index: u(0), position: u(0) }
            ),
            case!(
                Stage::Price(4, 33 + 48),
                classify(log, &[0.0]),
                NotRepresentable { kind: 1, index: u(0), position: u(0) }
            ),
        ],
    );
}

#[test]
fn outputs_that_name_no_class() {
    let mut chain = Chain::new();
    // The label has two values a row.
    let mut b = Builder::new(&["rows"]);
    let x = b.input("x", DType::I64, &[n(), 2.into()]);
    let y = b.unary(UnaryKind::Neg, x);
    b.output("y", y);
    b.graph.label_output = Some(0);
    let id = chain.add(b.load());
    check(&mut chain, &case!(Stage::Shapes(4), classify(id, &[1.0, 2.0]), NotAClassifier { modelId: id }));
}

#[test]
fn graphs_that_are_none() {
    let mut chain = Chain::new();
    for graph in [&b""[..], b"GRAPH", &[0xff; 100]] {
        let data = validate(graph);
        let (used, out) = chain.revert(&data);
        let charge = Stage::Validate(graph.len() as u64);
        assert_eq!(used, own(&data) + charge.charge());
        assert_eq!(out[..4], <E::InvalidGraph as alloy_sol_types::SolError>::SELECTOR);
        assert!(out.len() <= 4 + 64 + 256);
        check(&mut chain, &Case { name: "InvalidGraph", data, error: out.to_vec(), stage: charge });
    }
}

#[test]
fn value_is_refused_and_comes_back() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let data = infer(id, &[1.0, 2.0, 3.0]);
    let step = Step { opcode: CALL, value: 7, ..ask(&data, 10_000) };
    let (seen, out) = chain.probe(&[step]).unwrap();
    assert_eq!(&out[..], error(E::ValueNotAccepted { value: u(7) }));
    // The caller pays 9,000 for the value, and what is left of the stipend of 2,300 is its own.
    assert_eq!((seen[0].ok, seen[0].used), (false, 9_000 - 2_300 + 700));
    let result = chain.transact(PRECOMPILE_ADDRESS, 7, data).unwrap();
    assert_eq!(result.result.output().unwrap()[..], error(E::ValueNotAccepted { value: u(7) }));
    assert!(result.state.get(&PRECOMPILE_ADDRESS).is_none_or(|a| a.info.balance.is_zero()));
}

#[test]
fn delegated_calls_are_refused_and_name_the_context() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let data = infer(id, &[1.0, 2.0, 3.0]);
    for opcode in [DELEGATECALL, CALLCODE] {
        for (gas, ok) in [(PLENTY, true), (700, true), (699, false)] {
            let (seen, out) = chain.probe(&[Step { opcode, ..ask(&data, gas) }]).unwrap();
            assert!(!seen[0].ok);
            if ok {
                assert_eq!((seen[0].used, &out[..]), (700, &error(E::DelegateCall { target: PROBE })[..]));
            } else {
                assert_eq!((seen[0].used, out.len()), (699, 0));
            }
        }
    }
    // With value, the call is still a delegated one: nothing was sent here.
    let (_, out) = chain.probe(&[Step { opcode: CALLCODE, value: 3, ..ask(&data, PLENTY) }]).unwrap();
    assert_eq!(&out[..], error(E::DelegateCall { target: PROBE }));
}

#[test]
fn an_account_delegated_to_the_precompile_runs_the_code_stored_there() {
    let mut chain = Chain::new();
    let id = chain.add(models::affine());
    let delegated: Address = address!("00000000000000000000000000000000000000d0");
    let code = Bytecode::new_eip7702(PRECOMPILE_ADDRESS);
    chain.db.insert_account_info(delegated, AccountInfo::from_bytecode(code));
    let data = infer(id, &[1.0, 2.0, 3.0]);
    let (seen, out) = chain.probe(&[Step { target: delegated, ..ask(&data, PLENTY) }]).unwrap();
    assert!(seen[0].ok);
    assert_eq!(U256::from_be_slice(&out), U256::from(42), "the marker, not the model");
}

#[test]
fn a_model_this_node_lacks_is_fatal_and_no_contract_sees_it() {
    let mut chain = Chain::new();
    let id = B256::repeat_byte(9);
    chain.record(id, RecordWord { status: Status::Activated, activation_block: 0, ..Default::default() });
    for data in [infer(id, &[1.0]), run(id, vec![]), describe(id), quote(&describe(id))] {
        // The probe does not look at the success of its calls: nothing but a fatal error ends it.
        let e = chain.call(&data, PLENTY).unwrap_err();
        assert!(e.contains("does not hold the active model"), "{e}");
    }
    // Gas comes first: too little is an answer on every node.
    out_of_gas(&mut chain, &describe(id), own(&describe(id)) + 2_599, "registry");
}
