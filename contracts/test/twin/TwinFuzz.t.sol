// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {Model} from "lockstep/IModelRegistry.sol";
import {TwinChain} from "./TwinAnswers.t.sol";

/// @dev In the registry's place: records without the costs of storing chunks.
contract Records {
    mapping(bytes32 modelId => Model) private _models;

    function put(bytes32 modelId, Model calldata model) external {
        _models[modelId] = model;
    }

    function getModel(bytes32 modelId) external view returns (Model memory) {
        return _models[modelId];
    }
}

/// @notice Random graphs and calls against the precompile's answers and errors, byte for byte.
/// @dev `scripts/twin_differential.sh 10000` makes them, by precompile/tests/twin.rs, and runs them here: all files of the
/// folder that TWIN_CASES names. Without it a committed sample runs. A file holds graphs (id, graph section, weights
/// section, number of calls; of each: call data, whether it succeeds, answer), each part with its length before it.
contract TwinFuzzTest is TwinChain {
    event Compared(uint256 graphs, uint256 calls, uint256 results);

    uint160 private nextChunk;

    function setUp() public {
        placeTwin();
        vm.etch(address(REGISTRY), address(new Records()).code);
    }

    function test_randomGraphsAnswerAsThePrecompile() public {
        string memory folder = vm.envOr("TWIN_CASES", string("contracts/test/twin/vectors"));
        (uint256 graphs, uint256 calls, uint256 results) = (0, 0, 0);
        for (uint256 i;; ++i) {
            string memory file = string.concat(folder, "/fuzz_", vm.toString(i), ".json");
            if (!vm.exists(file)) break;
            // In a frame of its own, whose memory goes with it.
            (uint256 g, uint256 c, uint256 r) = this.compare(file);
            (graphs, calls, results) = (graphs + g, calls + c, results + r);
        }
        emit Compared(graphs, calls, results);
        vm.assertGt(results, 50, "results");
        vm.assertGt(calls - results, 50, "errors");
    }

    function compare(string calldata file) external returns (uint256 graphs, uint256 calls, uint256 results) {
        bytes memory v = vm.parseJsonBytes(vm.readFile(file), ".cases");
        uint256 position;
        for (; position < v.length; ++graphs) {
            uint256 n;
            (n, position) = _register(v, position);
            for (uint256 c; c < n; ++c) {
                bytes[3] memory parts;
                for (uint256 i; i < 3; ++i) {
                    (parts[i], position) = _part(v, position);
                }
                (bool ok, bytes memory answer) = TWIN.staticcall(parts[0]);
                string memory name = string.concat(file, ", graph ", vm.toString(graphs), ", call ", vm.toString(c));
                vm.assertTrue(ok == (parts[1].length == 1), name);
                vm.assertEq(answer, parts[2], name);
                ++calls;
                if (ok) ++results;
            }
        }
    }

    function _register(bytes memory v, uint256 position) private returns (uint256 calls, uint256 next) {
        bytes[3] memory parts;
        for (uint256 i; i < 3; ++i) {
            (parts[i], position) = _part(v, position);
        }
        Model memory m;
        (m.status, m.activationBlock, m.ls1Version) = (2, 1, 1);
        (m.graphChunks, m.weightChunks) = (_chunks(parts[1]), _chunks(parts[2]));
        Records(address(REGISTRY)).put(bytes32(parts[0]), m);
        return (wordAt(v, position), position + 4);
    }

    function _part(bytes memory v, uint256 position) private pure returns (bytes memory p, uint256 next) {
        p = new bytes(wordAt(v, position));
        assembly ("memory-safe") {
            mcopy(add(p, 32), add(add(v, 36), position), mload(p))
        }
        next = position + 4 + p.length;
    }

    function _chunks(bytes memory data) private returns (address[] memory list) {
        list = new address[](data.length == 0 ? 0 : 1);
        if (list.length == 0) return list;
        // One chunk of any length: forge's EVM takes it.
        list[0] = address(0xc0de0000 + nextChunk++);
        vm.etch(list[0], bytes.concat(hex"00", data));
    }
}
