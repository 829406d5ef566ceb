//! Over the nodes, in order: operands by name, lowering, problems collected, functions inlined.

use std::collections::{HashMap, HashSet};

use crate::build::Builder;
use crate::control::Site;
use crate::declared::{Declared, Shapes};
use crate::error::{Lowered, Problem, Refusal, refuse};
use crate::lower::{self, Call};
use crate::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetId, TensorProto};
use crate::read::{Attrs, Externals};
use crate::slot::Slot;

/// Functions within functions, branches within branches.
pub(crate) const MAX_DEPTH: usize = 16;
/// Nodes of the source, after inlining.
const MAX_NODES: usize = 200_000;

/// Versions of the operator sets, by domain.
pub(crate) type Opsets = HashMap<String, i64>;

/// The versions that a list states; `ai.onnx` is the empty domain.
pub(crate) fn opsets(list: &[OperatorSetId]) -> Opsets {
    list.iter().map(|o| (plain(o.domain.as_deref()).to_owned(), o.version.unwrap_or(1))).collect()
}

fn plain(domain: Option<&str>) -> &str {
    match domain {
        None | Some("ai.onnx") => "",
        Some(d) => d,
    }
}

/// The names of one graph: what nodes made, and initialisers not yet read.
#[derive(Default)]
pub(crate) struct Scope<'a> {
    slots: HashMap<String, Slot>,
    initialisers: HashMap<&'a str, &'a TensorProto>,
    declared: Shapes,
}

impl<'a> Scope<'a> {
    /// The names of a graph's initialisers, and the shapes that it declares over these symbols.
    pub(crate) fn of(g: &'a GraphProto, symbols: &[String]) -> Self {
        let initialisers = g.initializer.iter().filter_map(|t| Some((t.name.as_deref()?, t))).collect();
        Self { slots: HashMap::new(), initialisers, declared: Shapes::of(g, symbols) }
    }

    /// The node's outputs are declared as those of the graph or function that takes its place.
    fn inherit(&mut self, names: &[String], declared: &[Declared]) {
        for (n, d) in names.iter().zip(declared) {
            if let Some(d) = d {
                self.declared.add(n, d.clone());
            }
        }
    }

    /// Binds a name.
    pub(crate) fn bind(&mut self, name: &str, slot: Slot) {
        self.slots.insert(name.to_owned(), slot);
    }
}

/// The walk over one file.
pub(crate) struct Walk<'a> {
    pub(crate) b: Builder,
    pub(crate) problems: Vec<Problem>,
    externals: &'a Externals<'a>,
    functions: HashMap<(String, String, String), &'a FunctionProto>,
    pub(crate) symbols: Vec<String>,
    /// Iterations of a loop whose number depends on data.
    pub(crate) loop_bound: Option<u64>,
    visited: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        b: Builder,
        functions: &'a [FunctionProto],
        externals: &'a Externals<'a>,
        symbols: Vec<String>,
    ) -> Self {
        let key = |f: &FunctionProto| {
            (
                plain(f.domain.as_deref()).to_owned(),
                f.name.clone().unwrap_or_default(),
                f.overload.clone().unwrap_or_default(),
            )
        };
        let functions = functions.iter().map(|f| (key(f), f)).collect();
        Self { b, problems: Vec::new(), externals, functions, symbols, loop_bound: None, visited: 0 }
    }

    /// What a name stands for, in the innermost scope that has it.
    pub(crate) fn get(&mut self, scopes: &mut [Scope<'_>], name: &str) -> Lowered<Slot> {
        for s in scopes.iter_mut().rev() {
            if let Some(slot) = s.slots.get(name) {
                return Ok(slot.clone());
            }
            if let Some(t) = s.initialisers.get(name) {
                let slot = crate::read::tensor(t, self.externals, &mut self.b).map_err(|r| r.tensor(name))?;
                s.slots.insert(name.to_owned(), slot.clone());
                return Ok(slot);
            }
        }
        Err(Refusal::new("nothing before defines it").tensor(name))
    }

    /// Lowers the nodes that the outputs need.
    pub(crate) fn nodes<'s>(
        &mut self,
        nodes: &'s [NodeProto],
        outputs: &[String],
        scopes: &mut Vec<Scope<'s>>,
        opsets: &Opsets,
        prefix: &str,
        depth: usize,
    ) {
        let needed = needed(nodes, outputs);
        if let Some(scope) = scopes.last_mut() {
            scope.declared.spread(nodes);
        }
        for (i, node) in nodes.iter().enumerate() {
            if !needed[i] {
                continue;
            }
            let op = node.op_type.clone().unwrap_or_default();
            let own = match node.name.as_deref() {
                Some(n) if !n.is_empty() => n.to_owned(),
                _ => format!("{op}_{i}"),
            };
            let name = format!("{prefix}{own}");
            self.visited += 1;
            let result = if self.visited > MAX_NODES {
                refuse!("the file has more than {MAX_NODES} nodes")
            } else {
                self.node(node, &name, scopes, opsets, depth)
            };
            let slots = match result {
                Ok(slots) => slots,
                Err(r) => {
                    if !r.silent {
                        self.problems.push(Problem {
                            node: name,
                            op,
                            domain: plain(node.domain.as_deref()).to_owned(),
                            tensor: r.tensor,
                            reason: r.reason,
                            advice: r.advice,
                        });
                    }
                    vec![Slot::Poisoned; node.output.len()]
                }
            };
            let Some(scope) = scopes.last_mut() else { return };
            for (k, o) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
                let slot = slots.get(k).cloned().unwrap_or_else(|| {
                    Slot::refused(format!("output {k} of {} is not supported", node.op_type.as_deref().unwrap_or("")))
                });
                scope.bind(o, slot);
            }
            if self.visited > MAX_NODES {
                return;
            }
        }
    }

    fn node<'s>(
        &mut self,
        node: &'s NodeProto,
        name: &str,
        scopes: &mut Vec<Scope<'s>>,
        opsets: &Opsets,
        depth: usize,
    ) -> Lowered<Vec<Slot>> {
        let domain = plain(node.domain.as_deref());
        let op = node.op_type.as_deref().unwrap_or_default();
        let key = (domain.to_owned(), op.to_owned(), node.overload.clone().unwrap_or_default());
        let function = self.functions.get(&key).copied();
        let lowering = lower::find(domain, op);
        let control = domain.is_empty() && matches!(op, "If" | "Loop" | "Scan");
        if function.is_none() && lowering.is_none() && !control {
            return Err(unknown(domain, op));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for n in &node.input {
            inputs.push(if n.is_empty() { None } else { Some(self.get(scopes, n)?) });
        }
        if inputs.iter().flatten().any(|s| matches!(s, Slot::Poisoned)) {
            return Err(Refusal::silent());
        }
        let declared: Vec<Declared> =
            node.output.iter().map(|o| scopes.last().and_then(|s| s.declared.get(o))).collect();
        if let Some(f) = function {
            return self.function(f, node, inputs, &declared, name, depth);
        }
        let Some(version) = opsets.get(domain).copied() else {
            return refuse!("the file states no version of the operator set '{domain}'");
        };
        let latest = lower::latest(domain);
        if version > latest {
            return Err(Refusal::new(format!("operator set {version}; up to {latest} is supported"))
                .advice(format!("export with operator set {latest} or older")));
        }
        self.b.set_node_name(name);
        let site = Site { node, inputs: &inputs, declared: &declared, name, opsets, depth };
        match op {
            "If" if control => return self.branch(&site, scopes),
            "Loop" if control => return self.repeat(&site, scopes),
            _ => {}
        }
        let Some(lowering) = lowering else { return refuse!("the operator is not supported") };
        let outputs: Vec<bool> = node.output.iter().map(|o| !o.is_empty()).collect();
        let mut call = Call {
            b: &mut self.b,
            op,
            version,
            attrs: Attrs::new(&node.attribute),
            inputs: inputs.clone(),
            input_names: &node.input,
            outputs,
            declared: declared.clone(),
            externals: self.externals,
        };
        let out = lowering(&mut call).and_then(|out| match call.attrs.unknown() {
            Some(a) => refuse!("attribute '{a}' is not known for {op} of operator set {version}"),
            None => Ok(out),
        });
        match out {
            // A Scan whose steps depend on each other.
            Err(_) if control => self.scan(version, &site, scopes),
            out => out,
        }
    }

    /// The body of a function of the file takes the place of the node.
    fn function(
        &mut self,
        f: &FunctionProto,
        node: &NodeProto,
        inputs: Vec<Option<Slot>>,
        declared: &[Declared],
        name: &str,
        depth: usize,
    ) -> Lowered<Vec<Slot>> {
        if depth >= MAX_DEPTH {
            return refuse!("functions nest deeper than {MAX_DEPTH}");
        }
        let body: Vec<NodeProto> = f.node.iter().map(|n| bind_attributes(n, node, f)).collect();
        let mut scope = Scope::default();
        scope.inherit(&f.output, declared);
        for (n, slot) in f.input.iter().zip(inputs) {
            if let Some(slot) = slot {
                scope.bind(n, slot);
            }
        }
        let mut scopes = vec![scope];
        self.nodes(&body, &f.output, &mut scopes, &opsets(&f.opset_import), &format!("{name}/"), depth + 1);
        f.output.iter().map(|o| self.get(&mut scopes, o)).collect()
    }
}

/// Why an operator without a lowering is refused.
fn unknown(domain: &str, op: &str) -> Refusal {
    if let Some(r) = lower::refused(domain, op) {
        let reason = Refusal::new(format!("the operator is not supported: {}", r.reason));
        return if r.advice.is_empty() { reason } else { reason.advice(r.advice) };
    }
    if domain == "com.microsoft" {
        return Refusal::new("the operator is onnxruntime's own: only its code says what it means").advice(
            "save the model before onnxruntime optimises or quantises it, with the operators of ai.onnx and ai.onnx.ml",
        );
    }
    if lower::DOMAINS.contains(&domain) {
        return Refusal::new("ONNX has no operator of this name").advice("docs/operators.md lists all");
    }
    Refusal::new(format!("the domain '{domain}' is not ONNX's: only a runtime knows what its operators mean"))
        .advice("export with the operators of ai.onnx and ai.onnx.ml, or with the function's body in the file")
}

/// A node of a function's body with the caller's attributes (or the function's defaults) put in.
fn bind_attributes(n: &NodeProto, caller: &NodeProto, f: &FunctionProto) -> NodeProto {
    let mut out = n.clone();
    out.attribute = n
        .attribute
        .iter()
        .filter_map(|a| {
            let Some(from) = a.ref_attr_name.as_deref().filter(|r| !r.is_empty()) else { return Some(a.clone()) };
            let named = |x: &&AttributeProto| x.name.as_deref() == Some(from);
            let given = caller.attribute.iter().find(named).or_else(|| f.attribute_proto.iter().find(named))?;
            Some(AttributeProto { name: a.name.clone(), ref_attr_name: None, ..given.clone() })
        })
        .collect();
    out
}

/// Which nodes the outputs need.
fn needed(nodes: &[NodeProto], outputs: &[String]) -> Vec<bool> {
    let mut wanted: HashSet<&str> = outputs.iter().map(String::as_str).collect();
    let mut needed = vec![false; nodes.len()];
    for (i, n) in nodes.iter().enumerate().rev() {
        if n.output.iter().any(|o| !o.is_empty() && wanted.contains(o.as_str())) {
            needed[i] = true;
            wanted.extend(n.input.iter().map(String::as_str));
            for g in n.attribute.iter().filter_map(|a| a.g.as_ref()) {
                add_free(g, &mut wanted, 0);
            }
        }
    }
    needed
}

/// Names that a subgraph may take from outside.
fn add_free<'a>(g: &'a GraphProto, wanted: &mut HashSet<&'a str>, depth: usize) {
    for n in &g.node {
        wanted.extend(n.input.iter().map(String::as_str));
        if depth < MAX_DEPTH {
            n.attribute.iter().filter_map(|a| a.g.as_ref()).for_each(|g| add_free(g, wanted, depth + 1));
        }
    }
    wanted.extend(g.output.iter().filter_map(|o| o.name.as_deref()));
}
