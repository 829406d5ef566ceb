//! Categories: one-hot coding and label encoding, of numbers and of strings that are codes.

use std::collections::HashMap;

use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Data, Dim, Tensor};

use crate::build::{Label, Val};
use crate::error::{Lowered, Refusal, refuse};
use crate::lower::{Call, Outputs, one};
use crate::proto::data_type;
use crate::slot::{Codes, Slot};

/// Keys that one operator may compare with.
const MAX_KEYS: usize = 65_536;

/// Whether each element (new last axis: keys) equals each of the strings.
fn equals_strings(c: &mut Call<'_>, k: &Codes, keys: &[String]) -> Lowered<Val> {
    distinct(keys.iter())?;
    let shape = c.b.shape(k.val);
    if k.columns.len().saturating_mul(keys.len()) > 1 << 22 {
        return refuse!("{} columns of {} categories", k.columns.len(), keys.len());
    }
    // One row of codes for each column: the same string may have another code in another column.
    let mut codes = Vec::with_capacity(k.columns.len() * keys.len());
    for column in &k.columns {
        codes.extend(keys.iter().map(|s| c.b.columns[*column].code(s)));
    }
    let mut of_column: Vec<Dim> = vec![Dim::Known(1); shape.len().min(1)];
    of_column.extend(shape.iter().skip(1).cloned());
    of_column.push(Dim::Known(keys.len() as u64));
    let codes = c.b.vector_i64(codes);
    let codes = c.b.reshape(codes, &of_column)?;
    let x = c.b.unsqueeze(k.val, &[shape.len()])?;
    c.b.compare(K::Equal, x, codes)
}

/// Whether each element (new last axis: keys) equals each of the keys, a vector of its type.
fn equals(c: &mut Call<'_>, x: Val, keys: Val) -> Lowered<Val> {
    let rank = c.b.rank(x);
    let x = c.b.unsqueeze(x, &[rank])?;
    c.b.compare(K::Equal, x, keys)
}

fn distinct<T: Ord>(keys: impl Iterator<Item = T>) -> Lowered<()> {
    let mut v: Vec<T> = keys.collect();
    let n = v.len();
    v.sort();
    v.dedup();
    match n {
        _ if v.len() != n => refuse!("a key stands twice"),
        0 => refuse!("no keys"),
        _ if n > MAX_KEYS => refuse!("{n} keys, at most {MAX_KEYS} are supported"),
        _ => Ok(()),
    }
}

/// The position of the key that each element equals, the number of keys where none does; from `equals`.
fn position(c: &mut Call<'_>, hits: Val, keys: usize) -> Lowered<Val> {
    let n = keys as i64;
    let weights = c.b.vector_i64((0..n).map(|k| k - n).collect());
    let hits = c.b.cast(hits, DType::I64)?;
    let weighted = c.b.mul2(hits, weights)?;
    let last = c.b.rank(weighted) - 1;
    let sum = c.b.reduce(R::Sum, weighted, &[last], false)?;
    let n = c.b.scalar_of(DType::I64, n);
    c.b.add2(sum, n)
}

pub(super) fn one_hot(c: &mut Call<'_>) -> Outputs {
    let ints = c.attrs.ints("cats_int64s")?.unwrap_or_default().to_vec();
    let strings = c.attrs.strings("cats_strings")?.unwrap_or_default();
    let zeros = c.attrs.int("zeros", 1)? != 0;
    let (hits, n) = match (c.slot(0)?, ints.is_empty(), strings.is_empty()) {
        (Slot::Codes(k), true, false) => (equals_strings(c, &k, &strings)?, strings.len()),
        (Slot::Codes(_), _, _) => return refuse!("a column of strings needs cats_strings"),
        (_, false, true) => {
            distinct(ints.iter())?;
            let x = c.x(0)?;
            // Other types of numbers are truncated to integers.
            let x = c.b.cast(x, DType::I64)?;
            let n = ints.len();
            let keys = c.b.vector_i64(ints);
            (equals(c, x, keys)?, n)
        }
        (_, _, false) => return Err(c.x(0).err().unwrap_or_else(|| Refusal::new("numbers with cats_strings"))),
        _ => return refuse!("no categories"),
    };
    if zeros {
        return one(c.b.cast(hits, DType::F32)?);
    }
    if n > 1024 {
        return refuse!("{n} categories with zeros = 0");
    }
    // The position of an unknown category lies outside the unit matrix: the call fails.
    let at = position(c, hits, n)?;
    let mut unit = vec![0.0; n * n];
    (0..n).for_each(|i| unit[i * n + i] = 1.0);
    let unit = c.b.constant(Tensor { shape: vec![n, n], data: Data::F32(unit) });
    one(c.b.gather(unit, at, 0)?)
}

/// Keys or values of a LabelEncoder.
enum Column {
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Strings(Vec<String>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Ints(v) => v.len(),
            Self::Floats(v) => v.len(),
            Self::Strings(v) => v.len(),
        }
    }

    /// The list attribute of one of three names, or (operator set 4) a tensor.
    fn read(c: &mut Call<'_>, side: &str) -> Lowered<Self> {
        if let Some(v) = c.attrs.strings(&format!("{side}_strings"))? {
            return Ok(Self::Strings(v));
        }
        if let Some(v) = c.attrs.ints(&format!("{side}_int64s"))? {
            return Ok(Self::Ints(v.to_vec()));
        }
        if let Some(v) = c.attrs.floats(&format!("{side}_floats"))? {
            return Ok(Self::Floats(v.to_vec()));
        }
        let Some(t) = c.attrs.tensor(&format!("{side}_tensor"))? else { return refuse!("no {side}") };
        match c.tensor(t)? {
            Slot::Strings(s) => Ok(Self::Strings(s.data.clone())),
            Slot::Tensor(v) => match c.b.as_constant(v).map(|t| t.data.clone()) {
                Some(Data::I64(v)) => Ok(Self::Ints(v)),
                Some(Data::F32(v)) => Ok(Self::Floats(v)),
                _ => refuse!("{side} of {}", c.b.dtype(v)),
            },
            Slot::Foreign(f) => refuse!("{side} of {}", f.type_name()),
            _ => refuse!("{side}"),
        }
    }
}

pub(super) fn label(c: &mut Call<'_>) -> Outputs {
    if c.version < 2 {
        // The classes, and their places: which of the two is the key says the operand.
        let Some(strings) = c.attrs.strings("classes_strings")? else { return refuse!("no classes_strings") };
        let places = (0..strings.len() as i64).collect();
        return mapped(c, strings, places);
    }
    let (keys, values) = (Column::read(c, "keys")?, Column::read(c, "values")?);
    encode(c, keys, values)
}

/// Strings to integers or back, by the type of the operand.
fn mapped(c: &mut Call<'_>, strings: Vec<String>, ints: Vec<i64>) -> Outputs {
    let (strings, ints) = (Column::Strings(strings), Column::Ints(ints));
    match c.slot(0)? {
        Slot::Tensor(_) => encode(c, ints, strings),
        _ => encode(c, strings, ints),
    }
}

pub(super) fn category_mapper(c: &mut Call<'_>) -> Outputs {
    let strings = c.attrs.strings("cats_strings")?.unwrap_or_default();
    let ints = c.attrs.ints("cats_int64s")?.unwrap_or_default().to_vec();
    mapped(c, strings, ints)
}

fn encode(c: &mut Call<'_>, keys: Column, values: Column) -> Outputs {
    if keys.len() != values.len() {
        return refuse!("{} keys and {} values", keys.len(), values.len());
    }
    let n = keys.len();
    let slot = c.slot(0)?;
    let hits = match (&slot, &keys) {
        (Slot::Codes(k), Column::Strings(s)) => equals_strings(c, k, s)?,
        (_, Column::Strings(_)) => return refuse!("strings that are not a column of an input"),
        (_, Column::Ints(v)) => {
            distinct(v.iter())?;
            let x = c.x(0)?;
            let keys = c.b.vector_i64(v.clone());
            equals(c, x, keys)?
        }
        (_, Column::Floats(v)) => {
            // -0 equals 0, and a NaN key stands for NaN.
            distinct(v.iter().map(|x| if *x == 0.0 { 0 } else { lockstep_engine::float::canonical(*x).to_bits() }))?;
            let x = c.x(0)?;
            let is_nan: Vec<bool> = v.iter().map(|x| x.is_nan()).collect();
            let keys = c.b.vector(v.clone());
            let hits = equals(c, x, keys)?;
            if is_nan.contains(&true) {
                let rank = c.b.rank(x);
                let gap = c.b.unary(U::IsNan, x)?;
                let gap = c.b.unsqueeze(gap, &[rank])?;
                let key = c.b.constant(Tensor { shape: vec![n], data: Data::Bool(is_nan) });
                let both = c.b.binary(lockstep_engine::ops::binary::BinaryKind::And, gap, key)?;
                c.b.binary(lockstep_engine::ops::binary::BinaryKind::Or, hits, both)?
            } else {
                hits
            }
        }
    };
    let at = position(c, hits, n)?;
    let default_int = c.attrs.int("default_int64", -1)?;
    let default_float = c.attrs.float("default_float", -0.0)?;
    let default_string = c.attrs.string("default_string", "_Unused")?;
    let default = match c.attrs.tensor("default_tensor")? {
        Some(t) => Some(c.tensor(t)?),
        None => None,
    };
    match values {
        Column::Ints(mut v) => {
            v.push(match default {
                None => default_int,
                Some(Slot::Tensor(d)) => match c.b.as_constant(d).map(|t| t.data.clone()) {
                    Some(Data::I64(d)) if d.len() == 1 => d[0],
                    _ => return refuse!("a default of another type"),
                },
                Some(_) => return refuse!("a default of another type"),
            });
            let table = c.b.vector_i64(v);
            one(c.b.gather(table, at, 0)?)
        }
        Column::Floats(mut v) => {
            v.push(match default {
                None => default_float,
                Some(Slot::Tensor(d)) => match c.b.as_constant(d).map(|t| t.data.clone()) {
                    Some(Data::F32(d)) if d.len() == 1 => d[0],
                    _ => return refuse!("a default of another type"),
                },
                Some(_) => return refuse!("a default of another type"),
            });
            let table = c.b.vector(v);
            one(c.b.gather(table, at, 0)?)
        }
        Column::Strings(v) => {
            let default = match default {
                None => default_string,
                Some(Slot::Strings(s)) if s.data.len() == 1 => s.data[0].clone(),
                Some(_) => return refuse!("a default that is no {}", data_type::name(data_type::STRING)),
            };
            to_strings(c, &slot, &keys, v, default, at)
        }
    }
}

/// Strings as results are labels: the index of each in the table of the distinct ones.
fn to_strings(c: &mut Call<'_>, slot: &Slot, keys: &Column, values: Vec<String>, default: String, at: Val) -> Outputs {
    // Where the operand is known to be one of the keys, the default never comes.
    let covered = match (slot, keys) {
        (Slot::Tensor(x), Column::Ints(k)) => match c.b.label(*x) {
            Some(Label::OneOf(v)) => v.iter().all(|v| k.contains(v)),
            _ => false,
        },
        _ => false,
    };
    let mut table: Vec<String> = Vec::new();
    let mut known: HashMap<String, i64> = HashMap::new();
    let mut index = |s: &String| -> i64 {
        *known.entry(s.clone()).or_insert_with(|| {
            table.push(s.clone());
            table.len() as i64 - 1
        })
    };
    let mut of_key: Vec<i64> = values.iter().map(&mut index).collect();
    if !covered {
        of_key.push(index(&default));
    }
    let of_key = c.b.vector_i64(of_key);
    let out = c.b.gather(of_key, at, 0)?;
    Ok(vec![Slot::Labels(out, std::sync::Arc::new(table))])
}
