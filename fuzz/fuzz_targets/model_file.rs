//! The model file's decoder: refuses, or re-encodes to the same bytes; what it accepts can be planned and run.
#![no_main]

use lockstep_engine::exec::{Implementation, Options};
use lockstep_engine::{DType, Data, Limits, LoadedModel, Model, Tensor};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_peak_memory: 1 << 20, max_weight_bytes: 1 << 20, ..Limits::default() };
    let Ok(model) = Model::decode(bytes, &limits) else { return };
    assert_eq!(model.encode(), bytes, "one encoding");
    let Ok(model) = LoadedModel::new(model, &limits) else { return };
    let shapes: Vec<(DType, Vec<usize>)> = model
        .graph
        .inputs
        .iter()
        .map(|i| (i.dtype, i.shape.iter().map(|d| d.as_known().unwrap_or(2).min(1 << 20) as usize).collect()))
        .collect();
    let types: Vec<(DType, &[usize])> = shapes.iter().map(|(d, s)| (*d, s.as_slice())).collect();
    let Ok(plan) = model.plan(&types, &limits) else { return };
    if plan.work.0.iter().sum::<u64>() > 1 << 22 {
        return;
    }
    let inputs: Vec<Tensor> = shapes
        .iter()
        .map(|(d, s)| {
            let n: usize = s.iter().product();
            let data = match d {
                DType::F32 => Data::F32(vec![0.5; n]),
                DType::U8 => Data::U8(vec![1; n]),
                DType::I8 => Data::I8(vec![-1; n]),
                DType::I32 => Data::I32(vec![-2; n]),
                DType::I64 => Data::I64(vec![1; n]),
                DType::Bool => Data::Bool(vec![true; n]),
            };
            Tensor { shape: s.clone(), data }
        })
        .collect();
    let run = |implementation| {
        let out = model.run(&plan, inputs.clone(), &Options { implementation, threads: 1 });
        out.map(|v| v.iter().map(Tensor::to_le_bytes).collect::<Vec<_>>())
    };
    assert_eq!(run(Implementation::Fast), run(Implementation::Reference));
});
