// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @notice A tensor of `run`: packed little-endian values in row-major order.
/// @param dtype ONNX number of the element type: f32 = 1, u8 = 2, i8 = 3, i32 = 6, i64 = 7, bool = 9.
/// @param shape Sizes of the dimensions; empty for a scalar.
/// @param data The values; its length is the product of `shape` times the width of the type in bytes.
struct Tensor {
    uint8 dtype;
    uint32[] shape;
    bytes data;
}

/// @notice What a model says of one of its inputs or outputs.
/// @param shape A dimension is a number ("30") or a symbol ("batch") that each call binds.
struct TensorInfo {
    string name;
    uint8 dtype;
    string[] shape;
}

/// @notice One feature of a tabular model.
/// @param categories Empty, or the strings that the codes 0, 1, .. stand for.
struct Feature {
    string name;
    string[] categories;
}

/// @notice A registered model, as its graph describes it.
/// @param ls1Version Version of the arithmetic; it never changes for a modelId.
/// @param activationBlock First block in which the model can be called.
/// @param graphLength Length of the graph in bytes.
/// @param weightsLength Length of the weights in bytes.
/// @param rowFeatures How many values a row of `infer` and `classify` takes; 0: the model is not tabular, use `run`.
/// @param primaryOutput Index in `outputs` of what `infer` returns.
/// @param labelOutput Index in `outputs` of the label; 2^32 - 1: the model has none.
/// @param labels The names of the classes; empty where the graph names none.
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

/// @title The model precompile at 0x0000000000000000000000000000000000000A11
/// @notice Runs a model inside the calling transaction. Every node computes the answer itself, bit for bit the same.
/// @dev All functions are pure functions of chain state and call data. A fault of the caller reverts with one of the
/// errors below and keeps the unspent gas; too little gas burns the gas of the call. `docs/spec.md`, sections 5 to 7, is
/// normative. In the errors `kind` is 0 for an input, 1 for an output, and `index` counts from 0.
/// Contracts are best served by the library `Inference`, which wraps these functions.
interface IInference {
    /// @notice The first four bytes of the call name no function.
    error UnknownSelector(bytes4 selector);
    /// @notice The call is not what `abi.encode` produces; `offset` is the first offending word, in bytes from the selector.
    error NotCanonical(uint256 offset);
    /// @notice No such model is registered.
    error UnknownModel(bytes32 modelId);
    /// @notice The model can be called from `activationBlock` on; 0: registered, but `activate` was not called.
    error ModelNotActive(bytes32 modelId, uint64 activationBlock);
    /// @notice The model's weights do not fit its graph: no call of it can succeed.
    error InvalidWeights(string reason);
    /// @notice The model's inputs do not form rows of features; call it with `run`.
    error NotTabular(bytes32 modelId);
    /// @notice The model's outputs name no class for each row.
    error NotAClassifier(bytes32 modelId);
    /// @notice `run` was given another number of tensors than the model has inputs.
    error WrongInputCount(uint256 expected, uint256 actual);
    /// @notice The number of values (`infer`, `classify`) or of bytes (`run`) does not fit the shape.
    error WrongLength(uint8 kind, uint256 index, uint256 expected, uint256 actual);
    /// @notice The element type is not the one the model wants.
    error WrongType(uint8 kind, uint256 index, uint8 expected, uint8 actual);
    /// @notice A dimension is not the one the model wants; `axis` 2^256 - 1: the number of dimensions.
    error WrongShape(uint8 kind, uint256 index, uint256 axis, uint256 expected, uint256 actual);
    /// @notice One symbolic dimension was given two sizes.
    error DimensionConflict(string symbol, uint256 bound, uint256 actual);
    /// @notice A value does not fit the input's type: too large, or a fraction where an integer is wanted.
    error OutOfRange(uint8 kind, uint256 index, uint256 position);
    /// @notice The model's answer holds a NaN.
    error NotANumber(uint8 kind, uint256 index, uint256 position);
    /// @notice The model's answer holds an infinity, which has no integer to stand for it.
    error NotRepresentable(uint8 kind, uint256 index, uint256 position);
    /// @notice The graph cannot join the shapes that this call gives it.
    error ShapeMismatch(uint256 node, string operator);
    /// @notice An operator could not compute: division by zero, an index out of range.
    error ComputationFailed(uint256 node, string operator, string reason);
    /// @notice The call needs more than the chain allows.
    error LimitExceeded(string limit, uint256 maximum, uint256 actual);
    /// @notice `validate` refuses the graph.
    error InvalidGraph(string reason);
    /// @notice Ether was sent along.
    error ValueNotAccepted(uint256 value);
    /// @notice The precompile was reached by DELEGATECALL or CALLCODE.
    error DelegateCall(address target);
    /// @notice This EVM runs the code stored at the address in place of the precompile, and that code cannot answer.
    error TwinCannotRun(string reason);

    /// @notice Runs a tabular model on one or more rows of numbers.
    /// @param modelId The model.
    /// @param x The features, 18 decimals each, row by row in the model's feature order.
    /// @return y The primary output, 18 decimals each, flat in row-major order.
    function infer(bytes32 modelId, int256[] calldata x) external view returns (int256[] memory y);

    /// @notice Classifies one or more rows.
    /// @param modelId The model.
    /// @param x The features, 18 decimals each, row by row.
    /// @return classIndex For each row the index into the model's labels.
    /// @return score For each row the primary output's value for that class, 18 decimals.
    function classify(bytes32 modelId, int256[] calldata x)
        external
        view
        returns (uint256[] memory classIndex, int256[] memory score);

    /// @notice Runs any model on tensors.
    /// @param modelId The model.
    /// @param inputs The inputs in the model's order; u8 and i8 widen exactly where the model wants f32.
    /// @return outputs All outputs in the model's order.
    function run(bytes32 modelId, Tensor[] calldata inputs) external view returns (Tensor[] memory outputs);

    /// @notice The gas that the precompile will charge for a call.
    /// @param call The encoded call of `infer`, `classify`, `run`, `describe` or `validate`, selector included.
    /// @return gas Gas units. The caller's own costs (memory, the CALL, the 1/64 held back) are not in it.
    function quote(bytes calldata call) external view returns (uint256 gas);

    /// @notice What the model is: its hashes, shapes, feature names and labels.
    function describe(bytes32 modelId) external view returns (ModelInfo memory info);

    /// @notice Checks a graph in full; the registry calls it before a model becomes active.
    /// @param graph The graph's bytes.
    /// @return ls1Version The arithmetic the graph wants.
    /// @return weightsLength The bytes of weights the graph wants.
    function validate(bytes calldata graph) external view returns (uint32 ls1Version, uint64 weightsLength);
}
