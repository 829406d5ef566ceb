//! A Scan whose steps do not depend on each other: its state passes unchanged, so that all steps are one
//! computation with a leading axis. Converters of nearest neighbours and Gaussian processes write distances so.

use std::collections::HashMap;

use lockstep_engine::Dim;
use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::reduce::ReduceKind as R;
use lockstep_engine::ops::unary::UnaryKind as U;

use crate::build::Val;
use crate::error::{Lowered, Refusal, refuse};
use crate::lower::{Call, Outputs};
use crate::proto::{GraphProto, NodeProto};
use crate::read::Attrs;
use crate::slot::Slot;

/// A value of the body: the same at every step, or one for each step along a leading axis.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Item {
    val: Val,
    mapped: bool,
}

const ONLY: &str = "only a Scan that passes its state on unchanged and computes element by element and by reductions";

/// Whether a body passes its `states` first operands on as they are.
pub(super) fn keeps_state(body: &GraphProto, states: usize) -> bool {
    let mut origin: HashMap<&str, &str> = HashMap::new();
    for n in body.node.iter().filter(|n| n.op_type.as_deref() == Some("Identity")) {
        if let ([from], [to]) = (n.input.as_slice(), n.output.as_slice()) {
            let from = origin.get(from.as_str()).copied().unwrap_or(from);
            origin.insert(to, from);
        }
    }
    (0..states).all(|i| match (body.input.get(i), body.output.get(i)) {
        (Some(a), Some(b)) => {
            let (a, b) = (a.name.as_deref().unwrap_or_default(), b.name.as_deref().unwrap_or_default());
            a == b || origin.get(b) == Some(&a)
        }
        _ => false,
    })
}

pub(super) fn scan(c: &mut Call<'_>) -> Outputs {
    if c.version < 9 {
        return refuse!("Scan of operator set {}, 9 or newer is expected", c.version);
    }
    let Some(body) = c.attrs.graph("body")? else { return refuse!("a Scan without a body") };
    let scanned = usize::try_from(c.attrs.int("num_scan_inputs", 0)?).unwrap_or(0);
    for name in ["scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"] {
        if c.attrs.ints(name)?.unwrap_or_default().iter().any(|v| *v != 0) {
            return refuse!("{name} other than 0");
        }
    }
    let Some(states) =
        c.inputs.len().checked_sub(scanned).filter(|_| scanned > 0 && body.input.len() == c.inputs.len())
    else {
        return refuse!("{} operands, {scanned} of them scanned, for a body of {}", c.inputs.len(), body.input.len());
    };
    if !keeps_state(body, states) {
        return refuse!("{ONLY}");
    }
    let mut steps: Option<Dim> = None;
    let mut items: HashMap<&str, Item> = HashMap::new();
    for (i, input) in body.input.iter().enumerate() {
        let val = c.x(i)?;
        let mapped = i >= states;
        if mapped {
            let Some(n) = c.b.shape(val).first().cloned() else { return refuse!("operand {i} is a scalar") };
            if *steps.get_or_insert_with(|| n.clone()) != n {
                return refuse!("scanned operands of different lengths");
            }
        }
        items.insert(input.name.as_deref().unwrap_or_default(), Item { val, mapped });
    }
    for t in &body.initializer {
        let Slot::Tensor(val) = c.tensor(t)? else { return refuse!("a constant of the body is no tensor") };
        items.insert(t.name.as_deref().unwrap_or_default(), Item { val, mapped: false });
    }
    for n in &body.node {
        let out = step(c, n, &items).map_err(|r| within(r, n))?;
        items.insert(n.output.first().map_or("", String::as_str), out);
    }
    let results: Option<Vec<Item>> =
        body.output.iter().map(|o| items.get(o.name.as_deref().unwrap_or_default()).copied()).collect();
    let Some(results) = results else { return refuse!("an output of the body is made by nothing") };
    if results.iter().skip(states).any(|i| !i.mapped) {
        return refuse!("an output of the body is the same at every step");
    }
    Ok(results.into_iter().map(|i| Slot::Tensor(i.val)).collect())
}

fn within(r: Refusal, n: &NodeProto) -> Refusal {
    Refusal { reason: format!("in its body, {}: {}", n.op_type.as_deref().unwrap_or_default(), r.reason), ..r }
}

/// One node of the body for all steps.
fn step(c: &mut Call<'_>, n: &NodeProto, items: &HashMap<&str, Item>) -> Lowered<Item> {
    let get = |i: usize| -> Lowered<Item> {
        match n.input.get(i).and_then(|name| items.get(name.as_str())) {
            Some(item) => Ok(*item),
            None => refuse!("operand {i} comes from outside the body: {ONLY}"),
        }
    };
    let attrs = Attrs::new(&n.attribute);
    let unary = |c: &mut Call<'_>, kind| -> Lowered<Item> {
        let x = get(0)?;
        Ok(Item { val: c.b.unary(kind, x.val)?, mapped: x.mapped })
    };
    let op = n.op_type.as_deref().unwrap_or_default();
    let out = match op {
        "Identity" => get(0),
        "Add" => binary(c, B::Add, get(0)?, get(1)?),
        "Sub" => binary(c, B::Sub, get(0)?, get(1)?),
        "Mul" => binary(c, B::Mul, get(0)?, get(1)?),
        "Div" => binary(c, B::Div, get(0)?, get(1)?),
        "Pow" => binary(c, B::Pow, get(0)?, get(1)?),
        "Abs" => unary(c, U::Abs),
        "Neg" => unary(c, U::Neg),
        "Sqrt" => unary(c, U::Sqrt),
        "Exp" => unary(c, U::Exp),
        "ReduceSum" => reduce(c, R::Sum, get(0)?, &attrs, get(1).ok()),
        "ReduceSumSquare" => reduce(c, R::SumSquare, get(0)?, &attrs, get(1).ok()),
        "ReduceMax" => reduce(c, R::Max, get(0)?, &attrs, get(1).ok()),
        "ReduceL1" => reduce(c, R::L1, get(0)?, &attrs, get(1).ok()),
        "ReduceL2" => reduce(c, R::L2, get(0)?, &attrs, get(1).ok()),
        _ => refuse!("{ONLY}"),
    }?;
    match attrs.unknown() {
        Some(a) => refuse!("attribute '{a}'"),
        None => Ok(out),
    }
}

/// The operands as each step sees them broadcast from the right; the steps stay in front.
fn binary(c: &mut Call<'_>, kind: B, a: Item, b: Item) -> Lowered<Item> {
    let rank = |c: &Call<'_>, i: Item| c.b.rank(i.val) - usize::from(i.mapped);
    let wide = rank(c, a).max(rank(c, b));
    let lift = |c: &mut Call<'_>, i: Item| -> Lowered<Val> {
        if !i.mapped {
            return Ok(i.val);
        }
        let mut shape = c.b.shape(i.val);
        let missing = wide + 1 - shape.len();
        shape.splice(1..1, std::iter::repeat_n(Dim::Known(1), missing));
        c.b.reshape(i.val, &shape)
    };
    let (x, y) = (lift(c, a)?, lift(c, b)?);
    Ok(Item { val: c.b.binary(kind, x, y)?, mapped: a.mapped || b.mapped })
}

fn reduce(c: &mut Call<'_>, kind: R, x: Item, attrs: &Attrs<'_>, axes: Option<Item>) -> Lowered<Item> {
    let keep = attrs.flag("keepdims", true)?;
    let rank = c.b.rank(x.val) - usize::from(x.mapped);
    let axes = match (axes, attrs.ints("axes")?) {
        (Some(a), None) => match c.b.as_constant(a.val).as_deref().map(|t| &t.data) {
            Some(lockstep_engine::Data::I64(v)) => v.clone(),
            _ => return refuse!("axes that are not constant"),
        },
        (None, Some(v)) => v.to_vec(),
        _ => return refuse!("no axes"),
    };
    let axes: Vec<usize> = c.b.axes(&axes, rank)?.iter().map(|a| a + usize::from(x.mapped)).collect();
    Ok(Item { val: c.b.reduce(kind, x.val, &axes, keep)?, mapped: x.mapped })
}
