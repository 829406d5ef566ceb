//! Operators of ONNX that no lowering writes, and why. An operator that gets one is taken out here.

/// Operators refused for one reason.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Their names, separated by spaces.
    pub(crate) names: &'static str,
    pub(crate) reason: &'static str,
    /// What an author can do; empty where nothing is known.
    pub(crate) advice: &'static str,
}

const fn refused(names: &'static str, reason: &'static str, advice: &'static str) -> Refused {
    Refused { names, reason, advice }
}

const RANDOM: &str = "it draws random numbers: every node would answer differently";
const STRINGS: &str = "it computes with strings, which are no tensors here";
const SEQUENCES: &str = "sequences are not supported: every value is a tensor";
const OPTIONAL: &str = "optional values are not supported: every value is a tensor";
const DATA_SHAPE: &str = "the shape of its result depends on the data, so that its cost is not known before it runs";
const MAPS: &str = "maps are not supported: every value is a tensor";
const TRAINING: &str = "it trains a model";
const OPEN: &str = "no lowering writes it";

/// `ai.onnx`.
#[rustfmt::skip] // A row is a line of a table.
pub(super) const ONNX: &[Refused] = &[
    refused("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli", RANDOM, "export the model for inference (model.eval()), or give the random numbers as an input"),
    refused("StringConcat StringNormalizer StringSplit RegexFullMatch TfIdfVectorizer", STRINGS, "do this before the call, and give the model numbers"),
    refused("SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap SplitToSequence ConcatFromSequence", SEQUENCES, "stack the elements into one tensor"),
    refused("Optional OptionalGetElement OptionalHasElement", OPTIONAL, ""),
    refused("NonMaxSuppression Unique", DATA_SHAPE, "export a part of the model that ends before it"),
    refused("ImageDecoder", "it decodes a file", "decode before the call, and give the model numbers"),
    refused("DeformConv Det MaxRoiPool MelWeightMatrix", OPEN, ""),
];

/// `ai.onnx.ml`.
#[rustfmt::skip]
pub(super) const ML: &[Refused] = &[
    refused("CastMap DictVectorizer", MAPS, "give the model a matrix, a column for each key"),
];

/// `ai.onnx.preview`.
pub(super) const PREVIEW: &[Refused] = &[refused("FlexAttention", "ONNX has not settled what it means", "")];

/// `ai.onnx.preview.training`.
pub(super) const PREVIEW_TRAINING: &[Refused] =
    &[refused("Adagrad Adam Gradient Momentum", TRAINING, "export the model for inference")];
