//! Call data as 32-byte words, read in place.

/// A run of whole words inside the call data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The words of these bytes; what does not fill a word is left out.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(&bytes[..bytes.len() / 32 * 32])
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.0.len() / 32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8; 32]> + Clone + use<'a> {
        self.0.as_chunks::<32>().0.iter()
    }

    /// The low 32 bits of each word: its value, where the decoder has checked that it fits.
    pub fn iter_u32(&self) -> impl ExactSizeIterator<Item = u32> + Clone + use<'a> {
        self.iter().map(|w| u32::from_be_bytes([w[28], w[29], w[30], w[31]]))
    }
}

/// The value of a word, where it fits 64 bits.
pub(super) fn as_u64(word: &[u8; 32]) -> Option<u64> {
    let (high, low) = word.split_at(24);
    if high.iter().any(|b| *b != 0) {
        return None;
    }
    Some(low.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_in_order() {
        let mut bytes = [0u8; 70];
        bytes[31] = 1;
        bytes[60] = 2;
        let words = Words::new(&bytes);
        assert_eq!(words.len(), 2);
        assert_eq!(words.iter_u32().collect::<Vec<_>>(), [1, 2 << 24]);
        assert_eq!(words.iter().map(as_u64).collect::<Vec<_>>(), [Some(1), Some(2 << 24)]);
        let mut large = [0u8; 32];
        large[23] = 1;
        assert_eq!(as_u64(&large), None);
        assert!(Words::new(&bytes[..31]).is_empty());
    }
}
