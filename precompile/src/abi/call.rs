//! Strict decoding of calls: one encoding of each call is accepted (spec ABI-2).
//!
//! The decoder walks the words in the order in which `abi.encode` writes them. An offset word is checked when the
//! tail it points at is reached, a length against the bytes that remain, then the contents. What it returns are
//! views into the call data; it allocates one view for each tensor that it has read in full.

use alloy_primitives::B256;
use alloy_sol_types::SolCall;

use super::IInference::{classifyCall, describeCall, inferCall, quoteCall, runCall, validateCall};
use super::words::{Words, as_u64};

/// A decoded call; everything in it lies in the call data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call<'a> {
    /// `infer(bytes32,int256[])`
    Infer {
        /// The model.
        model_id: B256,
        /// Values with 18 decimals.
        x: Words<'a>,
    },
    /// `classify(bytes32,int256[])`
    Classify {
        /// The model.
        model_id: B256,
        /// Values with 18 decimals.
        x: Words<'a>,
    },
    /// `run(bytes32,Tensor[])`
    Run {
        /// The model.
        model_id: B256,
        /// Inputs by position.
        inputs: Vec<TensorView<'a>>,
    },
    /// `quote(bytes)`
    Quote {
        /// The encoded call.
        call: &'a [u8],
    },
    /// `describe(bytes32)`
    Describe {
        /// The model.
        model_id: B256,
    },
    /// `validate(bytes)`
    Validate {
        /// The graph section.
        graph: &'a [u8],
    },
}

/// A tensor of `run`, in the call data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorView<'a> {
    /// Number of the element type.
    pub dtype: u8,
    /// Dimensions; each fits 32 bits.
    pub shape: Words<'a>,
    /// Packed values.
    pub data: &'a [u8],
}

/// The call data is not the one encoding; the offset of the first offending word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotCanonical(pub usize);

/// Why call data is no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// No function has this selector. Missing bytes are zero.
    UnknownSelector([u8; 4]),
    /// Not the canonical encoding.
    NotCanonical(NotCanonical),
}

impl From<NotCanonical> for DecodeError {
    fn from(e: NotCanonical) -> Self {
        Self::NotCanonical(e)
    }
}

/// Decodes a call, selector included.
pub fn decode(call_data: &[u8]) -> Result<Call<'_>, DecodeError> {
    let mut selector = [0u8; 4];
    let n = call_data.len().min(4);
    selector[..n].copy_from_slice(&call_data[..n]);
    if n < 4 {
        return Err(DecodeError::UnknownSelector(selector));
    }
    let mut r = Reader { data: call_data, at: 4 };
    let call = match selector {
        inferCall::SELECTOR => {
            let (model_id, x) = r.id_and_values()?;
            Call::Infer { model_id, x }
        }
        classifyCall::SELECTOR => {
            let (model_id, x) = r.id_and_values()?;
            Call::Classify { model_id, x }
        }
        runCall::SELECTOR => {
            let model_id = B256::from(*r.word()?);
            r.offset(0x40)?;
            Call::Run { model_id, inputs: r.tensors()? }
        }
        quoteCall::SELECTOR => {
            r.offset(0x20)?;
            Call::Quote { call: r.bytes()? }
        }
        describeCall::SELECTOR => Call::Describe { model_id: B256::from(*r.word()?) },
        validateCall::SELECTOR => {
            r.offset(0x20)?;
            Call::Validate { graph: r.bytes()? }
        }
        _ => return Err(DecodeError::UnknownSelector(selector)),
    };
    r.end()?;
    Ok(call)
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn id_and_values(&mut self) -> Result<(B256, Words<'a>), NotCanonical> {
        let model_id = B256::from(*self.word()?);
        self.offset(0x40)?;
        let (_, x) = self.array()?;
        Ok((model_id, x))
    }

    /// The next word; a word that is cut off offends itself.
    fn word(&mut self) -> Result<&'a [u8; 32], NotCanonical> {
        let word = self.data.get(self.at..).and_then(<[u8]>::first_chunk).ok_or(NotCanonical(self.at))?;
        self.at += 32;
        Ok(word)
    }

    /// The next word, which must have one value.
    fn offset(&mut self, expected: u64) -> Result<(), NotCanonical> {
        let at = self.at;
        if as_u64(self.word()?) == Some(expected) { Ok(()) } else { Err(NotCanonical(at)) }
    }

    /// A length whose contents take at least `unit` bytes each; it offends where they do not remain.
    fn length(&mut self, unit: usize) -> Result<usize, NotCanonical> {
        let at = self.at;
        let n = as_u64(self.word()?).and_then(|n| usize::try_from(n).ok()).ok_or(NotCanonical(at))?;
        let need = n.checked_mul(unit).ok_or(NotCanonical(at))?;
        if need > self.data.len() - self.at { Err(NotCanonical(at)) } else { Ok(n) }
    }

    /// A length and as many words; gives where they begin.
    fn array(&mut self) -> Result<(usize, Words<'a>), NotCanonical> {
        let n = self.length(32)?;
        let start = self.at;
        self.at += n * 32;
        Ok((start, Words::new(&self.data[start..self.at])))
    }

    /// A length, as many bytes, and zeros to the end of the last word.
    fn bytes(&mut self) -> Result<&'a [u8], NotCanonical> {
        let n = self.length(1)?;
        let start = self.at;
        let last = start + n / 32 * 32;
        self.at = last;
        if n % 32 != 0 && self.word()?[n % 32..].iter().any(|b| *b != 0) {
            return Err(NotCanonical(last));
        }
        Ok(&self.data[start..start + n])
    }

    fn tensors(&mut self) -> Result<Vec<TensorView<'a>>, NotCanonical> {
        let (heads, offsets) = self.array()?;
        let mut tensors = Vec::new();
        for (i, offset) in offsets.iter().enumerate() {
            if as_u64(offset) != Some((self.at - heads) as u64) {
                return Err(NotCanonical(heads + 32 * i));
            }
            tensors.push(self.tensor()?);
        }
        Ok(tensors)
    }

    fn tensor(&mut self) -> Result<TensorView<'a>, NotCanonical> {
        let start = self.at;
        let dtype = as_u64(self.word()?).and_then(|n| u8::try_from(n).ok()).ok_or(NotCanonical(start))?;
        self.offset(0x60)?;
        let data_offset = self.at;
        let stated = as_u64(self.word()?);
        let (first, shape) = self.array()?;
        if let Some(i) = shape.iter().position(|d| as_u64(d).is_none_or(|d| d > u64::from(u32::MAX))) {
            return Err(NotCanonical(first + 32 * i));
        }
        if stated != Some((self.at - start) as u64) {
            return Err(NotCanonical(data_offset));
        }
        Ok(TensorView { dtype, shape, data: self.bytes()? })
    }

    fn end(&self) -> Result<(), NotCanonical> {
        if self.at == self.data.len() { Ok(()) } else { Err(NotCanonical(self.at)) }
    }
}
