// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "../../src/IInference.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {MerkleReference} from "./MerkleReference.sol";
import {Test} from "./Test.sol";

/// @dev Its code begins like a chunk's, but it goes at the end of the transaction that made it (EIP-6780).
contract VanishingChunk {
    constructor(address destroyer, bytes memory data) {
        (bool ok,) = destroyer.delegatecall("");
        require(ok);
        bytes memory code = bytes.concat(hex"00", data);
        assembly {
            return(add(code, 32), mload(code))
        }
    }
}

/// @notice What tests of the registry share: the code of contracts/predeploys.json in its place, and models made of data.
abstract contract RegistryTest is Test {
    ModelRegistry internal constant REGISTRY = ModelRegistry(0x0000000000000000000000000000000000000A12);
    address internal constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;
    uint256 internal constant FULL = 24_512;

    function setUp() public {
        string memory json = vm.readFile("contracts/predeploys.json");
        // Coverage counts lines of what it has compiled itself.
        bool own = bytes(vm.envOr("LOCKSTEP_COVERAGE", string(""))).length != 0;
        vm.etch(address(REGISTRY), own ? type(ModelRegistry).runtimeCode : vm.parseJsonBytes(json, ".registry.code"));
        vm.etch(PRECOMPILE, hex"fe");
    }

    function _registered(uint256 graphLength, uint256 weightsLength) internal returns (bytes32) {
        return REGISTRY.register(1, _store(_data("graph", graphLength)), _store(_data("weights", weightsLength)));
    }

    /// @dev Mocks the precompile's verdict on any graph.
    function _validates(uint32 ls1Version, uint64 weightsLength) internal {
        vm.clearMockedCalls();
        bytes memory call = abi.encodeWithSelector(IInference.validate.selector);
        vm.mockCall(PRECOMPILE, call, abi.encode(ls1Version, weightsLength));
    }

    function _setCaps(uint32 models, uint64 weightBytes) internal {
        vm.store(address(REGISTRY), bytes32(uint256(3)), bytes32(uint256(weightBytes) << 32 | models));
    }

    function _slot(uint256 slot) internal view returns (uint256) {
        return uint256(vm.load(address(REGISTRY), bytes32(slot)));
    }

    function _store(bytes memory data) internal returns (address[] memory chunks) {
        chunks = new address[]((data.length + FULL - 1) / FULL);
        for (uint256 i; i < chunks.length; ++i) {
            chunks[i] = REGISTRY.storeChunk(MerkleReference.part(data, i * FULL, FULL));
        }
    }

    function _initCode(bytes memory data) internal pure returns (bytes memory) {
        return bytes.concat(hex"600b5981380380925939f300", data);
    }

    /// @dev `length` bytes that follow from a seed.
    function _data(bytes memory seed, uint256 length) internal pure returns (bytes memory data) {
        data = new bytes((length + 31) / 32 * 32);
        bytes32 word = keccak256(seed);
        for (uint256 i; i < length; i += 32) {
            word = keccak256(abi.encode(word));
            assembly ("memory-safe") {
                mstore(add(add(data, 32), i), word)
            }
        }
        assembly ("memory-safe") {
            mstore(data, length)
        }
    }
}
