//! A model with its weights: identity, loading, planning of a call.

use std::sync::Arc;

use crate::cost::{Unit, Work};
use crate::dim::Bindings;
use crate::error::{ComputeError, Error};
use crate::fast::{Prepared, fuse, fuse::Group};
use crate::format::{Container, decode_graph, encode_graph, merkle};
use crate::graph::{Checked, Graph};
use crate::limits::Limits;
use crate::resident::Sum;
use crate::tensor::{DType, Tensor, TensorType};

/// The name of a model: its content (spec MOD-5).
pub type ModelId = [u8; 32];

/// A model file in memory, checked but not prepared for running.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// The weights section.
    pub weights: Vec<u8>,
    /// The card: JSON for people and tools, no part of the identity.
    pub card: Vec<u8>,
}

impl Model {
    /// Builds the weights section from tensors, one for each constant of the graph.
    pub fn build(graph: Graph, constants: &[Tensor], card: Vec<u8>, limits: &Limits) -> Result<Self, Error> {
        let checked = graph.check(limits)?;
        let mut weights = Vec::new();
        for (c, t) in graph.constants.iter().zip(constants) {
            let same = c.dtype == t.dtype() && c.shape.iter().map(|d| *d as usize).eq(t.shape.iter().copied());
            if !same {
                return Err(Error::Weights(format!("a constant is declared {c:?} and is {:?}", t.ty())));
            }
            weights.extend(t.to_le_bytes());
            weights.resize(weights.len().next_multiple_of(64), 0);
        }
        if weights.len() as u64 != checked.weights_length {
            return Err(Error::Weights(format!(
                "{} constants declared, {} given",
                graph.constants.len(),
                constants.len()
            )));
        }
        Ok(Self { graph, weights, card })
    }

    /// The file.
    pub fn encode(&self) -> Vec<u8> {
        let graph = encode_graph(&self.graph, self.weights.len() as u64);
        Container { graph: &graph, weights: &self.weights, card: &self.card }.encode()
    }

    /// Reads a file and checks the graph.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let c = Container::decode(bytes)?;
        Self::from_sections(c.graph, c.weights.to_vec(), c.card.to_vec(), limits)
    }

    /// A model from its sections, as they lie on chain.
    pub fn from_sections(graph: &[u8], weights: Vec<u8>, card: Vec<u8>, limits: &Limits) -> Result<Self, Error> {
        let (g, stated) = check_graph(graph, limits)?;
        if weights.len() as u64 != stated {
            return Err(Error::Weights(format!("the graph states {stated} bytes, {} came", weights.len())));
        }
        Ok(Self { graph: g, weights, card })
    }

    /// keccak256 of the graph section.
    pub fn graph_hash(&self) -> [u8; 32] {
        merkle::keccak(&[&encode_graph(&self.graph, self.weights.len() as u64)])
    }

    /// The model's name.
    pub fn id(&self) -> ModelId {
        merkle::model_id(crate::LS1_VERSION, &self.graph_hash(), &merkle::weights_root(&self.weights))
    }
}

/// Strictly decodes and checks a graph section without its weights; gives it and the weights length it states.
/// This is what activation on chain runs.
pub fn check_graph(bytes: &[u8], limits: &Limits) -> Result<(Graph, u64), Error> {
    if bytes.len() as u64 > limits.max_graph_bytes {
        let actual = bytes.len() as u64;
        return Err(Error::Limit { limit: "maxGraphBytes", maximum: limits.max_graph_bytes, actual });
    }
    let (graph, stated) = decode_graph(bytes)?;
    let checked = graph.check(limits)?;
    if checked.weights_length != stated {
        return Err(Error::Graph(format!("the constants take {} bytes, {stated} are stated", checked.weights_length)));
    }
    Ok((graph, stated))
}

/// A model ready to run: decoded weights, prepared kernels.
#[derive(Debug)]
pub struct LoadedModel {
    /// The graph.
    pub graph: Graph,
    /// What the checks found.
    pub checked: Checked,
    /// Identity.
    pub id: ModelId,
    /// keccak256 of the graph section.
    pub graph_hash: [u8; 32],
    /// Root over the weights.
    pub weights_root: [u8; 32],
    /// Length of the graph section.
    pub graph_length: u64,
    /// Length of the weights section.
    pub weights_length: u64,
    /// The card.
    pub card: Vec<u8>,
    /// The constants as the file has them.
    pub(crate) constants: Vec<Arc<Tensor>>,
    /// The constants that the fast path reads: the same, except under fault injection.
    pub(crate) fast_constants: Vec<Arc<Tensor>>,
    /// Prepacked operands of the fast path, one entry for each node.
    pub(crate) prepared: Vec<Prepared>,
    /// Operators that the fast path computes together.
    pub(crate) groups: Vec<Group>,
    /// Over constants and prepared operands, when they were loaded.
    pub(crate) sum: Sum,
    /// Node and bit of a kernel that is wrong on purpose.
    pub(crate) wrong_kernel: Option<(usize, usize)>,
}

/// What a call costs and needs, known before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Type of every node's output, all dimensions known.
    pub types: Vec<TensorType>,
    /// Work of every node.
    pub node_work: Vec<Work>,
    /// Their sum.
    pub work: Work,
    /// Largest sum of the bytes of live tensors (weights not counted) and of an operator's scratch.
    pub peak_memory: u64,
    /// Types of the outputs.
    pub outputs: Vec<TensorType>,
}

impl LoadedModel {
    /// Checks the weights against the graph and prepares the fast path.
    pub fn new(model: Model, limits: &Limits) -> Result<Self, Error> {
        let graph_bytes = encode_graph(&model.graph, model.weights.len() as u64);
        let graph_hash = merkle::keccak(&[&graph_bytes]);
        let weights_root = merkle::weights_root(&model.weights);
        let checked = model.graph.check(limits)?;
        let constants = read_constants(&model.graph, &checked, &model.weights)?;
        for (n, node) in model.graph.nodes.iter().enumerate() {
            let operands = constant_operands(&model.graph, n, &constants);
            node.op.definition().check_constants(&operands).map_err(|source| Error::Node {
                node: n,
                operator: node.op.name(),
                source,
            })?;
        }
        let prepared = prepare(&model.graph, &constants);
        Ok(Self {
            id: merkle::model_id(crate::LS1_VERSION, &graph_hash, &weights_root),
            graph_hash,
            weights_root,
            graph_length: graph_bytes.len() as u64,
            weights_length: model.weights.len() as u64,
            card: model.card,
            groups: fuse::find(&model.graph, &checked),
            graph: model.graph,
            checked,
            sum: Sum::of(&constants, &constants, &prepared),
            fast_constants: constants.clone(),
            constants,
            prepared,
            wrong_kernel: None,
        })
    }

    /// Decodes and loads a file.
    pub fn from_file(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        Self::new(Model::decode(bytes, limits)?, limits)
    }

    /// A copy whose *fast path only* has one bit of one constant flipped: for proving that the
    /// cross-check notices. The reference keeps the verified weights. `None` where there is no such bit.
    pub fn with_flipped_bit(&self, constant: usize, bit: usize) -> Option<Self> {
        self.with_flipped_bits(&[(constant, bit)])
    }

    /// The same for several bits, or none. The sum taken at loading stays: it tells.
    pub(crate) fn with_flipped_bits(&self, bits: &[(usize, usize)]) -> Option<Self> {
        let mut fast_constants = self.constants.clone();
        for (constant, bit) in bits {
            let t = self.constants.get(*constant)?;
            let mut bytes = t.to_le_bytes();
            *bytes.get_mut(bit / 8)? ^= 1 << (bit % 8);
            fast_constants[*constant] = Arc::new(Tensor::from_le_bytes(t.dtype(), t.shape.clone(), &bytes)?);
        }
        Some(Self {
            graph: self.graph.clone(),
            checked: self.checked.clone(),
            id: self.id,
            graph_hash: self.graph_hash,
            weights_root: self.weights_root,
            graph_length: self.graph_length,
            weights_length: self.weights_length,
            card: self.card.clone(),
            constants: self.constants.clone(),
            prepared: prepare(&self.graph, &fast_constants),
            groups: self.groups.clone(),
            fast_constants,
            sum: self.sum.clone(),
            wrong_kernel: None,
        })
    }

    /// The constants, as the file has them.
    pub fn constants(&self) -> &[Arc<Tensor>] {
        &self.constants
    }

    /// Evaluates shapes, work and memory of a call with inputs of these types.
    pub fn plan(&self, inputs: &[(DType, &[usize])], limits: &Limits) -> Result<Plan, ComputeError> {
        let bound = self.bind(inputs)?;
        let symbols = Bindings::of(&bound);
        let input_count = self.graph.inputs.len();
        let input_types: Vec<TensorType> = inputs.iter().map(|(d, s)| TensorType::known(*d, s)).collect();
        let mut plan = Plan {
            types: Vec::with_capacity(self.graph.nodes.len()),
            node_work: Vec::with_capacity(self.graph.nodes.len()),
            work: Work::default(),
            peak_memory: 0,
            outputs: Vec::new(),
        };
        let exceeded = |actual| ComputeError::Limit { limit: "maxPeakMemory", maximum: limits.max_peak_memory, actual };
        let mut live: u64 = 0;
        for t in &input_types {
            live = live.saturating_add(t.bytes().unwrap_or(u64::MAX));
        }
        plan.peak_memory = live;
        let first_node = input_count + self.graph.constants.len();
        for (n, node) in self.graph.nodes.iter().enumerate() {
            let type_of = |v: &Option<crate::graph::ValueId>| {
                let i = (*v)?.0 as usize;
                Some(match i.checked_sub(first_node) {
                    Some(node) => &plan.types[node],
                    None if i < input_count => &input_types[i],
                    None => &self.checked.types[i],
                })
            };
            let operands: Vec<Option<&TensorType>> = node.inputs.iter().map(type_of).collect();
            let definition = node.op.definition();
            let operator = node.op.name();
            let mut out = definition.infer(&operands, &symbols).map_err(|source| ComputeError::Shape {
                node: n,
                operator,
                source,
            })?;
            let work = definition.work(&operands, &out).and(Unit::Node, 1);
            let bytes = out.iter().fold(0u64, |b, t| b.saturating_add(t.bytes().unwrap_or(u64::MAX)));
            let scratch = definition.scratch(&operands, &out);
            live = live.saturating_add(bytes);
            let now = live.saturating_add(scratch);
            plan.peak_memory = plan.peak_memory.max(now);
            if now > limits.max_peak_memory {
                return Err(exceeded(now));
            }
            // Operands that nothing takes after this node are freed.
            for (k, v) in node.inputs.iter().enumerate() {
                let Some(v) = v else { continue };
                let i = v.0 as usize;
                let dies = self.checked.last_use[i] == n as u32 && !node.inputs[..k].contains(&Some(*v));
                if dies && (i < input_count || i >= first_node) {
                    live = live.saturating_sub(operands[k].and_then(TensorType::bytes).unwrap_or(0));
                }
            }
            plan.work.add(&work);
            plan.node_work.push(work);
            plan.types.extend(out.pop());
        }
        if plan.peak_memory > limits.max_peak_memory {
            return Err(exceeded(plan.peak_memory));
        }
        plan.outputs = self
            .graph
            .outputs
            .iter()
            .map(|o| {
                let i = o.value.0 as usize;
                match i.checked_sub(first_node) {
                    Some(node) => plan.types[node].clone(),
                    None if i < input_count => input_types[i].clone(),
                    None => self.checked.types[i].clone(),
                }
            })
            .collect();
        Ok(plan)
    }

    /// Checks the inputs' types against the model's and binds the symbols.
    fn bind(&self, inputs: &[(DType, &[usize])]) -> Result<Vec<Option<u64>>, ComputeError> {
        if inputs.len() != self.graph.inputs.len() {
            return Err(ComputeError::InputCount { expected: self.graph.inputs.len(), actual: inputs.len() });
        }
        let mut bound: Vec<Option<u64>> = vec![None; self.graph.symbols.len()];
        for (index, (want, (dtype, shape))) in self.graph.inputs.iter().zip(inputs).enumerate() {
            if want.dtype != *dtype {
                return Err(ComputeError::InputType { index, expected: want.dtype, actual: *dtype });
            }
            if want.shape.len() != shape.len() {
                return Err(ComputeError::InputRank { index, expected: want.shape.len(), actual: shape.len() });
            }
            for (axis, (d, n)) in want.shape.iter().zip(*shape).enumerate() {
                let actual = *n as u64;
                match (d.as_known(), d.as_symbol()) {
                    (Some(expected), _) if expected != actual => {
                        return Err(ComputeError::InputShape { index, axis, expected, actual });
                    }
                    (None, Some(s)) => match &mut bound[usize::from(s)] {
                        Some(b) if *b != actual => {
                            let symbol = self.graph.symbols[usize::from(s)].clone();
                            return Err(ComputeError::DimensionConflict { symbol, bound: *b, actual });
                        }
                        slot => *slot = Some(actual),
                    },
                    _ => {}
                }
            }
        }
        Ok(bound)
    }
}

fn read_constants(graph: &Graph, checked: &Checked, weights: &[u8]) -> Result<Vec<Arc<Tensor>>, Error> {
    let mut out = Vec::with_capacity(graph.constants.len());
    for (i, (c, start)) in graph.constants.iter().zip(&checked.offsets).enumerate() {
        let bytes = c.ty().bytes().unwrap_or(0);
        let padded = bytes.next_multiple_of(64);
        let part = usize::try_from(*start)
            .ok()
            .zip(usize::try_from(start + padded).ok())
            .and_then(|(a, b)| weights.get(a..b))
            .ok_or_else(|| Error::Weights(format!("constant {i} lies outside the section")))?;
        let (data, padding) = part.split_at(bytes as usize);
        if padding.iter().any(|b| *b != 0) {
            return Err(Error::Weights(format!("the padding after constant {i} is not zero")));
        }
        let shape = c.shape.iter().map(|d| *d as usize).collect();
        let t = Tensor::from_le_bytes(c.dtype, shape, data)
            .ok_or_else(|| Error::Weights(format!("constant {i} holds a bool that is neither 0 nor 1")))?;
        // Reading makes NaNs canonical: a file that holds another one would not re-encode to itself.
        if t.first_nan().is_some() && t.to_le_bytes() != data {
            return Err(Error::Weights(format!("constant {i} holds a NaN other than 0x7fc00000")));
        }
        out.push(Arc::new(t));
    }
    Ok(out)
}

fn constant_operands<'a>(graph: &Graph, node: usize, constants: &'a [Arc<Tensor>]) -> Vec<Option<&'a Tensor>> {
    graph.nodes[node].inputs.iter().map(|v| v.and_then(|v| graph.as_constant(v)).map(|c| &*constants[c])).collect()
}

fn prepare(graph: &Graph, constants: &[Arc<Tensor>]) -> Vec<Prepared> {
    let bytes = constants.iter().fold(0u64, |n, t| n.saturating_add(t.ty().bytes().unwrap_or(0)));
    let mut budget = crate::fast::Budget::new(bytes);
    (0..graph.nodes.len())
        .map(|n| crate::fast::prepare(&graph.nodes[n].op, &constant_operands(graph, n, constants), &mut budget))
        .collect()
}
