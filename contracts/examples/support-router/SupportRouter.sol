// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Tensor} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {Tensors} from "../../src/Tensors.sol";
import {CodeData} from "../pure-solidity/CodeData.sol";
import {Embedding} from "./Embedding.sol";

/// @title Sends each request to the desk whose topic is nearest in meaning
/// @notice A sentence transformer runs inside the transaction. The client turns text into token ids (`lockstep tokenize`);
/// this contract embeds them, and compares with the topics' own embeddings, which it computed itself in the same way: nobody
/// can hand it a vector. Whoever disputes a routing repeats the call.
/// @dev The model: inputs `input_ids` i32 and `attention_mask` bool, both (batch, sequence), and one embedding in f32.
contract SupportRouter {
    /// @notice Desks that can be compared with, so that routing has a bounded price.
    uint256 public constant MAX_TOPICS = 32;
    /// @notice Tokens of one request or topic.
    uint256 public constant MAX_TOKENS = 64;
    /// @notice The topic of a request that is near to none.
    uint256 public constant NO_TOPIC = type(uint256).max;

    struct Topic {
        string name;
        address desk;
        /// @dev A contract whose code is the embedding.
        address embedding;
    }

    /// @notice The sentence transformer.
    bytes32 public immutable modelId;
    /// @notice Adds topics.
    address public immutable owner;
    /// @notice Least cosine, 18 decimals, at which a topic takes a request.
    int256 public immutable threshold;

    Topic[] private _topics;
    uint256 private _requests;

    /// @notice A topic can be chosen from now on.
    event TopicAdded(uint256 indexed topic, string name, address indexed desk);
    /// @notice A request was routed; `topic` is NO_TOPIC and `desk` zero where none was near enough.
    event RequestRouted(
        uint256 indexed request, uint256 indexed topic, address indexed desk, int256 similarity, bytes32 tokens
    );

    error NotOwner(address owner, address caller);
    error TooManyTopics(uint256 maximum);
    error TokenCount(uint256 maximum, uint256 actual);
    error NoTopics();
    error NotAnEmbedding(uint256 outputs);

    /// @param modelId_ The model, by content.
    /// @param threshold_ Cosine with 18 decimals: 0.3e18 leaves out what belongs nowhere.
    constructor(bytes32 modelId_, int256 threshold_) {
        (modelId, threshold, owner) = (modelId_, threshold_, msg.sender);
    }

    /// @notice Adds a topic, described by a sentence.
    /// @param tokenIds The sentence, as `lockstep tokenize` prints it.
    function addTopic(string calldata name, address desk, int32[] calldata tokenIds) external {
        if (msg.sender != owner) revert NotOwner(owner, msg.sender);
        uint256 topic = _topics.length;
        if (topic == MAX_TOPICS) revert TooManyTopics(MAX_TOPICS);
        _topics.push(Topic({name: name, desk: desk, embedding: CodeData.store(embed(tokenIds))}));
        emit TopicAdded(topic, name, desk);
    }

    /// @notice Routes a request and records where it went.
    /// @param tokenIds The request's text, as `lockstep tokenize` prints it.
    function submit(int32[] calldata tokenIds) external returns (uint256 request, uint256 topic) {
        int256 similarity;
        (topic, similarity) = route(tokenIds);
        request = _requests++;
        address desk = topic == NO_TOPIC ? address(0) : _topics[topic].desk;
        emit RequestRouted(request, topic, desk, similarity, keccak256(abi.encode(tokenIds)));
    }

    /// @notice The nearest topic and its cosine; NO_TOPIC where that is below the threshold. The first of equals wins.
    function route(int32[] calldata tokenIds) public view returns (uint256 topic, int256 similarity) {
        uint256 count = _topics.length;
        if (count == 0) revert NoTopics();
        bytes memory request = embed(tokenIds);
        similarity = type(int256).min;
        for (uint256 i; i < count; ++i) {
            int256 s = Embedding.dot(request, CodeData.load(_topics[i].embedding));
            if (s > similarity) (topic, similarity) = (i, s);
        }
        if (similarity < threshold) topic = NO_TOPIC;
    }

    /// @notice The model's vector for a text.
    function embed(int32[] calldata tokenIds) public view returns (bytes memory vector) {
        uint256 n = tokenIds.length;
        if (n == 0 || n > MAX_TOKENS) revert TokenCount(MAX_TOKENS, n);
        bool[] memory mask = new bool[](n);
        for (uint256 i; i < n; ++i) {
            mask[i] = true; // one text, without padding
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32[] memory shape = Tensors.shape2(1, uint32(n));
        Tensor[] memory inputs = new Tensor[](2);
        inputs[0] = Tensors.fromInt32Array(tokenIds, shape);
        inputs[1] = Tensors.fromBoolArray(mask, shape);
        Tensor[] memory outputs = Inference.run(modelId, inputs);
        if (outputs.length != 1) revert NotAnEmbedding(outputs.length);
        return Embedding.fromTensor(outputs[0]);
    }

    /// @notice A topic.
    function topicAt(uint256 topic) external view returns (string memory name, address desk) {
        Topic storage t = _topics[topic];
        return (t.name, t.desk);
    }

    /// @notice Number of topics.
    function topicCount() external view returns (uint256) {
        return _topics.length;
    }
}
