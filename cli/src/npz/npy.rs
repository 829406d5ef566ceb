//! One array: numpy's .npy format, versions 1 to 3.

use std::io::Read;

use lockstep_engine::{DType, Tensor};

use crate::data::{Array, Values};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy's own bound on headers it trusts is 10,000 bytes.
const MAX_HEADER: usize = 65_536;
const MAX_RANK: usize = 32;
/// Longest pickle of an array of strings.
const MAX_PICKLE: u64 = 256 << 20;

/// Reads one array of at most `limit` bytes.
pub(super) fn read(reader: &mut impl Read, limit: u64) -> Result<Array, String> {
    let mut start = [0u8; 8];
    fill(reader, &mut start)?;
    if &start[..6] != MAGIC {
        return Err("it is no .npy array".into());
    }
    let length = match start[6] {
        1 => {
            let mut b = [0u8; 2];
            fill(reader, &mut b)?;
            usize::from(u16::from_le_bytes(b))
        }
        2 | 3 => {
            let mut b = [0u8; 4];
            fill(reader, &mut b)?;
            u32::from_le_bytes(b) as usize
        }
        v => return Err(format!(".npy version {v} is not known")),
    };
    if length > MAX_HEADER {
        return Err(format!("its header takes {length} bytes, the limit is {MAX_HEADER}"));
    }
    let mut text = vec![0u8; length];
    fill(reader, &mut text)?;
    let header = Header::parse(std::str::from_utf8(&text).map_err(|_| "its header is no text")?)?;
    let count = header.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    if header.descr.trim_start_matches('|') == "O" {
        // A pickle, whose length the header does not say.
        let mut pickle = Vec::new();
        reader.take(limit.min(MAX_PICKLE)).read_to_end(&mut pickle).map_err(|e| format!("it cannot be read: {e}"))?;
        let values = Values::Text(super::objects::texts(&pickle, count.unwrap_or(usize::MAX))?);
        let array = Array { shape: header.shape, values, kind: "object".into() };
        return Ok(if header.fortran { array.into_row_major() } else { array });
    }
    let kind = Kind::parse(&header.descr)?;
    let size = count.and_then(|n| n.checked_mul(kind.size)).filter(|n| *n as u64 <= limit);
    let Some((count, size)) = count.zip(size) else {
        return Err(format!("an array of shape {:?} exceeds the limit of {limit} bytes", header.shape));
    };
    // Grows with what is really there: a header may promise anything.
    let mut bytes = Vec::new();
    reader.take(size as u64).read_to_end(&mut bytes).map_err(|e| format!("it cannot be read: {e}"))?;
    if bytes.len() != size {
        return Err(format!("it ends after {} bytes, {size} are promised", bytes.len()));
    }
    let values = kind.values(&bytes, count)?;
    let array = Array { shape: header.shape, values, kind: kind.name };
    Ok(if header.fortran { array.into_row_major() } else { array })
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<(), String> {
    reader.read_exact(buffer).map_err(|e| format!("it is cut short or damaged: {e}"))
}

struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// The three fields of the Python dictionary that numpy writes, in any order.
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("its header is not understood: {}", text.trim());
        let after = |key: &str| {
            ["'", "\""].iter().find_map(|q| {
                let at = text.find(&format!("{q}{key}{q}"))? + key.len() + 2;
                text[at..].trim_start().strip_prefix(':').map(str::trim_start)
            })
        };
        let descr = after("descr").ok_or_else(bad)?;
        let descr = match descr.chars().next() {
            Some(q @ ('\'' | '"')) => descr[1..].split(q).next().ok_or_else(bad)?,
            _ => return Err("structured arrays are not supported; save one plain array per name".into()),
        };
        let fortran = match after("fortran_order").ok_or_else(bad)? {
            t if t.starts_with("True") => true,
            t if t.starts_with("False") => false,
            _ => return Err(bad()),
        };
        let shape =
            after("shape").and_then(|t| t.strip_prefix('(')).and_then(|t| t.split(')').next()).ok_or_else(bad)?;
        let shape = shape
            .split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .map(|t| t.trim_end_matches('L').parse::<usize>().map_err(|_| bad()))
            .collect::<Result<Vec<_>, _>>()?;
        if shape.len() > MAX_RANK {
            return Err(format!("its rank is {}, the limit is {MAX_RANK}", shape.len()));
        }
        Ok(Self { descr: descr.to_owned(), fortran, shape })
    }
}

/// Element type of a file.
struct Kind {
    letter: char,
    big_endian: bool,
    size: usize,
    name: String,
}

impl Kind {
    fn parse(descr: &str) -> Result<Self, String> {
        let unsupported = || format!("elements of type '{descr}' are not supported");
        let mut chars = descr.chars();
        let order = chars.next().ok_or_else(unsupported)?;
        let (order, letter) = match order {
            '<' | '>' | '|' | '=' => (order, chars.next().ok_or_else(unsupported)?),
            letter => ('<', letter),
        };
        let width: usize = match chars.as_str() {
            "" if letter == '?' => 1,
            digits => digits.parse().map_err(|_| unsupported())?,
        };
        let named = |name: &str| format!("{name}{}", width.saturating_mul(8));
        let (size, name) = match (letter, width) {
            ('f', 2 | 4 | 8) => (width, named("float")),
            ('i', 1 | 2 | 4 | 8) => (width, named("int")),
            ('u', 1 | 2 | 4 | 8) => (width, named("uint")),
            ('b' | '?', 1) => (1, "bool".into()),
            ('U', n) => (n.checked_mul(4).ok_or_else(unsupported)?, "str".into()),
            ('S', n) => (n, "bytes".into()),
            _ => return Err(unsupported()),
        };
        Ok(Self { letter, big_endian: order == '>', size, name })
    }

    fn values(&self, bytes: &[u8], count: usize) -> Result<Values, String> {
        let items = || bytes.chunks_exact(self.size.max(1)).map(|c| self.little(c));
        let wide = |c: Vec<u8>, negative: bool| {
            let mut all = if negative { [0xff; 8] } else { [0; 8] };
            all[..c.len()].copy_from_slice(&c);
            all
        };
        let signed = |c: Vec<u8>| {
            let negative = c.last().is_some_and(|b| b & 0x80 != 0);
            i64::from_le_bytes(wide(c, negative))
        };
        Ok(match (self.letter, self.size) {
            ('f', 2) => Values::F32(items().map(|c| half(u16::from_le_bytes([c[0], c[1]]))).collect()),
            ('f', 4) => Values::F32(items().map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()),
            ('f', _) => Values::F64(items().map(|c| f64::from_le_bytes(wide(c, false))).collect()),
            ('i', _) => Values::Int(items().map(signed).collect()),
            ('u', 8) => Values::UInt(items().map(|c| u64::from_le_bytes(wide(c, false))).collect()),
            ('u', _) => Values::Int(items().map(|c| i64::from_le_bytes(wide(c, false))).collect()),
            ('b' | '?', _) => {
                if let Some(b) = bytes.iter().find(|b| **b > 1) {
                    return Err(format!("a bool has the byte {b}"));
                }
                Values::Bool(bytes.iter().map(|b| *b == 1).collect())
            }
            // numpy writes '<U0' for arrays of empty strings.
            ('U' | 'S', 0) => Values::Text(vec![String::new(); count.min(1 << 24)]),
            ('U', _) => Values::Text(items().map(|c| text32(&c)).collect::<Result<_, _>>()?),
            _ => Values::Text(items().map(text8).collect::<Result<_, _>>()?),
        })
    }

    /// The bytes of one number, least first; text is left as it is (its units are turned).
    fn little(&self, c: &[u8]) -> Vec<u8> {
        let mut v = c.to_vec();
        if self.big_endian {
            match self.letter {
                'U' => v.chunks_exact_mut(4).for_each(<[u8]>::reverse),
                'S' => {}
                _ => v.reverse(),
            }
        }
        v
    }
}

/// Four bytes a character, padded with zeros.
fn text32(c: &[u8]) -> Result<String, String> {
    let mut out: String = c
        .chunks_exact(4)
        .map(|u| char::from_u32(u32::from_le_bytes([u[0], u[1], u[2], u[3]])).ok_or("it holds text that is no Unicode"))
        .collect::<Result<_, _>>()?;
    out.truncate(out.trim_end_matches('\0').len());
    Ok(out)
}

fn text8(c: Vec<u8>) -> Result<String, String> {
    let mut out = String::from_utf8(c).map_err(|_| "it holds bytes that are no UTF-8 text")?;
    out.truncate(out.trim_end_matches('\0').len());
    Ok(out)
}

/// binary16, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits) & 1023;
    match (exponent, fraction) {
        (0, f) => {
            let magnitude = f as f32 / 16_777_216.0;
            f32::from_bits(magnitude.to_bits() | sign)
        }
        (31, f) => f32::from_bits(sign | 0x7f80_0000 | f << 13),
        (e, f) => f32::from_bits(sign | (e + 112) << 23 | f << 13),
    }
}

/// Writes one tensor.
pub(super) fn write(tensor: &Tensor) -> Vec<u8> {
    let descr = match tensor.dtype() {
        DType::F32 => "<f4",
        DType::U8 => "|u1",
        DType::I8 => "|i1",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::Bool => "|b1",
    };
    let mut shape: String = tensor.shape.iter().map(|d| format!("{d}, ")).collect();
    if tensor.shape.len() > 1 {
        shape.truncate(shape.len() - 2);
    } else {
        shape = shape.trim_end().to_owned();
    }
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    while !(10 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
    out.extend(tensor.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([1, 0]);
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(data);
        out
    }

    fn parse(header: &str, data: &[u8]) -> Result<Array, String> {
        read(&mut file(header, data).as_slice(), 1 << 20)
    }

    #[test]
    fn types_and_orders() {
        let f = parse(
            "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }",
            &[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 255, 255],
        );
        assert_eq!(f.unwrap().values, Values::Int(vec![1, 3, 5, 2, 4, -1]));
        let s = parse(
            "{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }",
            &[98, 0, 0, 0, 0, 0, 0, 0, 0xe9, 0, 0, 0, 99, 0, 0, 0],
        );
        assert_eq!(s.unwrap().values, Values::Text(vec!["b".into(), "éc".into()]));
        let h = parse("{'descr': '<f2', 'fortran_order': False, 'shape': (4,), }", &[0, 0x3c, 1, 0, 0, 0xfc, 0, 0x80]);
        assert_eq!(h.unwrap().values, Values::F32(vec![1.0, f32::powi(2.0, -24), f32::NEG_INFINITY, -0.0]));
        let d = parse("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", &1.5f64.to_le_bytes());
        assert_eq!(d.unwrap().values, Values::F64(vec![1.5]));
    }

    #[test]
    fn lies_are_refused() {
        assert!(
            parse("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 999999999), }", &[]).is_err()
        );
        assert!(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", &[0; 15]).is_err());
        assert!(
            parse("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[0; 8]).unwrap_err().contains("objects")
        );
        assert!(parse("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]).is_err());
        assert!(parse("((((((((((", &[]).is_err());
        assert!(parse("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", &[2]).is_err());
        let mut long = file("", &[]);
        long[6] = 2;
        assert!(
            read(&mut [&long[..8], &[255, 255, 255, 127]].concat().as_slice(), 1 << 20).unwrap_err().contains("header")
        );
    }
}
