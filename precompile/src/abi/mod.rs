//! The precompile's ABI (spec section 5): definitions, a strict decoder of calls, encoders of results.

mod call;
mod encode;
mod words;

pub use call::{Call, DecodeError, NotCanonical, TensorView, decode};
pub use encode::{
    arrays_size, classify_result, int_array, int_array_size, tensor_array, tensor_array_size, validate_result,
};
pub use words::Words;

use alloy_sol_types::sol;

sol! {
    /// A tensor of `run`.
    #[derive(Debug, PartialEq, Eq)]
    struct Tensor { uint8 dtype; uint32[] shape; bytes data; }

    /// An input or an output of a model.
    #[derive(Debug, PartialEq, Eq)]
    struct TensorInfo { string name; uint8 dtype; string[] shape; }

    /// A feature of a tabular model.
    #[derive(Debug, PartialEq, Eq)]
    struct Feature { string name; string[] categories; }

    /// What `describe` says of a model.
    #[derive(Debug, PartialEq, Eq)]
    struct ModelInfo {
        uint32 ls1Version;
        uint64 activationBlock;
        bytes32 graphHash;
        bytes32 weightsRoot;
        uint64 graphLength;
        uint64 weightsLength;
        uint64 rowFeatures;
        uint32 primaryOutput;
        uint32 labelOutput;
        TensorInfo[] inputs;
        TensorInfo[] outputs;
        Feature[] features;
        string[] labels;
    }

    /// The precompile's functions and errors.
    #[derive(Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    interface IInference {
        function infer(bytes32 modelId, int256[] calldata x) external view returns (int256[] memory y);
        function classify(bytes32 modelId, int256[] calldata x)
            external view returns (uint256[] memory classIndex, int256[] memory score);
        function run(bytes32 modelId, Tensor[] calldata inputs) external view returns (Tensor[] memory outputs);
        function quote(bytes calldata call) external view returns (uint256 gas);
        function describe(bytes32 modelId) external view returns (ModelInfo memory info);
        function validate(bytes calldata graph) external view returns (uint32 ls1Version, uint64 weightsLength);

        error UnknownSelector(bytes4 selector);
        error NotCanonical(uint256 offset);
        error UnknownModel(bytes32 modelId);
        error ModelNotActive(bytes32 modelId, uint64 activationBlock);
        error InvalidWeights(string reason);
        error NotTabular(bytes32 modelId);
        error NotAClassifier(bytes32 modelId);
        error WrongInputCount(uint256 expected, uint256 actual);
        error WrongLength(uint8 kind, uint256 index, uint256 expected, uint256 actual);
        error WrongType(uint8 kind, uint256 index, uint8 expected, uint8 actual);
        error WrongShape(uint8 kind, uint256 index, uint256 axis, uint256 expected, uint256 actual);
        error DimensionConflict(string symbol, uint256 bound, uint256 actual);
        error OutOfRange(uint8 kind, uint256 index, uint256 position);
        error NotANumber(uint8 kind, uint256 index, uint256 position);
        error NotRepresentable(uint8 kind, uint256 index, uint256 position);
        error ShapeMismatch(uint256 node, string operator);
        error ComputationFailed(uint256 node, string operator, string reason);
        error LimitExceeded(string limit, uint256 maximum, uint256 actual);
        error InvalidGraph(string reason);
        error ValueNotAccepted(uint256 value);
        error DelegateCall(address target);
        error TwinCannotRun(string reason);
    }
}
