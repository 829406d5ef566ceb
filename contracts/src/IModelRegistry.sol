// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @notice A model's record. The first five fields share one word, which is all that the precompile reads.
/// @param status 0: unknown, or open where `graphLength` is not 0; 1: registered; 2: activated.
/// @param activationBlock First block in which the model can be called; 0 while it is not activated.
/// @param ls1Version Version of the arithmetic.
/// @param graphLength Length of the graph in bytes.
/// @param weightsLength Length of the weights in bytes.
/// @param graphHash keccak256 of the graph.
/// @param weightsRoot Root of the Merkle tree over the weight chunks; 0 for a model without weights.
/// @param graphChunks Where the graph is stored.
/// @param weightChunks Where the weights are stored; while the model is open, those appended so far.
struct Model {
    uint8 status;
    uint64 activationBlock;
    uint32 ls1Version;
    uint32 graphLength;
    uint64 weightsLength;
    bytes32 graphHash;
    bytes32 weightsRoot;
    address[] graphChunks;
    address[] weightChunks;
}

/// @title The model registry at 0x0000000000000000000000000000000000000A12
/// @notice Anyone may store, register and activate a model. Nobody can change or remove one: a modelId is the hash of
/// what it names. `docs/spec.md`, section 8, is normative.
interface IModelRegistry {
    /// @notice A chunk was stored for the first time.
    event ChunkStored(address indexed chunk);
    /// @notice A model was opened: its weights, so many bytes, can be appended.
    event ModelOpened(bytes32 indexed modelId, address indexed sender, uint64 weightsLength);
    /// @notice Of an open model's `all` weight chunks the first `appended` are listed.
    event WeightsAppended(bytes32 indexed modelId, uint256 appended, uint256 all);
    /// @notice A model was registered.
    event ModelRegistered(bytes32 indexed modelId, address indexed sender, bytes32 graphHash, bytes32 weightsRoot);
    /// @notice A model was activated; it can be called from `activationBlock` on.
    event ModelActivated(bytes32 indexed modelId, uint64 activationBlock);

    /// @notice A chunk holds 1 to `maximum` bytes.
    error ChunkLength(uint256 maximum, uint256 actual);
    /// @notice CREATE2 failed; the transaction's gas does not pay for the chunk's code.
    error ChunkNotCreated(address chunk);
    /// @notice The account was not made by `storeChunk` of this registry.
    error NotAChunk(address account);
    /// @notice The chunk holds `actual` bytes; at its place in the list it must hold `expected`. All but the last are full.
    error ChunkNotFull(address chunk, uint256 expected, uint256 actual);
    /// @notice A model has at least one chunk of graph.
    error NoGraphChunks();
    /// @notice The model's next weight chunk is number `expected`, counted from 0; the list given begins at `actual`.
    error AppendOutOfOrder(bytes32 modelId, uint256 expected, uint256 actual);
    /// @notice The model has `maximum` weight chunks; with these they would be `actual`.
    error TooManyChunks(bytes32 modelId, uint256 maximum, uint256 actual);
    /// @notice For these chunks the proof has `expected` nodes.
    error WrongProofLength(uint256 expected, uint256 actual);
    /// @notice Chunks and proof give another root than the model's: they are not the chunks at this place, or the proof is not theirs.
    error WrongWeightsRoot(bytes32 modelId, bytes32 expected, bytes32 actual);
    /// @notice No such model is registered, or opened where one is appended to.
    error UnknownModel(bytes32 modelId);
    /// @notice The model was activated before; it can be called from `activationBlock` on.
    error AlreadyActive(bytes32 modelId, uint64 activationBlock);
    /// @notice The graph wants another arithmetic than the record names.
    error WrongLs1Version(bytes32 modelId, uint32 graph, uint32 registered);
    /// @notice The graph wants another length of weights than the record's chunks hold, in bytes.
    error WrongWeightsLength(bytes32 modelId, uint64 graph, uint64 registered);
    /// @notice The chain allows `maximum` active models, and has them.
    error TooManyActiveModels(uint256 maximum);
    /// @notice The chain allows `maximum` bytes of active weights; with this model they would be `actual`.
    error TooManyActiveWeights(uint256 maximum, uint256 actual);

    /// @notice Stores data as the code of a contract; equal data has one address, and storing it again changes nothing.
    /// @param data 1 to 24,512 bytes.
    /// @return chunk The contract whose code is a zero byte followed by `data`.
    function storeChunk(bytes calldata data) external returns (address chunk);

    /// @notice Registers a model whose graph and weights are stored. Registering again returns the same id.
    /// @param ls1Version Version of the arithmetic that the graph wants.
    /// @param graphChunks The graph, in order; every chunk but the last is full.
    /// @param weightChunks The weights, in order; every chunk but the last is full. May be empty.
    /// @return modelId keccak256(abi.encode(keccak256("lockstep.model.v1"), ls1Version, graphHash, weightsRoot)).
    function register(uint32 ls1Version, address[] calldata graphChunks, address[] calldata weightChunks)
        external
        returns (bytes32 modelId);

    /// @notice Opens a model whose weights are too many for one call of `register`: has the precompile check the graph, and
    /// writes the record but for its weight chunks, which `append` takes. Opening again returns the same id. A model
    /// without weights is registered at once.
    /// @param graphChunks The graph, in order; every chunk but the last is full.
    /// @param weightsRoot Root of the Merkle tree over the weights.
    /// @return modelId As `register` gives it.
    function open(address[] calldata graphChunks, bytes32 weightsRoot) external returns (bytes32 modelId);

    /// @notice Appends weight chunks to an open model; with the last of them it is registered. Anyone may append: the proof
    /// admits only the chunks that the id commits to, in their order. Chunks that are listed already are passed over.
    /// @param first Number of the first of these chunks, counted from 0; at most the number of chunks listed.
    /// @param weightChunks The chunks.
    /// @param proof Neighbours on the way to the root that do not follow from these chunks: from the leaves up, on each
    /// level the left one first.
    /// @return appended How many chunks are listed now.
    function append(bytes32 modelId, uint256 first, address[] calldata weightChunks, bytes32[] calldata proof)
        external
        returns (uint256 appended);

    /// @notice Has the precompile check the model's graph, and makes the model callable for ever, one block and one more
    /// for each MiB from now on. Anyone may call it, once.
    function activate(bytes32 modelId) external;

    /// @notice The model's state and the first block in which it can be called.
    function status(bytes32 modelId) external view returns (uint8 status, uint64 activationBlock);

    /// @notice How many of the model's weight chunks are listed, and how many it has; both 0 for an unknown model.
    function weightsAppended(bytes32 modelId) external view returns (uint256 appended, uint256 all);

    /// @notice The model's record; all zero for an unknown model.
    function getModel(bytes32 modelId) external view returns (Model memory);

    /// @notice How many models are registered.
    function modelCount() external view returns (uint256);

    /// @notice The id of the index-th registered model, in order of registration.
    function modelAt(uint256 index) external view returns (bytes32);

    /// @notice How many models were activated.
    function activeCount() external view returns (uint256);

    /// @notice The id of the index-th activated model, in order of activation.
    function activeAt(uint256 index) external view returns (bytes32);

    /// @notice Where the chunk with this init code lies, stored or not.
    /// @param initCodeHash keccak256(0x600b5981380380925939f3 ‖ 00 ‖ data).
    function chunkAddress(bytes32 initCodeHash) external view returns (address chunk);
}
