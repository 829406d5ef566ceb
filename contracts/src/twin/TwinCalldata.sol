// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference, Tensor} from "../IInference.sol";

/// @title Strict decoding of calls: one encoding of each is accepted (spec ABI-2)
/// @notice Walks the words in the order in which `abi.encode` writes them; the first that is another, or that is cut off,
/// reverts NotCanonical with its offset. Memory grows with the bytes read, never with a stated length.
library TwinCalldata {
    /// @notice A decoded call. `x` is infer's and classify's, `inputs` are run's; quote's and validate's bytes lie in the
    /// call data from `start` on.
    struct Call {
        bytes4 selector;
        bytes32 modelId;
        int256[] x;
        Tensor[] inputs;
        uint256 start;
        uint256 length;
    }

    /// @notice Decodes a call, selector included.
    function decode(bytes calldata d) internal pure returns (Call memory c) {
        // forge-lint: disable-next-line(unsafe-typecast)
        if (d.length < 4) revert IInference.UnknownSelector(bytes4(d));
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes4 selector = bytes4(d[:4]);
        c.selector = selector;
        uint256 next = 4;
        if (selector == IInference.infer.selector || selector == IInference.classify.selector) {
            c.modelId = bytes32(_word(d, 4));
            _expect(d, 36, 0x40);
            uint256 n = _length(d, 68, 32);
            c.x = new int256[](n);
            int256[] memory x = c.x;
            assembly ("memory-safe") {
                calldatacopy(add(x, 32), add(d.offset, 100), shl(5, n))
            }
            next = 100 + 32 * n;
        } else if (selector == IInference.run.selector) {
            c.modelId = bytes32(_word(d, 4));
            _expect(d, 36, 0x40);
            (c.inputs, next) = _tensors(d, 68);
        } else if (selector == IInference.quote.selector || selector == IInference.validate.selector) {
            _expect(d, 4, 0x20);
            c.start = 68;
            (c.length, next) = _bytes(d, 36);
        } else if (selector == IInference.describe.selector) {
            c.modelId = bytes32(_word(d, 4));
            next = 36;
        } else {
            revert IInference.UnknownSelector(selector);
        }
        if (next != d.length) revert IInference.NotCanonical(next);
    }

    function _word(bytes calldata d, uint256 position) private pure returns (uint256 w) {
        if (position + 32 > d.length) revert IInference.NotCanonical(position);
        assembly ("memory-safe") {
            w := calldataload(add(d.offset, position))
        }
    }

    function _expect(bytes calldata d, uint256 position, uint256 value) private pure {
        if (_word(d, position) != value) revert IInference.NotCanonical(position);
    }

    /// @dev A length whose contents take `unit` bytes each; it offends where they do not remain.
    function _length(bytes calldata d, uint256 position, uint256 unit) private pure returns (uint256 n) {
        n = _word(d, position);
        if (n > (d.length - position - 32) / unit) revert IInference.NotCanonical(position);
    }

    /// @dev A length, as many bytes, and zeros to the end of the last word: how many, and where the next word is.
    function _bytes(bytes calldata d, uint256 position) private pure returns (uint256 n, uint256 next) {
        n = _length(d, position, 1);
        next = position + 32 + n / 32 * 32;
        if (n % 32 != 0) {
            if (_word(d, next) << (8 * (n % 32)) != 0) revert IInference.NotCanonical(next);
            next += 32;
        }
    }

    function _tensors(bytes calldata d, uint256 position) private pure returns (Tensor[] memory tensors, uint256 next) {
        uint256 n = _length(d, position, 32);
        uint256 heads = position + 32;
        next = heads + 32 * n;
        tensors = new Tensor[](n);
        for (uint256 i; i < n; ++i) {
            _expect(d, heads + 32 * i, next - heads);
            next = _tensor(d, next, tensors[i]);
        }
    }

    function _tensor(bytes calldata d, uint256 start, Tensor memory t) private pure returns (uint256 next) {
        uint256 dtype = _word(d, start);
        if (dtype > type(uint8).max) revert IInference.NotCanonical(start);
        // forge-lint: disable-next-line(unsafe-typecast)
        t.dtype = uint8(dtype);
        _expect(d, start + 32, 0x60);
        uint256 stated = _word(d, start + 64);
        uint256 rank = _length(d, start + 96, 32);
        t.shape = new uint32[](rank);
        next = start + 128;
        for (uint256 i; i < rank; ++i) {
            uint256 dimension = _word(d, next);
            if (dimension > type(uint32).max) revert IInference.NotCanonical(next);
            // forge-lint: disable-next-line(unsafe-typecast)
            t.shape[i] = uint32(dimension);
            next += 32;
        }
        if (stated != next - start) revert IInference.NotCanonical(start + 64);
        uint256 data = next + 32;
        uint256 n;
        (n, next) = _bytes(d, next);
        t.data = d[data:data + n];
    }
}
