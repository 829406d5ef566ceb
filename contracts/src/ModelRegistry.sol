// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "./IInference.sol";
import {IModelRegistry, Model} from "./IModelRegistry.sol";

/// @title The model registry: which models exist, where their bytes lie, and from which block they can be called
/// @notice See IModelRegistry. A predeploy without constructor, owner or upgrade; its storage layout is part of the
/// protocol, since the precompile reads it.
contract ModelRegistry is IModelRegistry {
    /// @dev Bounds on what is active at once; zero: no bound. Genesis writes them. The struct keeps the slot its own.
    struct Caps {
        uint32 maxActiveModels;
        uint64 maxActiveWeightBytes;
    }

    IInference private constant PRECOMPILE = IInference(0x0000000000000000000000000000000000000a11);

    /// @notice Bytes of data in a full chunk: with the leading zero byte and room to spare under the code size limit.
    uint256 public constant MAX_CHUNK_DATA = 24_512;

    bytes32 private constant MODEL_DOMAIN = keccak256("lockstep.model.v1");

    /// @dev Init code that returns what follows it, and the zero byte (STOP) that is the first of a chunk's code.
    bytes12 private constant CHUNK_PREFIX = 0x600b5981380380925939f300;
    uint256 private constant CHUNK_PREFIX_LENGTH = 12;

    /// @dev Unknown or open: `graphLength` tells which.
    uint8 private constant UNREGISTERED = 0;
    uint8 private constant REGISTERED = 1;
    uint8 private constant ACTIVATED = 2;
    uint256 private constant BYTES_PER_BLOCK_OF_DELAY = 1 << 20;

    mapping(bytes32 modelId => Model) private _models; // slot 0
    bytes32[] private _registered; // slot 1
    bytes32[] private _activated; // slot 2
    Caps private _caps; // slot 3
    uint64 private _activeWeightBytes; // slot 4

    /// @inheritdoc IModelRegistry
    function storeChunk(bytes calldata data) external returns (address chunk) {
        if (data.length == 0 || data.length > MAX_CHUNK_DATA) revert ChunkLength(MAX_CHUNK_DATA, data.length);
        bytes memory initCode = abi.encodePacked(CHUNK_PREFIX, data);
        chunk = chunkAddress(keccak256(initCode));
        if (chunk.code.length != 0) return chunk;

        address created;
        assembly ("memory-safe") {
            created := create2(0, add(initCode, 32), mload(initCode), 0)
        }
        if (created != chunk) revert ChunkNotCreated(chunk);
        emit ChunkStored(chunk);
    }

    /// @inheritdoc IModelRegistry
    function register(uint32 ls1Version, address[] calldata graphChunks, address[] calldata weightChunks)
        external
        returns (bytes32 modelId)
    {
        if (graphChunks.length == 0) revert NoGraphChunks();
        (uint256 graphLength,) = _checkChunks(graphChunks);
        (uint256 weightsLength, bytes32[] memory leaves) = _checkChunks(weightChunks);
        bytes32 graphHash = keccak256(_readGraph(graphChunks, graphLength));
        bytes32 weightsRoot = _root(leaves, 0, leaves.length, new bytes32[](0));
        modelId = _modelId(ls1Version, graphHash, weightsRoot);

        Model storage model = _models[modelId];
        if (model.status != UNREGISTERED) return modelId;
        // Each chunk costs gas and holds less than 2^15 bytes: no block can name 2^17 of them.
        // forge-lint: disable-next-line(unsafe-typecast)
        (model.ls1Version, model.graphLength) = (ls1Version, uint32(graphLength));
        // forge-lint: disable-next-line(unsafe-typecast)
        model.weightsLength = uint64(weightsLength);
        model.graphHash = graphHash;
        model.weightsRoot = weightsRoot;
        model.graphChunks = graphChunks;
        model.weightChunks = weightChunks;
        _registerRecord(modelId, model);
    }

    /// @inheritdoc IModelRegistry
    function open(address[] calldata graphChunks, bytes32 weightsRoot) external returns (bytes32 modelId) {
        if (graphChunks.length == 0) revert NoGraphChunks();
        (uint256 graphLength,) = _checkChunks(graphChunks);
        bytes memory graph = _readGraph(graphChunks, graphLength);
        (uint32 ls1Version, uint64 weightsLength) = _precompile().validate(graph);
        bytes32 graphHash = keccak256(graph);
        modelId = _modelId(ls1Version, graphHash, weightsRoot);

        Model storage model = _models[modelId];
        if (model.graphLength != 0) return modelId;
        // forge-lint: disable-next-line(unsafe-typecast)
        (model.ls1Version, model.graphLength) = (ls1Version, uint32(graphLength));
        model.weightsLength = weightsLength;
        model.graphHash = graphHash;
        model.weightsRoot = weightsRoot;
        model.graphChunks = graphChunks;
        emit ModelOpened(modelId, msg.sender, weightsLength);
        if (weightsLength == 0) {
            if (weightsRoot != 0) revert WrongWeightsRoot(modelId, weightsRoot, 0);
            _registerRecord(modelId, model);
        }
    }

    /// @inheritdoc IModelRegistry
    function append(bytes32 modelId, uint256 first, address[] calldata weightChunks, bytes32[] calldata proof)
        external
        returns (uint256 appended)
    {
        Model storage model = _models[modelId];
        if (model.graphLength == 0) revert UnknownModel(modelId);
        address[] storage list = model.weightChunks;
        appended = list.length;
        if (model.status != UNREGISTERED) return appended;
        if (first > appended) revert AppendOutOfOrder(modelId, appended, first);
        uint256 end = first + weightChunks.length;
        uint256 all = _chunkCount(model.weightsLength);
        if (end > all) revert TooManyChunks(modelId, all, end);
        if (end <= appended) return appended;

        bytes32[] memory leaves = _checkRange(weightChunks, first, model.weightsLength);
        bytes32 root = _root(leaves, first, all, proof);
        if (root != model.weightsRoot) revert WrongWeightsRoot(modelId, model.weightsRoot, root);
        for (uint256 i = appended - first; i < weightChunks.length; ++i) {
            list.push(weightChunks[i]);
        }
        emit WeightsAppended(modelId, end, all);
        if (end == all) _registerRecord(modelId, model);
        return end;
    }

    /// @inheritdoc IModelRegistry
    function activate(bytes32 modelId) external {
        Model storage model = _models[modelId];
        if (model.status == UNREGISTERED) revert UnknownModel(modelId);
        if (model.status == ACTIVATED) revert AlreadyActive(modelId, model.activationBlock);

        uint32 ls1Version = model.ls1Version;
        uint32 graphLength = model.graphLength;
        uint64 weightsLength = model.weightsLength;
        (uint32 graphVersion, uint64 graphWeights) = _precompile().validate(_readGraph(model.graphChunks, graphLength));
        if (graphVersion != ls1Version) revert WrongLs1Version(modelId, graphVersion, ls1Version);
        if (graphWeights != weightsLength) revert WrongWeightsLength(modelId, graphWeights, weightsLength);

        Caps memory caps = _caps;
        if (caps.maxActiveModels != 0 && _activated.length >= caps.maxActiveModels) {
            revert TooManyActiveModels(caps.maxActiveModels);
        }
        uint64 activeWeightBytes = _activeWeightBytes + weightsLength;
        if (caps.maxActiveWeightBytes != 0 && activeWeightBytes > caps.maxActiveWeightBytes) {
            revert TooManyActiveWeights(caps.maxActiveWeightBytes, activeWeightBytes);
        }

        uint256 delay = 1 + (uint256(graphLength) + weightsLength) / BYTES_PER_BLOCK_OF_DELAY;
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 activationBlock = uint64(block.number + delay);
        model.status = ACTIVATED;
        model.activationBlock = activationBlock;
        _activeWeightBytes = activeWeightBytes;
        _activated.push(modelId);
        emit ModelActivated(modelId, activationBlock);
    }

    /// @inheritdoc IModelRegistry
    function status(bytes32 modelId) external view returns (uint8, uint64) {
        Model storage model = _models[modelId];
        return (model.status, model.activationBlock);
    }

    /// @inheritdoc IModelRegistry
    function getModel(bytes32 modelId) external view returns (Model memory) {
        return _models[modelId];
    }

    /// @inheritdoc IModelRegistry
    function weightsAppended(bytes32 modelId) external view returns (uint256 appended, uint256 all) {
        Model storage model = _models[modelId];
        return (model.weightChunks.length, _chunkCount(model.weightsLength));
    }

    /// @inheritdoc IModelRegistry
    function modelCount() external view returns (uint256) {
        return _registered.length;
    }

    /// @inheritdoc IModelRegistry
    function modelAt(uint256 index) external view returns (bytes32) {
        return _registered[index];
    }

    /// @inheritdoc IModelRegistry
    function activeCount() external view returns (uint256) {
        return _activated.length;
    }

    /// @inheritdoc IModelRegistry
    function activeAt(uint256 index) external view returns (bytes32) {
        return _activated[index];
    }

    /// @inheritdoc IModelRegistry
    function chunkAddress(bytes32 initCodeHash) public view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), bytes32(0), initCodeHash)))));
    }

    /// @dev Makes a complete record a registered model.
    function _registerRecord(bytes32 modelId, Model storage model) private {
        model.status = REGISTERED;
        _registered.push(modelId);
        emit ModelRegistered(modelId, msg.sender, model.graphHash, model.weightsRoot);
    }

    /// @dev Who checks graphs; the registry of a chain without the precompile (TwinRegistry) asks another.
    function _precompile() internal view virtual returns (IInference) {
        return PRECOMPILE;
    }

    function _modelId(uint32 ls1Version, bytes32 graphHash, bytes32 weightsRoot) private pure returns (bytes32) {
        return keccak256(abi.encode(MODEL_DOMAIN, uint256(ls1Version), graphHash, weightsRoot));
    }

    /// @dev How many chunks hold so many bytes.
    function _chunkCount(uint256 length) private pure returns (uint256) {
        return (length + MAX_CHUNK_DATA - 1) / MAX_CHUNK_DATA;
    }

    /// @dev Checks chunks that stand at `first` and after in weights of `length` bytes, and collects their leaf hashes.
    function _checkRange(address[] calldata chunks, uint256 first, uint256 length)
        private
        view
        returns (bytes32[] memory leaves)
    {
        uint256 end = (first + chunks.length) * MAX_CHUNK_DATA;
        uint256 expected = (end < length ? end : length) - first * MAX_CHUNK_DATA;
        uint256 actual;
        (actual, leaves) = _checkChunks(chunks);
        if (actual != expected) {
            // All but the last are full.
            uint256 others = (chunks.length - 1) * MAX_CHUNK_DATA;
            revert ChunkNotFull(chunks[chunks.length - 1], expected - others, actual - others);
        }
    }

    /// @dev Sums the data of the chunks and collects their leaf hashes, which are their code hashes.
    ///
    /// That an account's code begins with STOP is not enough: a contract may schedule its own destruction from its init
    /// code (EIP-6780), return such code, and be gone at the end of the transaction that registered it. So the address
    /// must be the one that `storeChunk` gives to this code.
    function _checkChunks(address[] calldata chunks) private view returns (uint256 total, bytes32[] memory leaves) {
        leaves = new bytes32[](chunks.length);
        bytes memory initCode = new bytes(CHUNK_PREFIX_LENGTH + MAX_CHUNK_DATA);
        for (uint256 i; i < chunks.length; ++i) {
            address chunk = chunks[i];
            uint256 size = chunk.code.length;
            if (size < 2 || size > MAX_CHUNK_DATA + 1) revert NotAChunk(chunk);
            bytes32 initCodeHash;
            assembly ("memory-safe") {
                mstore(add(initCode, 32), CHUNK_PREFIX)
                // The chunk's code, its first byte included, follows the eleven bytes of the init code proper.
                extcodecopy(chunk, add(initCode, 43), 0, size)
                initCodeHash := keccak256(add(initCode, 32), add(size, 11))
            }
            if (chunkAddress(initCodeHash) != chunk) revert NotAChunk(chunk);
            if (i + 1 < chunks.length && size != MAX_CHUNK_DATA + 1) {
                revert ChunkNotFull(chunk, MAX_CHUNK_DATA, size - 1);
            }
            leaves[i] = chunk.codehash;
            total += size - 1;
        }
    }

    /// @dev Joins the chunks' data. All but the last are full.
    function _readGraph(address[] memory chunks, uint256 length) private view returns (bytes memory graph) {
        graph = new bytes(length);
        for (uint256 i; i < chunks.length; ++i) {
            address chunk = chunks[i];
            uint256 offset = i * MAX_CHUNK_DATA;
            uint256 size = length - offset < MAX_CHUNK_DATA ? length - offset : MAX_CHUNK_DATA;
            assembly ("memory-safe") {
                extcodecopy(chunk, add(add(graph, 32), offset), 1, size)
            }
        }
    }

    /// @dev The root of a tree of `width` leaves of which `nodes` are those from `index` on; it is computed in their memory.
    /// Level by level: parent = keccak256(0x01 ‖ left ‖ right); an odd last node moves up unchanged. Neighbours that are not
    /// among the nodes come from `proof`: from the leaves up, on each level the left one first. The root of no leaves is zero.
    function _root(bytes32[] memory nodes, uint256 index, uint256 width, bytes32[] memory proof)
        private
        pure
        returns (bytes32)
    {
        if (width == 0) return bytes32(0);
        uint256 used;
        uint256 end = index + nodes.length;
        for (; width > 1; width = (width + 1) / 2) {
            uint256 start = index / 2;
            for (uint256 left = 2 * start; left < end; left += 2) {
                bytes32 node = left < index ? _at(proof, used++) : nodes[left - index];
                if (left + 1 < width) {
                    bytes32 right = left + 1 < end ? nodes[left + 1 - index] : _at(proof, used++);
                    node = keccak256(abi.encodePacked(bytes1(0x01), node, right));
                }
                nodes[left / 2 - start] = node;
            }
            index = start;
            end = (end + 1) / 2;
        }
        if (used != proof.length) revert WrongProofLength(used, proof.length);
        return nodes[0];
    }

    /// @dev Zero beyond the end: what is missing is counted first and told then.
    function _at(bytes32[] memory list, uint256 index) private pure returns (bytes32) {
        return index < list.length ? list[index] : bytes32(0);
    }
}
