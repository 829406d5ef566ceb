// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../src/IInference.sol";
import {IModelRegistry, Model} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Test} from "./utils/Test.sol";

/// @dev Anyone: stores, registers and activates in any order, with chunks that are none too, and sends what no function
/// takes. Remembers every model as it was when it became active.
contract RegistryUsers is Test {
    IModelRegistry public constant REGISTRY = IModelRegistry(0x0000000000000000000000000000000000000A12);
    uint256 private constant FULL = 24_512;
    bytes32[] public active;
    mapping(bytes32 modelId => bytes32 hash) private meaning;
    address[] private chunks;
    bytes32[] private registered;

    constructor() {
        chunks.push(address(this));
        store(1, 1);
    }

    function store(uint256 seed, uint256 length) public {
        bytes memory data = new bytes(bound(length, 1, 300));
        for (uint256 i; i < data.length; ++i) {
            data[i] = bytes1(uint8(uint256(keccak256(abi.encode(seed % 5, i)))));
        }
        chunks.push(REGISTRY.storeChunk(data));
    }

    function register(uint256 graph, uint256 weights, uint32 version) external {
        address[] memory g = new address[](1);
        address[] memory w = new address[](weights % 2);
        g[0] = chunks[graph % chunks.length];
        if (w.length == 1) w[0] = chunks[weights % chunks.length];
        try REGISTRY.register(version % 3, g, w) returns (bytes32 modelId) {
            registered.push(modelId);
        } catch {}
    }

    /// @dev Registration in steps, with the root of one chunk, which may be another than the one that comes later.
    function open(uint256 graph, uint256 weights) external {
        address[] memory g = new address[](1);
        g[0] = chunks[graph % chunks.length];
        address chunk = chunks[weights % chunks.length];
        _validated(1, uint64(chunk.code.length - 1));
        try REGISTRY.open(g, chunk.codehash) returns (bytes32 modelId) {
            registered.push(modelId);
        } catch {}
    }

    function append(uint256 which, uint256 first, uint256 weights, uint256 proof) external {
        if (registered.length == 0) return;
        address[] memory w = new address[](1);
        w[0] = chunks[weights % chunks.length];
        bytes32 modelId = registered[which % registered.length];
        try REGISTRY.append(modelId, first % 3, w, new bytes32[](proof % 5 == 0 ? 1 : 0)) {} catch {}
    }

    function _validated(uint32 version, uint64 length) private {
        vm.mockCall(
            0x0000000000000000000000000000000000000a11,
            abi.encodeWithSelector(IInference.validate.selector),
            abi.encode(version, length)
        );
    }

    function activate(uint256 which) external {
        if (registered.length == 0) return;
        bytes32 modelId = registered[which % registered.length];
        (uint8 before,) = REGISTRY.status(modelId);
        Model memory m = REGISTRY.getModel(modelId);
        _validated(m.ls1Version, m.weightsLength);
        try REGISTRY.activate(modelId) {
            vm.assertEq(before, 1);
            active.push(modelId);
            meaning[modelId] = hashOf(modelId);
        } catch {}
    }

    function anything(bytes calldata call, uint96 value) external {
        vm.deal(address(this), value);
        (bool ok,) = address(REGISTRY).call{value: value}(call);
        ok;
    }

    function wait(uint256 blocks) external {
        vm.roll(block.number + bound(blocks, 1, 1e6));
    }

    /// @dev Record and content: what the precompile reads, and the code of every chunk.
    function hashOf(bytes32 modelId) public view returns (bytes32 hash) {
        Model memory m = REGISTRY.getModel(modelId);
        hash = keccak256(abi.encode(m));
        for (uint256 i; i < m.graphChunks.length; ++i) {
            hash = keccak256(abi.encode(hash, m.graphChunks[i].codehash));
        }
        for (uint256 i; i < m.weightChunks.length; ++i) {
            hash = keccak256(abi.encode(hash, m.weightChunks[i].codehash));
        }
    }

    function count() external view returns (uint256) {
        return active.length;
    }

    function changed() external view returns (uint256 n) {
        for (uint256 i; i < active.length; ++i) {
            if (hashOf(active[i]) != meaning[active[i]]) ++n;
        }
    }

    function silenced() external view returns (uint256 n) {
        for (uint256 i; i < active.length; ++i) {
            (uint8 status, uint64 activationBlock) = REGISTRY.status(active[i]);
            if (status != 2 || activationBlock == 0 || REGISTRY.activeAt(i) != active[i]) ++n;
        }
    }
}

/// @notice Nothing that anyone does changes what an active modelId means, or ends that it can be called.
contract ModelRegistryInvariantTest is Test {
    RegistryUsers private users;

    function setUp() public {
        vm.etch(0x0000000000000000000000000000000000000A12, type(ModelRegistry).runtimeCode);
        vm.etch(0x0000000000000000000000000000000000000a11, hex"fe");
        users = new RegistryUsers();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(users);
    }

    function invariant_activeModelsKeepTheirMeaning() public view {
        vm.assertEq(users.changed(), 0);
    }

    function invariant_activeModelsStayCallableForEver() public view {
        vm.assertEq(users.silenced(), 0);
    }

    /// @dev The invariants are not empty: these users make models active, at once and in steps, and a change would be seen.
    function test_theseUsersActivateModelsAndAChangeIsSeen() public {
        for (uint256 i = 1; i < 12; ++i) {
            users.store(i, 20 * i);
            users.register(i, 2 * i + 1, 1);
            users.open(i, i);
        }
        for (uint256 model; model < 24; ++model) {
            for (uint256 chunk = 1; chunk < 12; ++chunk) {
                users.append(model, 0, chunk, 1);
            }
            users.activate(model);
        }
        uint256 n = users.count();
        vm.assertGt(n, 10, "active models");
        (uint256 changed, uint256 silenced) = (users.changed(), users.silenced());
        vm.assertEq(changed + silenced, 0);
        address registry = 0x0000000000000000000000000000000000000A12;
        bytes32 record = keccak256(abi.encode(users.active(0), uint256(0)));
        vm.store(registry, bytes32(uint256(record) + 1), bytes32(uint256(1)));
        vm.assertEq(users.changed(), 1, "another graph hash");
        bytes32 word = vm.load(registry, record);
        vm.store(registry, record, bytes32(uint256(word) - 1));
        vm.assertEq(users.silenced(), 1, "registered only");
    }
}
