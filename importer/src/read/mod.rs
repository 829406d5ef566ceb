//! From ONNX's messages to values: tensors (with external data), attributes, inputs.

mod attrs;
mod external;
mod inputs;
mod tensor;

pub(crate) use attrs::Attrs;
pub(crate) use external::Externals;
pub(crate) use inputs::{InputType, input_types};
pub(crate) use tensor::tensor;
