//! Reading and writing the primitive items of the graph section: little-endian, length-prefixed, nothing optional.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dim::{Atom, Dim, MAX_DEGREE, MAX_DEPTH, MAX_TERMS, Poly};
use crate::error::Error;
use crate::limits::{MAX_NAME, MAX_RANK};

/// Appends items to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was written.
    pub bytes: Vec<u8>,
}

macro_rules! write_int {
    ($($name:ident: $t:ty),+) => {$(
        #[doc = concat!("Writes a ", stringify!($t), ".")]
        pub fn $name(&mut self, v: $t) {
            self.bytes.extend_from_slice(&v.to_le_bytes());
        }
    )+};
}

impl Writer {
    write_int!(u8: u8, u16: u16, u32: u32, u64: u64, i64: i64);

    /// Writes a float by its bits.
    pub fn f32(&mut self, v: f32) {
        self.u32(v.to_bits());
    }

    /// Writes a bool as 0 or 1.
    pub fn bool(&mut self, v: bool) {
        self.u8(u8::from(v));
    }

    /// Writes a string: u16 length, UTF-8.
    pub fn string(&mut self, s: &str) {
        self.u16(s.len() as u16);
        self.bytes.extend_from_slice(s.as_bytes());
    }

    /// Writes a list of at most 255 items: u8 count, items.
    pub fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.u8(items.len() as u8);
        items.iter().for_each(|i| each(self, i));
    }

    /// Writes a dimension.
    pub fn dim(&mut self, d: &Dim) {
        match d {
            Dim::Known(n) => {
                self.u8(0);
                self.u64(*n);
            }
            Dim::Expr(p) => {
                self.u8(1);
                self.poly(p);
            }
        }
    }

    fn poly(&mut self, p: &Poly) {
        self.u8(p.terms.len() as u8);
        for (m, c) in &p.terms {
            self.i64(*c);
            self.u8(m.len() as u8);
            for atom in m {
                match atom {
                    Atom::Symbol(s) => {
                        self.u8(0);
                        self.u16(*s);
                    }
                    Atom::FloorDiv(p, n) => {
                        self.u8(1);
                        self.u64(*n);
                        self.poly(p);
                    }
                }
            }
        }
    }
}

/// Reads items; every failure says where.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

macro_rules! read_int {
    ($($name:ident: $t:ty),+) => {$(
        #[doc = concat!("Reads a ", stringify!($t), ".")]
        pub fn $name(&mut self) -> Result<$t, Error> {
            let b = self.take(size_of::<$t>())?;
            b.try_into().map(<$t>::from_le_bytes).map_err(|_| self.error("an integer"))
        }
    )+};
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// An error at the current position.
    pub fn error(&self, reason: &'static str) -> Error {
        Error::NotCanonical { offset: self.at, reason }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Takes `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        if n > self.remaining() {
            return Err(self.error("the section ends early"));
        }
        let out = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(out)
    }

    read_int!(u8: u8, u16: u16, u32: u32, u64: u64, i64: i64);

    /// Reads a float that is no NaN other than the canonical one.
    pub fn f32(&mut self) -> Result<f32, Error> {
        let x = f32::from_bits(self.u32()?);
        if x.is_nan() && x.to_bits() != crate::float::NAN_BITS {
            return Err(self.error("a NaN is written 0x7fc00000"));
        }
        Ok(x)
    }

    /// Reads a bool.
    pub fn bool(&mut self) -> Result<bool, Error> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error("a flag is 0 or 1")),
        }
    }

    /// Reads a string of at most [`MAX_NAME`] bytes without control characters.
    pub fn string(&mut self) -> Result<String, Error> {
        let n = usize::from(self.u16()?);
        if n > MAX_NAME {
            return Err(self.error("a name is longer than 256 bytes"));
        }
        let s = std::str::from_utf8(self.take(n)?).map_err(|_| self.error("a name is UTF-8"))?;
        if s.chars().any(char::is_control) {
            return Err(self.error("a name has no control characters"));
        }
        Ok(s.to_owned())
    }

    /// Reads a list written by [`Writer::list`].
    pub fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let n = self.u8()?;
        (0..n).map(|_| each(self)).collect()
    }

    /// Reads a shape: at most [`MAX_RANK`] dimensions.
    pub fn shape(&mut self) -> Result<Vec<Dim>, Error> {
        let shape = self.list(Self::dim)?;
        if shape.len() > MAX_RANK {
            return Err(self.error("a rank is above 8"));
        }
        Ok(shape)
    }

    /// Reads a dimension.
    pub fn dim(&mut self) -> Result<Dim, Error> {
        match self.u8()? {
            0 => Ok(Dim::Known(self.u64()?)),
            1 => {
                let p = self.poly(0)?;
                match p.clone().into_dim() {
                    Some(Dim::Expr(e)) if *e == p => Ok(Dim::Expr(Arc::new(p))),
                    _ => Err(self.error("a dimension is written in its simplest form")),
                }
            }
            _ => Err(self.error("a dimension is a number (0) or a polynomial (1)")),
        }
    }

    fn poly(&mut self, depth: usize) -> Result<Poly, Error> {
        let terms = self.u8()?;
        if usize::from(terms) > MAX_TERMS || depth > MAX_DEPTH {
            return Err(self.error("a dimension is too complex"));
        }
        let mut out = BTreeMap::new();
        for _ in 0..terms {
            let c = self.i64()?;
            let n = self.u8()?;
            if usize::from(n) > MAX_DEGREE || c == 0 {
                return Err(self.error("a term has a non-zero coefficient and a degree of at most 8"));
            }
            let mut m = Vec::new();
            for _ in 0..n {
                m.push(match self.u8()? {
                    0 => Atom::Symbol(self.u16()?),
                    1 => {
                        let divisor = self.u64()?;
                        if divisor < 2 {
                            return Err(self.error("a divisor is at least 2"));
                        }
                        Atom::FloorDiv(Box::new(self.poly(depth + 1)?), divisor)
                    }
                    _ => return Err(self.error("an atom is a symbol (0) or a floor division (1)")),
                });
            }
            if !m.is_sorted() || out.last_key_value().is_some_and(|(last, _)| *last >= m) {
                return Err(self.error("terms and atoms ascend"));
            }
            out.insert(m, c);
        }
        Ok(Poly { terms: out })
    }

    /// Succeeds where everything was read.
    pub fn finish(&self) -> Result<(), Error> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error("nothing follows the last item")) }
    }
}
