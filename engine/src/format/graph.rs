//! The graph section.

use super::codec::{Reader, Writer};
use super::container::FORMAT_VERSION;
use crate::LS1_VERSION;
use crate::error::Error;
use crate::graph::{Constant, Feature, Graph, Input, Labels, Node, Output, ValueId};
use crate::limits::MAX_RANK;
use crate::ops::Op;
use crate::tensor::DType;

const ABSENT: u32 = u32::MAX;
const NO_OUTPUT: u16 = u16::MAX;

/// The one encoding of a graph. `weights_length` is the length of its weights section.
pub fn encode_graph(g: &Graph, weights_length: u64) -> Vec<u8> {
    let mut w = Writer::default();
    w.u32(FORMAT_VERSION);
    w.u32(LS1_VERSION);
    w.u64(weights_length);
    w.list(&g.symbols, |w, s| w.string(s));
    w.u16(g.inputs.len() as u16);
    for i in &g.inputs {
        w.string(&i.name);
        w.u8(i.dtype.code());
        w.list(&i.shape, Writer::dim);
    }
    w.u32(g.constants.len() as u32);
    for c in &g.constants {
        w.u8(c.dtype.code());
        w.list(&c.shape, |w, d| w.u32(*d));
    }
    w.u32(g.nodes.len() as u32);
    for n in &g.nodes {
        n.op.encode(&mut w);
        w.u16(n.inputs.len() as u16);
        n.inputs.iter().for_each(|v| w.u32(v.map_or(ABSENT, |v| v.0)));
    }
    w.u16(g.outputs.len() as u16);
    for o in &g.outputs {
        w.string(&o.name);
        w.u32(o.value.0);
    }
    w.u16(g.primary_output);
    w.u16(g.label_output.unwrap_or(NO_OUTPUT));
    w.u32(g.features.len() as u32);
    for f in &g.features {
        w.string(&f.name);
        w.u32(f.categories.len() as u32);
        f.categories.iter().for_each(|c| w.string(c));
    }
    match &g.labels {
        Labels::None => w.u8(0),
        Labels::Ints(v) => {
            w.u8(1);
            w.u32(v.len() as u32);
            v.iter().for_each(|l| w.i64(*l));
        }
        Labels::Strings(v) => {
            w.u8(2);
            w.u32(v.len() as u32);
            v.iter().for_each(|l| w.string(l));
        }
    }
    w.bytes
}

/// Reads a graph and the weights length it states; refuses anything but the canonical encoding.
/// Allocation grows with the bytes read, never with a stated count.
pub fn decode_graph(bytes: &[u8]) -> Result<(Graph, u64), Error> {
    let mut r = Reader::new(bytes);
    if r.u32()? != FORMAT_VERSION {
        return Err(r.error("graph format version 1"));
    }
    let ls1 = r.u32()?;
    if ls1 != LS1_VERSION {
        return Err(Error::Version(ls1));
    }
    let weights_length = r.u64()?;
    let symbols = r.list(Reader::string)?;
    let mut g = Graph { symbols, ..Graph::default() };
    for _ in 0..r.u16()? {
        let name = r.string()?;
        let dtype = dtype(&mut r)?;
        g.inputs.push(Input { name, dtype, shape: r.shape()? });
    }
    for _ in 0..r.u32()? {
        let dtype = dtype(&mut r)?;
        let shape = r.list(Reader::u32)?;
        if shape.len() > MAX_RANK {
            return Err(r.error("a rank is above 8"));
        }
        g.constants.push(Constant { dtype, shape });
    }
    for _ in 0..r.u32()? {
        let op = Op::decode(&mut r)?;
        let n = r.u16()?;
        let mut inputs = Vec::new();
        for _ in 0..n {
            let v = r.u32()?;
            inputs.push((v != ABSENT).then_some(ValueId(v)));
        }
        g.nodes.push(Node { op, inputs });
    }
    for _ in 0..r.u16()? {
        let name = r.string()?;
        g.outputs.push(Output { name, value: ValueId(r.u32()?) });
    }
    g.primary_output = r.u16()?;
    g.label_output = Some(r.u16()?).filter(|l| *l != NO_OUTPUT);
    for _ in 0..r.u32()? {
        let name = r.string()?;
        let mut categories = Vec::new();
        for _ in 0..r.u32()? {
            categories.push(r.string()?);
        }
        g.features.push(Feature { name, categories });
    }
    g.labels = match r.u8()? {
        0 => Labels::None,
        kind @ (1 | 2) => {
            let n = r.u32()?;
            if n == 0 {
                return Err(r.error("an empty label table is written as none"));
            }
            if kind == 1 {
                let mut v = Vec::new();
                for _ in 0..n {
                    v.push(r.i64()?);
                }
                Labels::Ints(v)
            } else {
                let mut v = Vec::new();
                for _ in 0..n {
                    v.push(r.string()?);
                }
                Labels::Strings(v)
            }
        }
        _ => return Err(r.error("a label table is none (0), integers (1) or strings (2)")),
    };
    r.finish()?;
    Ok((g, weights_length))
}

fn dtype(r: &mut Reader<'_>) -> Result<DType, Error> {
    let code = r.u8()?;
    DType::from_code(code).ok_or_else(|| r.error("a data type is 1, 2, 3, 6, 7 or 9"))
}
