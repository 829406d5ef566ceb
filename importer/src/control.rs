//! Control flow on data: both branches of an `If`, unrolled `Scan` and `Loop`.
//!
//! The engine's graph has no control flow, so that its cost is known before it runs: a loop becomes as many copies of
//! its body as shapes, constants, declared results or `--loop-bound` say (spec IMP-9).

use lockstep_engine::ops::binary::BinaryKind as B;
use lockstep_engine::ops::compare::CompareKind as K;
use lockstep_engine::ops::require::Requirement;
use lockstep_engine::ops::unary::UnaryKind as U;
use lockstep_engine::{DType, Data, Dim};

use crate::build::Val;
use crate::declared::Declared;
use crate::error::{Lowered, Refusal, refuse};
use crate::proto::{GraphProto, NodeProto};
use crate::read::Attrs;
use crate::slot::Slot;
use crate::walk::{MAX_DEPTH, Opsets, Scope, Walk};

/// Copies of one body.
const MAX_ITERATIONS: u64 = 4096;

/// A node with a body, and where it stands.
pub(crate) struct Site<'n, 's> {
    pub(crate) node: &'s NodeProto,
    pub(crate) inputs: &'n [Option<Slot>],
    pub(crate) declared: &'n [Declared],
    pub(crate) name: &'n str,
    pub(crate) opsets: &'n Opsets,
    pub(crate) depth: usize,
}

fn tensor(slot: &Slot) -> Lowered<Val> {
    match slot {
        Slot::Tensor(v) => Ok(*v),
        Slot::Poisoned => Err(Refusal::silent()),
        Slot::Refused(r) => Err((**r).clone()),
        _ => refuse!("a value that is no tensor passes through control flow on data"),
    }
}

fn operand(site: &Site<'_, '_>, i: usize) -> Lowered<Option<Val>> {
    site.inputs.get(i).and_then(Option::as_ref).map(tensor).transpose()
}

fn names(g: &GraphProto) -> (Vec<String>, Vec<String>) {
    let name = |v: &crate::proto::ValueInfoProto| v.name.clone().unwrap_or_default();
    (g.input.iter().map(name).collect(), g.output.iter().map(name).collect())
}

impl<'a> Walk<'a> {
    /// A graph of a node in place of the node, its inputs bound.
    pub(crate) fn body<'s>(
        &mut self,
        g: &'s GraphProto,
        values: Vec<Slot>,
        prefix: &str,
        site: &Site<'_, 's>,
        scopes: &mut Vec<Scope<'s>>,
    ) -> Lowered<Vec<Slot>> {
        if site.depth >= MAX_DEPTH {
            return refuse!("branches nest deeper than {MAX_DEPTH}");
        }
        let (inputs, outputs) = names(g);
        if inputs.len() != values.len() {
            return refuse!("a body with {} inputs, {} come", inputs.len(), values.len());
        }
        let mut scope = Scope::of(g, &self.symbols);
        inputs.iter().zip(values).for_each(|(n, v)| scope.bind(n, v));
        scopes.push(scope);
        self.nodes(&g.node, &outputs, scopes, site.opsets, prefix, site.depth + 1);
        let out = outputs.iter().map(|o| self.get(scopes, o)).collect();
        scopes.pop();
        self.b.set_node_name(site.name);
        out
    }

    /// An `If`: the branch of a constant condition takes its place; else both are computed and the results chosen.
    pub(crate) fn branch<'s>(&mut self, site: &Site<'_, 's>, scopes: &mut Vec<Scope<'s>>) -> Lowered<Vec<Slot>> {
        let Some(condition) = operand(site, 0)? else { return refuse!("no condition") };
        let attrs = Attrs::new(&site.node.attribute);
        let graph = |name: &str| match attrs.graph(name) {
            Ok(Some(g)) => Ok(g),
            Ok(None) => refuse!("the branch is missing"),
            Err(r) => Err(r),
        };
        let graphs = [graph("else_branch")?, graph("then_branch")?];
        if let Some(t) = self.b.as_constant(condition) {
            let Data::Bool(v) = &t.data else { return refuse!("a condition of {}", t.dtype()) };
            let [taken] = v.as_slice() else { return refuse!("a condition of {} elements", v.len()) };
            return self.body(graphs[usize::from(*taken)], Vec::new(), &format!("{}/", site.name), site, scopes);
        }
        let condition = self.b.reshape(condition, &[])?;
        let otherwise = self.body(graphs[0], Vec::new(), &format!("{}/else/", site.name), site, scopes)?;
        let then = self.body(graphs[1], Vec::new(), &format!("{}/then/", site.name), site, scopes)?;
        if then.len() != otherwise.len() {
            return refuse!("branches with {} and {} results", then.len(), otherwise.len());
        }
        let mut out = Vec::with_capacity(then.len());
        for (a, b) in then.iter().zip(&otherwise) {
            let (a, b) = (tensor(a)?, tensor(b)?);
            out.push(Slot::Tensor(self.choose(condition, a, b)?));
        }
        Ok(out)
    }

    /// One of two results, which have to have one shape.
    fn choose(&mut self, condition: Val, a: Val, b: Val) -> Lowered<Val> {
        if self.b.ty(a) != self.b.ty(b) {
            return refuse!("what is chosen by data has different shapes or types: the shape would depend on data");
        }
        self.b.select(condition, a, b)
    }

    /// A `Scan` over axes of known length.
    pub(crate) fn scan<'s>(
        &mut self,
        version: i64,
        site: &Site<'_, 's>,
        scopes: &mut Vec<Scope<'s>>,
    ) -> Lowered<Vec<Slot>> {
        let attrs = Attrs::new(&site.node.attribute);
        let Some(body) = attrs.graph("body")? else { return refuse!("no body") };
        // Operator set 8 has lengths first, and a batch in front of everything.
        let lengths = usize::from(version < 9);
        if lengths == 1 && operand(site, 0)?.is_some() {
            return refuse!("lengths of sequences are not supported");
        }
        let values = (lengths..site.inputs.len())
            .map(|i| operand(site, i)?.ok_or_else(|| Refusal::new("an operand is missing")))
            .collect::<Lowered<Vec<Val>>>()?;
        let scanned = usize::try_from(attrs.int("num_scan_inputs", 0)?).unwrap_or(0);
        let (Some(states), true) = (values.len().checked_sub(scanned), scanned > 0) else {
            return refuse!("{scanned} of {} operands are scanned", values.len());
        };
        let Some(outputs) = body.output.len().checked_sub(states) else { return refuse!("a body without its states") };
        let list = |name: &str, n: usize| -> Lowered<Vec<i64>> {
            let v = attrs.ints(name)?.map_or_else(|| vec![0; n], <[i64]>::to_vec);
            if v.len() == n { Ok(v) } else { refuse!("{name} has {} values, {n} are expected", v.len()) }
        };
        let backward_in = list(if version < 9 { "directions" } else { "scan_input_directions" }, scanned)?;
        let (axes_in, axes_out, backward_out) = match version < 9 {
            true => (vec![0; scanned], vec![0; outputs], vec![0; outputs]),
            false => {
                let a = list("scan_input_axes", scanned)?;
                (a, list("scan_output_axes", outputs)?, list("scan_output_directions", outputs)?)
            }
        };
        if let Some(a) = attrs.unknown() {
            return refuse!("attribute '{a}' is not known for Scan of operator set {version}");
        }
        let how = Scanning { body, states, axes_in, backward_in, axes_out, backward_out };
        if lengths == 0 {
            let out = self.scan_one(&how, values, &format!("{}/", site.name), site, scopes)?;
            return Ok(out.into_iter().map(Slot::Tensor).collect());
        }
        let batch = match self.b.shape(values[0]).first() {
            Some(Dim::Known(n)) if (1..=MAX_ITERATIONS).contains(n) => *n,
            _ => return refuse!("a Scan of operator set 8 over a batch that is not known"),
        };
        let mut each: Vec<Vec<Val>> = vec![Vec::new(); body.output.len()];
        for sample in 0..batch {
            let one = values.iter().map(|v| self.at(*v, 0, sample)).collect::<Lowered<Vec<Val>>>()?;
            let prefix = format!("{}/{sample}/", site.name);
            for (all, v) in each.iter_mut().zip(self.scan_one(&how, one, &prefix, site, scopes)?) {
                all.push(v);
            }
        }
        each.into_iter().map(|all| Ok(Slot::Tensor(self.stack(&all, 0)?))).collect()
    }

    fn scan_one<'s>(
        &mut self,
        how: &Scanning<'s>,
        mut values: Vec<Val>,
        prefix: &str,
        site: &Site<'_, 's>,
        scopes: &mut Vec<Scope<'s>>,
    ) -> Lowered<Vec<Val>> {
        let scanned = values.split_off(how.states);
        let mut axes = Vec::with_capacity(scanned.len());
        let mut steps = None;
        for (v, a) in scanned.iter().zip(&how.axes_in) {
            let axis = self.b.axis(*a, self.b.rank(*v))?;
            let Some(n) = self.b.shape(*v)[axis].as_known() else {
                return Err(Refusal::new("a Scan over a symbolic dimension: the number of steps has to be known")
                    .advice("export with that dimension fixed"));
            };
            if steps.replace(n).is_some_and(|m| m != n) {
                return refuse!("scanned operands of different lengths");
            }
            axes.push(axis);
        }
        let steps = steps.unwrap_or(0);
        if !(1..=MAX_ITERATIONS).contains(&steps) {
            return refuse!("a Scan of {steps} steps, 1 to {MAX_ITERATIONS} are supported");
        }
        let mut results: Vec<Vec<Val>> = vec![Vec::new(); how.axes_out.len()];
        for t in 0..steps {
            let mut bound: Vec<Slot> = values.iter().copied().map(Slot::Tensor).collect();
            for (i, v) in scanned.iter().enumerate() {
                let at = if how.backward_in[i] != 0 { steps - 1 - t } else { t };
                bound.push(Slot::Tensor(self.at(*v, axes[i], at)?));
            }
            let out = self.body(how.body, bound, &format!("{prefix}{t}/"), site, scopes)?;
            let out = out.iter().map(tensor).collect::<Lowered<Vec<Val>>>()?;
            values = out[..how.states].to_vec();
            for (all, v) in results.iter_mut().zip(&out[how.states..]) {
                all.push(*v);
            }
        }
        for (i, mut all) in results.into_iter().enumerate() {
            if how.backward_out[i] != 0 {
                all.reverse();
            }
            let rank = self.b.rank(all[0]) + 1;
            let axis = self.b.axis(how.axes_out[i], rank)?;
            values.push(self.stack(&all, axis)?);
        }
        Ok(values)
    }

    /// Element `i` of an axis, which goes.
    fn at(&mut self, v: Val, axis: usize, i: u64) -> Lowered<Val> {
        let part = self.b.slice_axis(v, axis, i, 1, Dim::Known(1))?;
        let mut shape = self.b.shape(part);
        shape.remove(axis);
        self.b.reshape(part, &shape)
    }

    /// Tensors of one shape side by side on a new axis.
    fn stack(&mut self, all: &[Val], axis: usize) -> Lowered<Val> {
        let apart = all.iter().map(|v| self.b.unsqueeze(*v, &[axis])).collect::<Lowered<Vec<Val>>>()?;
        self.b.concat(&apart, axis)
    }

    /// A `Loop`, unrolled.
    ///
    /// Where it gives scan outputs, its number of iterations is that of their declared length, and required; so is
    /// a constant number with a condition that stays true. Else up to `--loop-bound` iterations run, each chosen by
    /// whether the loop is still alive, and that it has ended is required.
    pub(crate) fn repeat<'s>(&mut self, site: &Site<'_, 's>, scopes: &mut Vec<Scope<'s>>) -> Lowered<Vec<Slot>> {
        let attrs = Attrs::new(&site.node.attribute);
        let Some(body) = attrs.graph("body")? else { return refuse!("no body") };
        let (trips, condition) = (operand(site, 0)?, operand(site, 1)?);
        let states = site.inputs.len().saturating_sub(2);
        let Some(scans) = body.output.len().checked_sub(1 + states) else {
            return refuse!("a body with {} outputs for {states} states", body.output.len());
        };
        let initial = site.inputs.iter().skip(2).map(|s| s.clone().unwrap_or(Slot::Poisoned)).collect::<Vec<_>>();
        let scalar = |w: &mut Self, v: Option<Val>| v.map(|v| w.b.reshape(v, &[])).transpose();
        let (trips, condition) = (scalar(self, trips)?, scalar(self, condition)?);
        let constant = trips.and_then(|v| self.b.elems(v)).and_then(|e| e.first()?.as_int());
        let declared =
            (states..states + scans).find_map(|k| site.declared.get(k)?.as_ref()?.first()?.clone()?.as_known());
        let mut looping = Looping { body, states, initial, trips, condition };
        let bound = self.loop_bound;
        let result = match (constant, declared) {
            // A condition that turns out to be constant needs no bound.
            (Some(n), _) if looping.condition.is_none_or(|c| self.b.as_constant(c).is_some()) => {
                let n = u64::try_from(n).unwrap_or(0);
                match self.exactly(&looping, n, true, site, scopes)? {
                    Some(out) => Some(out),
                    None if scans == 0 => {
                        let most = bound.map_or(n, |b| b.min(n));
                        self.at_most(&mut looping, most, site, scopes)?
                    }
                    None => None,
                }
            }
            (_, Some(n)) if scans > 0 => self.exactly(&looping, n, false, site, scopes)?,
            (n, _) if scans == 0 => match (bound, n.and_then(|n| u64::try_from(n).ok())) {
                (None, None) => None,
                (b, n) => self.at_most(&mut looping, b.unwrap_or(u64::MAX).min(n.unwrap_or(u64::MAX)), site, scopes)?,
            },
            _ => None,
        };
        result.ok_or_else(|| {
            Refusal::new("the number of iterations depends on data").advice(if scans == 0 {
                "give --loop-bound N: N iterations are priced, and a call that needs more fails"
            } else {
                "declare the length of the loop's scan outputs"
            })
        })
    }

    /// Exactly `n` iterations, required of the call. `None` where `certain` is asked and it does not follow from constants.
    fn exactly<'s>(
        &mut self,
        l: &Looping<'s>,
        n: u64,
        certain: bool,
        site: &Site<'_, 's>,
        scopes: &mut Vec<Scope<'s>>,
    ) -> Lowered<Option<Vec<Slot>>> {
        if n > MAX_ITERATIONS {
            return refuse!("a Loop of {n} iterations, up to {MAX_ITERATIONS} are supported");
        }
        let problems = self.problems.len();
        let yes = self.b.bool_scalar(true);
        let (mut states, mut alive) = (l.initial.clone(), l.condition.unwrap_or(yes));
        let mut results: Vec<Vec<Val>> = vec![Vec::new(); l.body.output.len() - 1 - l.states];
        let mut conditions = Vec::new();
        let mut done = 0;
        while done < n {
            match self.b.as_constant(alive).map(|t| t.data == Data::Bool(vec![true])) {
                Some(true) => {}
                Some(false) if certain => break,
                None if certain => {
                    // What the tried iterations found is found again by those that are kept.
                    self.problems.truncate(problems);
                    return Ok(None);
                }
                _ => conditions.push(alive),
            }
            let (next, out, scanned) = self.iteration(l, done, states, site, scopes)?;
            (alive, states) = (next, out);
            for (all, v) in results.iter_mut().zip(scanned) {
                all.push(v);
            }
            done += 1;
        }
        // It ends here: by its count, or by its condition.
        if !certain {
            let over = self.b.unary(U::Not, alive)?;
            let ended = match l.trips {
                Some(trips) => {
                    let trips = self.b.cast(trips, DType::I64)?;
                    let count = self.b.scalar_of(DType::I64, n as i64);
                    let (equal, enough) =
                        (self.b.compare(K::Equal, trips, count)?, self.b.compare(K::GreaterOrEqual, trips, count)?);
                    let by_condition = self.b.binary(B::And, enough, over)?;
                    self.b.binary(B::Or, equal, by_condition)?
                }
                None => over,
            };
            conditions.push(ended);
        }
        if results.iter().any(Vec::is_empty) {
            return refuse!("a Loop without iterations, whose scan outputs have no known shape");
        }
        let mut out = Vec::with_capacity(states.len() + results.len());
        for s in states {
            out.push(if conditions.is_empty() {
                s
            } else {
                let v = tensor(&s)?;
                Slot::Tensor(self.b.require(v, &conditions, Requirement::TripCount)?)
            });
        }
        for all in results {
            let v = self.stack(&all, 0)?;
            out.push(Slot::Tensor(match conditions.is_empty() {
                true => v,
                false => self.b.require(v, &conditions, Requirement::TripCount)?,
            }));
        }
        Ok(Some(out))
    }

    /// Up to `most` iterations; that the loop has ended then is required of the call.
    fn at_most<'s>(
        &mut self,
        l: &mut Looping<'s>,
        most: u64,
        site: &Site<'_, 's>,
        scopes: &mut Vec<Scope<'s>>,
    ) -> Lowered<Option<Vec<Slot>>> {
        if most > MAX_ITERATIONS {
            return refuse!("a Loop of up to {most} iterations, {MAX_ITERATIONS} are supported");
        }
        let mut states = std::mem::take(&mut l.initial);
        let yes = self.b.bool_scalar(true);
        let mut condition = l.condition.unwrap_or(yes);
        for i in 0..=most {
            // Alive before iteration i.
            if let Some(trips) = l.trips {
                let trips = self.b.cast(trips, DType::I64)?;
                let i = self.b.scalar_of(DType::I64, i as i64);
                let left = self.b.compare(K::Greater, trips, i)?;
                condition = self.b.binary(B::And, condition, left)?;
            }
            if self.b.as_constant(condition).is_some_and(|t| t.data == Data::Bool(vec![false])) {
                break;
            }
            if i == most {
                let ended = self.b.unary(U::Not, condition)?;
                for s in &mut states {
                    let v = tensor(s)?;
                    *s = Slot::Tensor(self.b.require(v, &[ended], Requirement::TripCount)?);
                }
                break;
            }
            let (next, out, _) = self.iteration(l, i, states.clone(), site, scopes)?;
            for (old, new) in states.iter_mut().zip(out) {
                let (a, b) = (tensor(&new)?, tensor(old)?);
                *old = Slot::Tensor(self.choose(condition, a, b)?);
            }
            condition = self.b.binary(B::And, condition, next)?;
        }
        Ok(Some(states))
    }

    /// One copy of the body: whether to go on, the states, the scan outputs.
    fn iteration<'s>(
        &mut self,
        l: &Looping<'s>,
        i: u64,
        states: Vec<Slot>,
        site: &Site<'_, 's>,
        scopes: &mut Vec<Scope<'s>>,
    ) -> Lowered<(Val, Vec<Slot>, Vec<Val>)> {
        let mut bound =
            vec![Slot::Tensor(self.b.scalar_of(DType::I64, i as i64)), Slot::Tensor(self.b.bool_scalar(true))];
        bound.extend(states);
        let mut out = self.body(l.body, bound, &format!("{}/{i}/", site.name), site, scopes)?;
        let scanned = out.split_off(1 + l.states);
        let states = out.split_off(1);
        let next = tensor(&out[0])?;
        let next = self.b.reshape(next, &[])?;
        Ok((next, states, scanned.iter().map(tensor).collect::<Lowered<_>>()?))
    }
}

struct Scanning<'s> {
    body: &'s GraphProto,
    states: usize,
    axes_in: Vec<i64>,
    backward_in: Vec<i64>,
    axes_out: Vec<i64>,
    backward_out: Vec<i64>,
}

struct Looping<'s> {
    body: &'s GraphProto,
    states: usize,
    initial: Vec<Slot>,
    trips: Option<Val>,
    condition: Option<Val>,
}
