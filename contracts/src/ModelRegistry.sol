// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "./IInference.sol";
import {Caps, IModelRegistry, Model} from "./IModelRegistry.sol";
import {RegistryDuty} from "./RegistryDuty.sol";

/// @title The model registry: which models exist, where their bytes lie, and from which block they can be called
/// @notice See IModelRegistry. A predeploy without constructor, owner or upgrade. Here are registration and activation; chunks,
/// storage and what goes with weights off chain are the parts that it inherits.
contract ModelRegistry is RegistryDuty {
    IInference private constant PRECOMPILE = IInference(0x0000000000000000000000000000000000000a11);

    bytes32 private constant MODEL_DOMAIN = keccak256("lockstep.model.v1");

    uint256 private constant BYTES_PER_BLOCK_OF_DELAY = 1 << 20;

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
        if (model.graphLength != 0) {
            // It was opened, or registered without its weights.
            if (!_isOffChain(model)) return modelId;
            if (model.weightsLength != weightsLength) {
                // forge-lint: disable-next-line(unsafe-typecast)
                revert WrongWeightsLength(modelId, model.weightsLength, uint64(weightsLength));
            }
            model.weightChunks = weightChunks;
            _complete(modelId, model);
            return modelId;
        }
        // Each chunk costs gas and holds less than 2^15 bytes: no block can name 2^17 of them.
        // forge-lint: disable-next-line(unsafe-typecast)
        (model.ls1Version, model.graphLength) = (ls1Version, uint32(graphLength));
        // forge-lint: disable-next-line(unsafe-typecast)
        model.weightsLength = uint64(weightsLength);
        model.graphHash = graphHash;
        model.weightsRoot = weightsRoot;
        model.graphChunks = graphChunks;
        model.weightChunks = weightChunks;
        _complete(modelId, model);
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
            _complete(modelId, model);
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
        if (!_isOffChain(model)) return appended;
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
        if (end == all) _complete(modelId, model);
        return end;
    }

    /// @inheritdoc IModelRegistry
    function activate(bytes32 modelId) external payable {
        Model storage model = _models[modelId];
        if (model.status == UNREGISTERED) revert UnknownModel(modelId);
        if (model.status == ACTIVATED) revert AlreadyActive(modelId, model.activationBlock);

        uint32 ls1Version = model.ls1Version;
        uint32 graphLength = model.graphLength;
        uint64 weightsLength = model.weightsLength;
        (uint32 graphVersion, uint64 graphWeights) = _precompile().validate(_readGraph(model.graphChunks, graphLength));
        if (graphVersion != ls1Version) revert WrongLs1Version(modelId, graphVersion, ls1Version);
        if (graphWeights != weightsLength) revert WrongWeightsLength(modelId, graphWeights, weightsLength);

        Caps memory bounds = _caps;
        uint256 place = _activated.length;
        if (bounds.maxActiveModels != 0 && place >= bounds.maxActiveModels) {
            revert TooManyActiveModels(bounds.maxActiveModels);
        }
        uint64 activeWeightBytes = _activeWeightBytes + weightsLength;
        if (bounds.maxActiveWeightBytes != 0 && activeWeightBytes > bounds.maxActiveWeightBytes) {
            revert TooManyActiveWeights(bounds.maxActiveWeightBytes, activeWeightBytes);
        }
        _takeSlot(modelId, model, place);

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

    /// @dev All weights of the record are listed, the last of them just now.
    function _complete(bytes32 modelId, Model storage model) private {
        uint8 before = model.status;
        if (before == ACTIVATED) {
            _endDuty(modelId);
        } else {
            model.status = REGISTERED;
        }
        if (before != UNREGISTERED) {
            emit WeightsCompleted(modelId);
            return;
        }
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
}
