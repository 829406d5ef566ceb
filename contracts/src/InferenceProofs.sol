// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title Proofs of past inferences
/// @notice Each block of a Lockstep chain commits to its inferences in the header's extraData (docs/spec.md, section 13).
/// A proof shows a contract that one of them was made: which model, which inputs, which answer. The hash of the block is
/// read from EIP-2935, which knows the last 8,191 blocks; `check` takes it from elsewhere, for older ones.
/// @dev `cast rpc lockstep_getInferenceProof TRANSACTION` gives header, leaf and path.
library InferenceProofs {
    /// @notice One inference, as its block commits to it.
    struct Leaf {
        uint256 transactionIndex; // place of the transaction in the block
        bytes32 transactionHash;
        bytes32 modelId;
        bytes4 selector; // the function called: infer, classify or run
        bytes32 inputsHash; // of the inputs as the model took them
        bytes32 outputsHash; // of all outputs of the model
        bytes32 returnedHash; // keccak256 of the bytes that the call returned
        uint256 gas;
    }

    /// @notice One inference with the way from it to a block's header.
    struct Proof {
        bytes header; // RLP
        Leaf leaf;
        uint256 count; // inferences of the block
        uint256 index; // place of this one
        bytes32[] siblings; // from the leaves up
    }

    /// @notice The header is not the one of the block.
    error WrongHeader(bytes32 expected, bytes32 actual);
    /// @notice The header is no RLP list that holds number and extraData.
    error MalformedHeader();
    /// @notice The header commits to something else.
    error NotCommitted(bytes32 expected, bytes32 actual);
    /// @notice The path has another length than its place wants, or the place is none.
    error WrongPath(uint256 count, uint256 index, uint256 siblings);
    /// @notice Neither EIP-2935 nor BLOCKHASH knows the block any more, or it is not there yet.
    error UnknownBlock(uint256 number);
    /// @notice The inference is another model's.
    error WrongModel(bytes32 expected, bytes32 actual);
    /// @notice The call returned other bytes.
    error WrongAnswer(bytes32 expected, bytes32 actual);

    /// @notice Where EIP-2935 keeps the hashes of blocks.
    address internal constant BLOCK_HASHES = 0x0000F90827F1C53a10cb7A02335B175320002935;

    bytes32 private constant TAG = keccak256("lockstep.inferences.v1");
    uint256 private constant NUMBER = 8; // place of the number in a header
    uint256 private constant EXTRA_DATA = 12;

    /// @notice Reverts unless a recent block of this chain holds the inference. Returns the block's number.
    function verify(Proof memory proof) internal view returns (uint256 number) {
        (number,) = header(proof.header);
        check(proof, blockHash(number));
    }

    /// @notice As verify; the model must be `modelId` and the call must have returned `returned`, ABI-encoded.
    function verifyAnswer(Proof memory proof, bytes32 modelId, bytes memory returned)
        internal
        view
        returns (uint256 number)
    {
        number = verify(proof);
        if (proof.leaf.modelId != modelId) revert WrongModel(modelId, proof.leaf.modelId);
        bytes32 hash = keccak256(returned);
        if (proof.leaf.returnedHash != hash) revert WrongAnswer(hash, proof.leaf.returnedHash);
    }

    /// @notice Reverts unless the block with this hash holds the inference. That the block is on a chain is the caller's
    /// to know.
    function check(Proof memory proof, bytes32 hash) internal pure {
        bytes32 actual = keccak256(proof.header);
        if (actual != hash) revert WrongHeader(hash, actual);
        (, bytes32 extraData) = header(proof.header);
        bytes32 led = commitment(proof.count, proof.index, leafHash(proof.leaf), proof.siblings);
        if (led != extraData) revert NotCommitted(extraData, led);
    }

    /// @notice The hash of a leaf.
    function leafHash(Leaf memory leaf) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                uint8(0),
                leaf.transactionIndex,
                leaf.transactionHash,
                leaf.modelId,
                bytes32(leaf.selector),
                leaf.inputsHash,
                leaf.outputsHash,
                leaf.returnedHash,
                leaf.gas
            )
        );
    }

    /// @notice What the header holds, by a leaf and its path.
    function commitment(uint256 count, uint256 index, bytes32 leaf, bytes32[] memory siblings)
        internal
        pure
        returns (bytes32)
    {
        if (index >= count) revert WrongPath(count, index, siblings.length);
        uint256 used = 0;
        bytes32 node = leaf;
        uint256 place = index;
        for (uint256 width = count; width > 1; width = (width + 1) / 2) {
            // An odd last node moves up unchanged.
            uint256 neighbour = place % 2 == 0 ? place + 1 : place - 1;
            if (neighbour < width) {
                if (used == siblings.length) revert WrongPath(count, index, siblings.length);
                bytes32 sibling = siblings[used++];
                node = place % 2 == 0
                    ? keccak256(abi.encodePacked(uint8(1), node, sibling))
                    : keccak256(abi.encodePacked(uint8(1), sibling, node));
            }
            place /= 2;
        }
        if (used != siblings.length) revert WrongPath(count, index, siblings.length);
        return keccak256(abi.encodePacked(TAG, count, node));
    }

    /// @notice The hash of a past block of this chain.
    function blockHash(uint256 number) internal view returns (bytes32 hash) {
        (bool known, bytes memory answer) = BLOCK_HASHES.staticcall(abi.encode(number));
        if (known && answer.length == 32) hash = abi.decode(answer, (bytes32));
        if (hash == 0) hash = blockhash(number);
        if (hash == 0) revert UnknownBlock(number);
    }

    /// @notice Number and extraData of an RLP header; extraData must have 32 bytes.
    function header(bytes memory rlp) internal pure returns (uint256 number, bytes32 extraData) {
        (uint256 place, uint256 length, bool list) = item(rlp, 0);
        if (!list || place + length != rlp.length) revert MalformedHeader();
        uint256 end = rlp.length;
        for (uint256 k; k <= EXTRA_DATA; ++k) {
            if (place >= end) revert MalformedHeader();
            (uint256 start, uint256 size, bool nested) = item(rlp, place);
            if (nested) revert MalformedHeader();
            if (k == NUMBER) {
                if (size > 32) revert MalformedHeader();
                number = size == 0 ? 0 : uint256(word(rlp, start)) >> (8 * (32 - size));
            }
            if (k == EXTRA_DATA) {
                if (size != 32) revert MalformedHeader();
                extraData = word(rlp, start);
            }
            place = start + size;
        }
    }

    /// @dev The item of an RLP string that begins at `place`: where its content begins, its length, whether it is a list.
    function item(bytes memory rlp, uint256 place) private pure returns (uint256 start, uint256 length, bool list) {
        if (place >= rlp.length) revert MalformedHeader();
        uint256 first = uint8(rlp[place]);
        list = first >= 0xc0;
        if (first < 0x80) return (place, 1, false);
        uint256 short = first - (list ? 0xc0 : 0x80);
        start = place + 1;
        length = short;
        if (short > 55) {
            uint256 size = short - 55; // 1 to 8 bytes of length
            if (start + size > rlp.length) revert MalformedHeader();
            length = uint256(word(rlp, start)) >> (8 * (32 - size));
            start += size;
        }
        if (length > rlp.length || start + length > rlp.length) revert MalformedHeader();
    }

    /// @dev 32 bytes from `place` on; what lies behind the end is cut off by the caller.
    function word(bytes memory data, uint256 place) private pure returns (bytes32 w) {
        assembly ("memory-safe") {
            w := mload(add(add(data, 0x20), place))
        }
    }
}
