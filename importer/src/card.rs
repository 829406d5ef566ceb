//! The card: what people and tools read beside the graph. JSON, no part of the model's identity.

use serde::{Deserialize, Serialize};

/// Beside the graph: name, licence, source, training ranges, an example.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Name of the model.
    pub name: String,
    /// Licence, as the author gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Where the model comes from.
    pub source: Source,
    /// Operator sets of the source file.
    pub opset: Vec<Opset>,
    /// `classification` or `regression`, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Class of the weights, where they are quantised: `I8, blocks of 32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// How long a text may be, where the model reads texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// Values of a row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<FeatureCard>,
    /// One row with its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
    /// The source file's name of each node, in the graph's order.
    pub node_names: Vec<String>,
    /// What the import did that the author may want to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// Format of the file.
    pub format: String,
    /// The exporter.
    pub producer: String,
    /// Its version.
    pub producer_version: String,
    /// keccak256 of the file, in hexadecimal.
    pub keccak256: String,
    /// The importer's version.
    pub importer: String,
}

/// An operator set that the source file uses.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Opset {
    /// Domain; empty for ONNX's own.
    pub domain: String,
    /// Version.
    pub version: i64,
}

/// How long a text may be, in tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sequence {
    /// Positions that the model has: a longer call is refused.
    pub positions: u64,
    /// Length to which the author's own library cuts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended: Option<u64>,
    /// keccak256 of the tokenizer.json that belongs to the model, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer_keccak256: Option<String>,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FeatureCard {
    /// Name.
    pub name: String,
    /// Least and greatest value in the training data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_range: Option<[f64; 2]>,
}

/// Inputs and the answer to them, by tensor name, row-major.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Example {
    /// By input.
    pub inputs: serde_json::Map<String, serde_json::Value>,
    /// By output.
    pub outputs: serde_json::Map<String, serde_json::Value>,
}

impl Card {
    /// As bytes for the model file.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From a model file; `None` where it is no card.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_survives_json() {
        let card = Card {
            name: "m".into(),
            features: vec![FeatureCard { name: "age".into(), training_range: Some([19.0, 79.0]) }],
            ..Card::default()
        };
        assert_eq!(Card::from_json(&card.to_json()), Some(card));
        assert_eq!(Card::from_json(b"{}"), Some(Card::default()));
    }
}
