//! The same models as a careful engineer would write them without the precompile: what pure Solidity costs.
//!
//! The contracts are contracts/examples/pure-solidity; here the weights of an imported model become their tables.

use alloy_primitives::{I256, U256, hex};
use alloy_sol_types::{SolCall, SolValue, sol};
use anyhow::{Context, Result, bail};
use lockstep_engine::ops::Op;
use lockstep_engine::{Data, LoadedModel};
use lockstep_precompile::wad;

use crate::contracts::{Contract, creation_code};
use crate::rpc::Rpc;

sol! {
    function classify(int256[] calldata x) external view returns (uint256 class, int256 margin);
    function predict(int256[] calldata x) external view returns (int256 sum);
}

/// A deployed contract that computes a model, and how to call it.
#[derive(Debug, Clone)]
pub struct PureSolidity {
    /// The contract.
    pub contract: Contract,
    /// Whether it is called by `predict` (a tree ensemble) in place of `classify`.
    predicts: bool,
}

impl PureSolidity {
    /// Deploys the contract for a model; `None` where none of the three kinds fits.
    pub fn deploy(rpc: &Rpc, model: &LoadedModel) -> Result<Option<Self>> {
        let g = &model.graph;
        let tree = g.nodes.iter().position(|n| matches!(&n.op, Op::TreeEnsemble(t) if t.targets == 1));
        if let Some(node) = tree {
            let Some((nodes, trees, base, strict)) = trees(model, node)? else { return Ok(None) };
            let arguments = (nodes, U256::from(trees), base, strict).abi_encode_params();
            let code = creation_code("PureSolidityTrees.sol", "PureSolidityTrees")?;
            return Ok(Some(Self { contract: Contract::deploy(rpc, code, &arguments)?, predicts: true }));
        }
        if let Some((sizes, table)) = perceptron(model) {
            let arguments = (sizes, U256::from(12), table).abi_encode_params();
            let code = creation_code("PureSolidityMlp.sol", "PureSolidityMlp")?;
            return Ok(Some(Self { contract: Contract::deploy(rpc, code, &arguments)?, predicts: false }));
        }
        Ok(None)
    }

    /// Call data for one row of 18-decimal numbers.
    pub fn call_data(&self, x: Vec<I256>) -> Vec<u8> {
        if self.predicts { predictCall { x }.abi_encode() } else { classifyCall { x }.abi_encode() }
    }
}

/// An f32 in 18 decimals.
fn fixed(x: f32) -> Result<I256> {
    wad::from_f32(x).context("a weight that is not finite")
}

/// The table of PureSolidityTrees, its trees, its base, and whether it compares strictly; `None` where it exceeds one contract.
fn trees(model: &LoadedModel, node: usize) -> Result<Option<(alloy_primitives::Bytes, usize, I256, bool)>> {
    let node = &model.graph.nodes[node];
    let Op::TreeEnsemble(ensemble) = &node.op else { bail!("no tree ensemble") };
    let constant = |i: usize| -> Result<&Data> {
        let v = node.inputs.get(i).copied().flatten().context("operand")?;
        Ok(&model.constants()[model.graph.as_constant(v).context("a table is a constant")?].data)
    };
    let (Data::I32(feature), Data::F32(threshold), Data::U8(mode)) = (constant(1)?, constant(2)?, constant(3)?) else {
        bail!("tables of other types");
    };
    let (Data::I32(children), Data::I32(roots), Data::I32(start)) = (constant(4)?, constant(5)?, constant(6)?) else {
        bail!("tables of other types");
    };
    let (Data::I64(values), Data::I64(base)) = (constant(8)?, constant(9)?) else { bail!("tables of other types") };
    let one = I256::try_from(10i128.pow(18))?;
    let scaled = |q: i64| -> Result<I256> {
        let (negative, magnitude) =
            (q < 0, (U256::from(q.unsigned_abs()) * one.into_raw()) >> usize::from(ensemble.shift));
        let v = I256::try_from(magnitude)?;
        Ok(if negative { -v } else { v })
    };
    // Breadth first from the roots, children side by side, the branch taken when the comparison holds on the left.
    let mut queue: Vec<i32> = roots.clone();
    let mut table = Vec::new();
    let mut at = 0;
    while at < queue.len() {
        let n = queue[at];
        let (feature, left, number) = if n < 0 {
            let entry = start[(-1 - n) as usize] as usize;
            (255u8, 0u16, scaled(values[entry])?)
        } else {
            let n = n as usize;
            let left = queue.len();
            queue.extend([children[2 * n + 1], children[2 * n]]);
            (u8::try_from(feature[n])?, u16::try_from(left)?, fixed(threshold[n])?)
        };
        table.push(feature);
        table.extend(left.to_be_bytes());
        table.extend([0; 3]);
        table.extend(&number.to_be_bytes::<32>()[22..]);
        at += 1;
    }
    if table.len() > 24_575 {
        return Ok(None);
    }
    let strict = mode.first().is_some_and(|m| m & 7 == 1);
    Ok(Some((table.into(), roots.len(), scaled(base[0])?, strict)))
}

/// Sizes and table of a perceptron of the same widths (its weights rounded to 16 bits); `None` where the model is none.
/// The scaler is left out and ReLU takes the place of tanh, so it costs less than the same model would.
fn perceptron(model: &LoadedModel) -> Option<(Vec<u16>, alloy_primitives::Bytes)> {
    let g = &model.graph;
    let mut sizes: Vec<u16> = Vec::new();
    let mut table = Vec::new();
    for node in &g.nodes {
        let transposed = match &node.op {
            Op::MatMul(_) => false,
            Op::Gemm(gemm) => gemm.trans_b,
            Op::Conv(_) | Op::TreeEnsemble(_) => return None,
            _ => continue,
        };
        let weights = &model.constants()[g.as_constant(node.inputs.get(1).copied().flatten()?)?];
        let [rows, columns] = weights.shape[..] else { return None };
        let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
        if inputs % 4 != 0 {
            return None;
        }
        if sizes.is_empty() {
            sizes.push(inputs as u16);
        }
        sizes.push(outputs as u16);
        let w = weights.as_f32()?;
        for o in 0..outputs {
            table.extend([0u8; 4]);
            for i in 0..inputs {
                let x = if transposed { w[o * inputs + i] } else { w[i * outputs + o] };
                table.extend(((x * 4096.0) as i16).to_be_bytes());
            }
        }
    }
    (sizes.len() > 2 && table.len() <= 24_575).then(|| (sizes, table.into()))
}

/// Constructor arguments of PureSolidityLogReg from folded weights: used where a caller has them.
pub fn logistic_regression(rpc: &Rpc, weights: &[f32], bias: f32) -> Result<PureSolidity> {
    let words: Vec<I256> = weights.iter().map(|w| fixed(*w)).collect::<Result<_>>()?;
    let narrow: Vec<i128> = words.iter().map(|w| i128::try_from(*w)).collect::<Result<_, _>>()?;
    let arguments = (narrow, fixed(bias)?).abi_encode_params();
    let code = creation_code("PureSolidityLogReg.sol", "PureSolidityLogReg")?;
    let contract = Contract::deploy(rpc, code, &arguments).with_context(|| hex::encode(&arguments))?;
    Ok(PureSolidity { contract, predicts: false })
}
