// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @notice A model's record. The first five fields share one word, which is all that the precompile reads.
/// @param status 0: unknown, or open where `graphLength` is not 0; 1: registered; 2: activated; 3: registered, weights off chain.
/// @param activationBlock First block in which the model can be called; 0 while it is not activated.
/// @param ls1Version Version of the arithmetic.
/// @param graphLength Length of the graph in bytes.
/// @param weightsLength Length of the weights in bytes.
/// @param graphHash keccak256 of the graph.
/// @param weightsRoot Root of the Merkle tree over the weight chunks; 0 for a model without weights.
/// @param graphChunks Where the graph is stored.
/// @param weightChunks Where the weights are stored, as far as they are; fewer than the weights need: they are off chain.
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

/// @notice Bounds that genesis sets; they share one word. A zero bounds nothing.
/// @param maxActiveModels Models active at once.
/// @param maxActiveWeightBytes Bytes of their weights.
/// @param noticeBlocks Blocks from the announcement that storage duty ends until it may end.
/// @param challengeBlocks Blocks for which a challenge stands.
/// @param quorum Attesters that must have attested before a model with weights off chain is activated; 0: there are none.
struct Caps {
    uint32 maxActiveModels;
    uint64 maxActiveWeightBytes;
    uint64 noticeBlocks;
    uint32 challengeBlocks;
    uint16 quorum;
}

/// @notice What a slot costs, in wei; genesis sets it.
/// @param slot A model with weights off chain, given back when storage duty ends.
/// @param perMebibyte As much more for each MiB of its weights, begun ones included.
/// @param onChain A model with weights on chain, which keeps its slot for ever, and the registry the deposit.
struct Deposits {
    uint80 slot;
    uint80 perMebibyte;
    uint80 onChain;
}

/// @notice What goes with a model whose weights are not on chain.
/// @param challenge What attesters sign at present; 0: nothing was asked.
/// @param attested Bit i: the attester with index i has signed it.
/// @param deposit Wei held for the slot.
/// @param depositor Whom they are given back to.
/// @param noticeEnd From this block on the model may be retired; 0: no end is announced.
/// @param place Where the model stands among the activated ones.
/// @param challengeEnd Last block in which the challenge stands.
/// @param round Challenges so far.
/// @param attestations Bits set in `attested`.
struct Duty {
    bytes32 challenge;
    uint256 attested;
    uint256 deposit;
    address depositor;
    uint64 noticeEnd;
    uint32 place;
    uint64 challengeEnd;
    uint32 round;
    uint16 attestations;
}

/// @notice One attester's word that the weights are in its hands.
/// @param attester Index of the attester.
/// @param v 27 or 28.
/// @param r As ECDSA gives it.
/// @param s The lower of the two.
/// @param possession Root over the weights' leaves, salted with challenge and attester (docs/spec.md, REG-14).
struct Attestation {
    uint8 attester;
    uint8 v;
    bytes32 r;
    bytes32 s;
    bytes32 possession;
}

/// @title The model registry at 0x0000000000000000000000000000000000000A12
/// @notice Anyone may store, register and activate a model. Nobody can change one: a modelId is the hash of what it names.
/// Models with their weights on chain stay for ever; for others storage duty can end. `docs/spec.md`, section 8, is
/// normative.
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

    /// @notice Attesters may sign `challenge` until block `end`.
    event ModelChallenged(bytes32 indexed modelId, bytes32 challenge, uint64 end);
    /// @notice An attester has signed that it holds the weights.
    event ModelAttested(bytes32 indexed modelId, address indexed attester, bytes32 challenge, bytes32 possession);
    /// @notice From block `noticeEnd` on the model may be retired, unless somebody takes its deposit over.
    event EndAnnounced(bytes32 indexed modelId, uint64 noticeEnd);
    /// @notice `depositor` has taken the model's deposit over; no end is announced any more.
    event DutyExtended(bytes32 indexed modelId, address indexed depositor);
    /// @notice Storage duty has ended: the model cannot be called any more, unless it is attested and activated again.
    event ModelRetired(bytes32 indexed modelId);
    /// @notice All weights of a model that was registered without them are on chain now: nothing can retire it.
    event WeightsCompleted(bytes32 indexed modelId);
    /// @notice So much can be withdrawn by `account` in addition.
    event DepositReturned(bytes32 indexed modelId, address indexed account, uint256 amount);
    /// @notice `account` had its credit sent to `to`.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

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

    /// @notice The weights are on chain: nothing has to be attested, and storage duty has no end.
    error WeightsOnChain(bytes32 modelId);
    /// @notice This chain has no attesters, so it takes no models whose weights are off chain.
    error NoAttesters();
    /// @notice The present challenge stands until block `end`.
    error ChallengeStands(bytes32 modelId, uint64 end);
    /// @notice No challenge stands: call `challenge` first.
    error NoChallenge(bytes32 modelId);
    /// @notice The chain has `count` attesters, numbered from 0.
    error UnknownAttester(uint256 count, uint256 index);
    /// @notice The signature of the attestation at this place is none: `v` is 27 or 28, `s` the lower of the two, or nobody signed.
    error MalformedSignature(uint256 place);
    /// @notice The attestation at this place was signed by `actual`; or it signs another challenge, chain, registry or model.
    error WrongSigner(uint256 place, address expected, address actual);
    /// @notice `quorum` attesters must have signed the challenge that stands; `actual` have.
    error NotAttested(bytes32 modelId, uint256 quorum, uint256 actual);
    /// @notice The slot costs `expected` wei.
    error WrongDeposit(bytes32 modelId, uint256 expected, uint256 actual);
    /// @notice The model is not active.
    error NotActive(bytes32 modelId);
    /// @notice Only who has paid the deposit may announce the end.
    error NotDepositor(bytes32 modelId, address depositor);
    /// @notice The end was announced before.
    error EndIsAnnounced(bytes32 modelId, uint64 noticeEnd);
    /// @notice No end is announced.
    error NoEndAnnounced(bytes32 modelId);
    /// @notice The model may be retired from block `noticeEnd` on.
    error NoticeRuns(bytes32 modelId, uint64 noticeEnd);
    /// @notice The account has no credit here.
    error NothingToWithdraw(address account);
    /// @notice The account refused the ether.
    error WithdrawalRefused(address to);

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

    /// @notice Has the precompile check the model's graph, and makes the model callable, one block and one more for each MiB
    /// from now on: for ever where its weights are on chain; otherwise a quorum must have attested that they are held, and
    /// storage duty can end. Anyone may call it, with the slot's deposit.
    function activate(bytes32 modelId) external payable;

    /// @notice Asks the attesters for a model that was opened and whose weights are not all on chain. Anyone may ask, while
    /// no challenge stands.
    /// @return seed The challenge, known to nobody before the parent of this block.
    function challenge(bytes32 modelId) external returns (bytes32 seed);

    /// @notice Takes attestations, from anyone who brings them. Those of attesters that have signed are passed over. With
    /// the quorum the model is registered, if it was not.
    /// @return count How many attesters have signed the challenge now.
    function attest(bytes32 modelId, Attestation[] calldata attestations) external returns (uint256 count);

    /// @notice Announces that storage duty ends. Only who has paid the deposit may.
    /// @return noticeEnd The first block in which the model may be retired.
    function announceEnd(bytes32 modelId) external returns (uint64 noticeEnd);

    /// @notice Takes the deposit of a model over whose end is announced: the end is announced no more, who paid before has
    /// the deposit back. Anyone may.
    function extend(bytes32 modelId) external payable;

    /// @notice Ends storage duty after the notice: the slot is free, the deposit given back. Anyone may call it.
    function retire(bytes32 modelId) external;

    /// @notice Sends the caller's credit to an account.
    /// @return amount So many wei.
    function withdraw(address payable to) external returns (uint256 amount);

    /// @notice Wei that `account` can withdraw.
    function credit(address account) external view returns (uint256);

    /// @notice Wei that come with `activate`, and with `extend`.
    function depositFor(bytes32 modelId) external view returns (uint256);

    /// @notice What goes with a model whose weights are not on chain, and whether they are not.
    function duty(bytes32 modelId) external view returns (bool offChain, Duty memory);

    /// @notice What an attester signs, for the challenge of the model; `possession` is the attester's own.
    function attestationDigest(bytes32 modelId, bytes32 possession) external view returns (bytes32);

    /// @notice How many attesters there are.
    function attesterCount() external view returns (uint256);

    /// @notice The attester with this index.
    function attesterAt(uint256 index) external view returns (address);

    /// @notice The bounds that genesis has set.
    function caps() external view returns (Caps memory);

    /// @notice What slots cost; genesis has set it.
    function deposits() external view returns (Deposits memory);

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

    /// @notice How many models are activated.
    function activeCount() external view returns (uint256);

    /// @notice The id of the index-th activated model, in order of activation; the last takes the place of one that retires.
    function activeAt(uint256 index) external view returns (bytes32);

    /// @notice Where the chunk with this init code lies, stored or not.
    /// @param initCodeHash keccak256(0x600b5981380380925939f3 ‖ 00 ‖ data).
    function chunkAddress(bytes32 initCodeHash) external view returns (address chunk);
}
