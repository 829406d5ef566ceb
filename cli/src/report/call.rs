//! A line for the shell that calls a model.

use lockstep_engine::LoadedModel;

use super::example;
use super::number;
use crate::data::rows;

const PRECOMPILE: &str = "0x0000000000000000000000000000000000000A11";

/// A `cast call` of the model: with the card's example, or a row of zeros; `describe` where it takes tensors or long rows.
pub(crate) fn cast_line(m: &LoadedModel, url: &str) -> String {
    let id = number::hex32(&m.id);
    let columns = rows::columns(&m.graph).map_or(0, |c| c.len());
    let rows = rows::fixed_rows(&m.graph).unwrap_or(1) as usize;
    let values: Vec<String> = match example::row(m) {
        Some(row) => row.iter().map(ToString::to_string).collect(),
        None => vec!["0".into(); columns * rows],
    };
    if values.is_empty() || values.len() > 256 {
        let ty = "(uint32,uint64,bytes32,bytes32,uint64,uint64,uint64,uint32,uint32,(string,uint8,string[])[],(string,uint8,string[])[],(string,string[])[],string[])";
        return format!("cast call {PRECOMPILE} \"describe(bytes32)({ty})\" {id} --rpc-url {url}");
    }
    let classifier = rows::has_classes(m);
    let function =
        if classifier { "classify(bytes32,int256[])(uint256[],int256[])" } else { "infer(bytes32,int256[])(int256[])" };
    format!("cast call {PRECOMPILE} \"{function}\" {id} \"[{}]\" --rpc-url {url}", values.join(","))
}
