//! Directories of BERT: the answer of plain loops, padding and batches that change no bit, refusals.

use crate::common::bert::{Directory, HIDDEN, LAYERS, POSITIONS, embed, encode};
use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::{DType, Data, Limits, LoadedModel, Tensor};
use lockstep_importer::{ImportError, ImportOptions, Imported, Problem, import_directory};
use serde_json::json;

fn try_import(d: &Directory) -> Result<Imported, ImportError> {
    import_directory(&|p| d.read(p), &ImportOptions::default())
}

fn import(d: &Directory) -> LoadedModel {
    LoadedModel::new(try_import(d).unwrap().model, &Limits::default()).unwrap()
}

fn problems(d: &Directory) -> Vec<Problem> {
    match try_import(d) {
        Err(ImportError::Refused(p)) => p,
        other => panic!("a refusal is expected, {other:?} came"),
    }
}

fn text(d: &Directory) -> String {
    problems(d).iter().map(|p| format!("{p}\n")).collect()
}

/// Texts as rows, padded to `length` with `fill`.
fn inputs(texts: &[&[i32]], length: usize, fill: i32) -> Vec<Tensor> {
    let shape = vec![texts.len(), length];
    let at = |t: &[i32], i: usize| t.get(i).copied().unwrap_or(fill);
    let ids = texts.iter().flat_map(|t| (0..length).map(|i| at(t, i))).collect();
    let mask = texts.iter().flat_map(|t| (0..length).map(|i| i < t.len())).collect();
    vec![Tensor::new(shape.clone(), Data::I32(ids)).unwrap(), Tensor::new(shape, Data::Bool(mask)).unwrap()]
}

fn run(m: &LoadedModel, inputs: &[Tensor], implementation: Implementation) -> Vec<f32> {
    let types: Vec<(DType, &[usize])> = inputs.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
    let plan = m.plan(&types, &Limits::default()).unwrap();
    let out = m.run(&plan, inputs.to_vec(), &Options { implementation, threads: 2 }).unwrap();
    out[0].as_f32().unwrap().to_vec()
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| x.to_bits()).collect()
}

const TEXTS: [&[i32]; 4] = [&[1, 5, 3, 9, 2], &[1, 2], &[1, 7, 7, 7, 4, 10, 0, 8, 2], &[6]];

#[test]
fn the_embedding_is_that_of_plain_loops() {
    let d = Directory::sentence();
    let m = import(&d);
    assert_eq!(m.graph.outputs[0].name, "sentence_embedding");
    let names: Vec<(&str, DType)> = m.graph.inputs.iter().map(|i| (i.name.as_str(), i.dtype)).collect();
    assert_eq!(names, [("input_ids", DType::I32), ("attention_mask", DType::Bool)]);
    assert_eq!(m.graph.symbols, ["batch", "sequence"]);
    for implementation in [Implementation::Fast, Implementation::Reference] {
        let got = run(&m, &inputs(&TEXTS, 9, 0), implementation);
        for (row, text) in got.chunks(HIDDEN).zip(TEXTS) {
            for (x, y) in row.iter().zip(embed(&d, text)) {
                assert!((f64::from(*x) - y).abs() < 2e-6, "{x} {y}");
            }
        }
    }
}

#[test]
fn padding_and_other_rows_change_no_bit() {
    let m = import(&Directory::sentence());
    for implementation in [Implementation::Fast, Implementation::Reference] {
        let together = run(&m, &inputs(&TEXTS, 9, 0), implementation);
        for (i, text) in TEXTS.iter().enumerate() {
            let alone = bits(&run(&m, &inputs(&[text], text.len(), 0), implementation));
            assert_eq!(bits(&together[i * HIDDEN..][..HIDDEN]), alone, "in a batch");
            for (length, fill) in [(16, 0), (17, 4), (POSITIONS, 10)] {
                assert_eq!(bits(&run(&m, &inputs(&[text], length, fill), implementation)), alone, "padded to {length}");
            }
        }
    }
}

#[test]
fn a_text_of_padding_alone_is_zeros() {
    let m = import(&Directory::sentence());
    assert_eq!(run(&m, &inputs(&[&[], &[1, 2]], 3, 0), Implementation::Fast)[..HIDDEN], [0.0; HIDDEN]);
}

#[test]
fn a_longer_text_than_the_model_has_positions_is_refused() {
    let m = import(&Directory::sentence());
    let plan = |n: usize| m.plan(&[(DType::I32, &[1, n]), (DType::Bool, &[1, n])], &Limits::default());
    assert!(plan(POSITIONS).is_ok());
    assert!(plan(POSITIONS + 1).unwrap_err().to_string().contains("24"));
}

#[test]
fn an_id_outside_the_vocabulary_fails_the_call() {
    let m = import(&Directory::sentence());
    for implementation in [Implementation::Fast, Implementation::Reference] {
        // Gather alone would take the negative one from the table's end.
        for id in [-1, i32::MIN, i32::MAX] {
            let given = inputs(&[&[1, id, 2]], 3, 0);
            let types: Vec<(DType, &[usize])> = given.iter().map(|t| (t.dtype(), t.shape.as_slice())).collect();
            let plan = m.plan(&types, &Limits::default()).unwrap();
            assert!(m.run(&plan, given, &Options { implementation, threads: 1 }).is_err(), "{id}");
        }
    }
}

#[test]
fn without_pooling_the_hidden_states_are_the_answer() {
    let mut d = Directory::sentence();
    d.files.remove("modules.json");
    let m = import(&d);
    let mut given = inputs(&[TEXTS[0]], 5, 0);
    given.push(Tensor::new(vec![1, 5], Data::I32(vec![0; 5])).unwrap());
    let got = run(&m, &given, Implementation::Fast);
    for (row, want) in got.chunks(HIDDEN).zip(encode(&d, TEXTS[0])) {
        assert!(row.iter().zip(want).all(|(x, y)| (f64::from(*x) - y).abs() < 2e-5));
    }
    given[2] = Tensor::new(vec![1, 5], Data::I32(vec![1; 5])).unwrap();
    assert_ne!(run(&m, &given, Implementation::Fast), got, "the second type is another text");
}

#[test]
fn other_poolings() {
    let mut d = Directory::sentence();
    let pooled = |d: &mut Directory, mode: &str| {
        d.json("1_Pooling/config.json", json!({ "word_embedding_dimension": HIDDEN, "pooling_mode": mode }));
        d.edit("modules.json", |v| {
            v.as_array_mut().unwrap().truncate(2);
        });
        run(&import(d), &inputs(&[TEXTS[0]], 7, 3), Implementation::Fast)
    };
    let hidden = encode(&d, TEXTS[0]);
    let first = pooled(&mut d, "cls");
    assert!(first.iter().zip(&hidden[0]).all(|(x, y)| (f64::from(*x) - y).abs() < 2e-5));
    let greatest = pooled(&mut d, "max");
    for (j, x) in greatest.iter().enumerate() {
        let want = hidden.iter().map(|t| t[j]).fold(f64::MIN, f64::max);
        assert!((f64::from(*x) - want).abs() < 2e-5);
    }
}

#[test]
fn half_precision_widens_exactly() {
    let mut d = Directory::sentence();
    // Cut to what bf16 holds, so that both files say the same.
    d.tensors.values_mut().flat_map(|(_, v)| v).for_each(|x| *x = f32::from_bits(x.to_bits() & 0xffff_0000));
    let full = try_import(&d).unwrap().model.id();
    let bytes = crate::common::bert::safetensors(&d.tensors);
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    for t in header.as_object_mut().unwrap().values_mut() {
        t["dtype"] = json!("BF16");
        for o in t["data_offsets"].as_array_mut().unwrap() {
            *o = json!(o.as_u64().unwrap() / 2);
        }
    }
    let header = serde_json::to_vec(&header).unwrap();
    let data: Vec<u8> = bytes[8 + length..].chunks(4).flat_map(|c| [c[2], c[3]]).collect();
    d.files.insert("model.safetensors".into(), [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat());
    assert_eq!(try_import(&d).unwrap().model.id(), full);
}

#[test]
fn the_card_says_where_it_comes_from() {
    let mut d = Directory::sentence();
    d.files.insert("README.md".into(), b"---\nlicense: apache-2.0\n---\n# small\n".to_vec());
    d.files.insert("tokenizer.json".into(), b"{}".to_vec());
    let card = try_import(&d).unwrap().card;
    assert_eq!((card.name.as_str(), card.licence.as_deref()), ("small", Some("apache-2.0")));
    let s = card.sequence.unwrap();
    assert_eq!((s.positions, s.recommended, s.tokenizer_keccak256.map(|h| h.len())), (24, Some(16), Some(64)));
}

#[test]
fn all_problems_of_a_directory_come_in_one_run() {
    let mut d = Directory::sentence();
    d.edit("config.json", |c| {
        c["model_type"] = json!("roberta");
        c["architectures"] = json!(["RobertaForMaskedLM"]);
        c["hidden_act"] = json!("silu");
        c["hidden_size"] = json!("many");
        c["is_decoder"] = json!(true);
        c["position_embedding_type"] = json!("relative_key");
    });
    let found = text(&d);
    for word in
        ["roberta", "RobertaForMaskedLM", "silu", "'hidden_size' is \"many\"", "is_decoder", "position_embedding"]
    {
        assert!(found.contains(word), "{word}: {found}");
    }
    let mut d = Directory::sentence();
    d.tensors.remove("encoder.layer.1.output.dense.bias");
    d.tensors.insert("embeddings.word_embeddings.weight".into(), (vec![3, HIDDEN], vec![0.0; 3 * HIDDEN]));
    d.tensors.insert("adapter.weight".into(), (vec![1], vec![0.0]));
    let found = text(&d);
    assert_eq!(problems(&d).len(), 3, "{found}");
    assert!(found.contains("'encoder.layer.1.output.dense.bias': it is missing"), "{found}");
    assert!(found.contains("its shape is [3, 12], [11, 12] is expected"), "{found}");
    assert!(found.contains("adapter.weight"), "{found}");
}

#[test]
fn directories_that_are_none() {
    let refused = |change: &dyn Fn(&mut Directory), word: &str| {
        let mut d = Directory::sentence();
        change(&mut d);
        let found = text(&d);
        assert!(found.contains(word), "{word}: {found}");
    };
    refused(&|d| drop(d.files.remove("config.json")), "there is no such file");
    refused(&|d| drop(d.files.insert("config.json".into(), b"{".to_vec())), "no JSON");
    refused(&|d| drop(d.files.insert("model.safetensors".into(), b"\x02".to_vec())), "no safetensors");
    refused(&|d| drop(d.files.remove("1_Pooling/config.json")), "the pooling has no configuration");
    refused(&|d| d.edit("config.json", |c| c["num_hidden_layers"] = json!(1u64 << 40)), "num_hidden_layers");
    refused(&|d| d.edit("config.json", |c| c["num_hidden_layers"] = json!(LAYERS - 1)), "encoder.layer.1");
    refused(&|d| d.edit("config.json", |c| c["num_attention_heads"] = json!(5)), "divide");
    refused(&|d| d.edit("modules.json", |m| m[2]["type"] = json!("sentence_transformers.models.Dense")), "Dense");
    refused(
        &|d| d.edit("1_Pooling/config.json", |m| m["pooling_mode_cls_token"] = json!(true)),
        "mean_tokens and cls_token",
    );
    refused(&|d| d.tensors.values_mut().for_each(|(_, v)| v[0] = f32::NAN), "not finite");
    let features = ["a".to_owned()];
    let options = ImportOptions { features: Some(&features), ..ImportOptions::default() };
    let d = Directory::sentence();
    assert!(matches!(import_directory(&|p| d.read(p), &options), Err(ImportError::Options(_))));
}
