//! The container: header, graph, weights, card.

use crate::error::Error;

/// First bytes of a model file.
pub const MAGIC: [u8; 8] = *b"LOCKSTEP";
/// Version of container and graph section.
pub const FORMAT_VERSION: u32 = 1;
const HEADER: usize = 32;
const ALIGN: usize = 64;
/// Largest card.
const MAX_CARD: u64 = 1 << 20;

/// The sections of a model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container<'a> {
    /// The graph section.
    pub graph: &'a [u8],
    /// The weights section.
    pub weights: &'a [u8],
    /// The card (JSON for people and tools, no part of the modelId).
    pub card: &'a [u8],
}

impl<'a> Container<'a> {
    /// Writes the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.graph.len() + ALIGN + self.weights.len() + self.card.len());
        out.extend(MAGIC);
        out.extend(FORMAT_VERSION.to_le_bytes());
        out.extend((self.graph.len() as u32).to_le_bytes());
        out.extend((self.weights.len() as u64).to_le_bytes());
        out.extend((self.card.len() as u32).to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.graph);
        out.resize(out.len().next_multiple_of(ALIGN), 0);
        out.extend(self.weights);
        out.extend(self.card);
        out
    }

    /// Splits a file; copies nothing.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let fail = |offset, reason| Err(Error::NotCanonical { offset, reason });
        let have = bytes.len() as u64;
        let Some(header) = bytes.get(..HEADER) else {
            return Err(Error::Truncated { need: HEADER as u64, have });
        };
        if header[..8] != MAGIC {
            return fail(0, "a model file begins with LOCKSTEP");
        }
        let u32_at = |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        if u32_at(8) != FORMAT_VERSION {
            return fail(8, "model file version 1");
        }
        let graph_len = u64::from(u32_at(12));
        let weights_len = u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32;
        let card_len = u64::from(u32_at(24));
        if u32_at(28) != 0 {
            return fail(28, "four zero bytes");
        }
        if card_len > MAX_CARD {
            return Err(Error::Limit { limit: "card bytes", maximum: MAX_CARD, actual: card_len });
        }
        let graph_end = HEADER as u64 + graph_len;
        let weights_start = graph_end.next_multiple_of(ALIGN as u64);
        let weights_end = weights_start.saturating_add(weights_len);
        let end = weights_end.saturating_add(card_len);
        if end > have {
            return Err(Error::Truncated { need: end, have });
        }
        if end < have {
            return fail(end as usize, "nothing follows the card");
        }
        // All of these are at most the length of a slice in memory.
        let (graph_end, weights_start, weights_end) =
            (graph_end as usize, weights_start as usize, weights_end as usize);
        if bytes[graph_end..weights_start].iter().any(|b| *b != 0) {
            return fail(graph_end, "padding is zero");
        }
        Ok(Self {
            graph: &bytes[HEADER..graph_end],
            weights: &bytes[weights_start..weights_end],
            card: &bytes[weights_end..],
        })
    }
}
