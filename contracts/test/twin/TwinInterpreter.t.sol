// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference, Tensor} from "lockstep/IInference.sol";
import {TwinElementwise} from "lockstep/twin/TwinElementwise.sol";
import {TwinGraph} from "lockstep/twin/TwinGraph.sol";
import {TwinIntegers} from "lockstep/twin/TwinIntegers.sol";
import {TwinInterpreter} from "lockstep/twin/TwinInterpreter.sol";
import {TwinMovement} from "lockstep/twin/TwinMovement.sol";
import {TwinNames} from "lockstep/twin/TwinNames.sol";
import {TwinPools} from "lockstep/twin/TwinPools.sol";
import {TwinReductions} from "lockstep/twin/TwinReductions.sol";
import {TwinRun} from "lockstep/twin/TwinRun.sol";
import {TwinSelection} from "lockstep/twin/TwinSelection.sol";
import {TwinShapes} from "lockstep/twin/TwinShapes.sol";
import {TwinVectors} from "./Vectors.sol";

/// @notice The committed models against the engine's answers, every bit of every output.
contract TwinInterpreterTest is TwinVectors {
    event GasOfOneRow(string model, uint256 gas);

    TwinInterpreter private twin;
    string private json;
    bytes private graph;
    bytes private weights;

    function setUp() public {
        twin = new TwinInterpreter();
    }

    function load(string memory name) private {
        json = vm.readFile(string.concat("contracts/test/twin/vectors/model_", name, ".json"));
        graph = vm.parseJsonBytes(json, ".graph");
        weights = vm.parseJsonBytes(json, ".weights");
    }

    /// @dev `limit` bounds the gas of the first call, which has one row: in the build with CLZ. Without it (the folder that
    /// scripts/twin_portable.sh makes has that build alone) half as much again is allowed.
    function check(string memory name, uint256 inputs, uint256 outputs, uint256 limit) private {
        if (!vm.exists("contracts/src/twin/portable")) limit += limit / 2;
        load(name);
        for (uint256 c; c < 3; ++c) {
            Tensor[] memory x = tensors(c, "inputs", inputs);
            Tensor[] memory want = tensors(c, "outputs", outputs);
            (bytes memory g, bytes memory w) = (graph, weights);
            uint256 gas = gasleft();
            Tensor[] memory got = twin.run(g, w, x);
            gas -= gasleft();
            vm.assertEq(abi.encode(got), abi.encode(want), string.concat(name, ", call ", vm.toString(c)));
            if (c == 0) {
                vm.assertLt(gas, limit, string.concat("gas of ", name));
                emit GasOfOneRow(name, gas);
            }
        }
    }

    function tensors(uint256 call, string memory key, uint256 n) private view returns (Tensor[] memory t) {
        t = new Tensor[](n);
        for (uint256 i; i < n; ++i) {
            string memory path = string.concat(".calls[", vm.toString(call), "].", key, "[", vm.toString(i), "]");
            t[i] = tensor(vm.parseJsonBytes(json, path));
        }
    }

    function test_logisticRegression() public {
        check("breast_cancer_logreg", 1, 2, 600_000);
    }

    function test_boostedTreesOfTwoClasses() public {
        check("breast_cancer_xgb", 1, 2, 1_300_000);
    }

    function test_gradientBoostedRegression() public {
        check("diabetes_gbr", 1, 1, 2_800_000);
    }

    function test_boostedRegression() public {
        check("diabetes_xgb", 1, 1, 1_300_000);
    }

    function test_randomForest() public {
        check("iris_forest", 1, 2, 1_200_000);
    }

    function test_networkOfDigits() public {
        check("digits_mlp", 1, 2, 7_000_000);
    }

    function test_networkOfVolatility() public {
        check("volatility_mlp", 1, 1, 1_200_000);
    }

    function test_mixedInputs() public {
        check("wine_mixed", 8, 2, 1_600_000);
    }

    /// @dev Puts data into chunks of 24,512 bytes.
    function store(bytes memory data, uint160 first) private returns (address[] memory chunks) {
        chunks = new address[]((data.length + 24_511) / 24_512);
        for (uint256 i; i < chunks.length; ++i) {
            uint256 start = i * 24_512;
            uint256 n = data.length - start < 24_512 ? data.length - start : 24_512;
            bytes memory code = new bytes(n + 1);
            for (uint256 k; k < n; ++k) {
                code[k + 1] = data[start + k];
            }
            chunks[i] = address(first + uint160(i));
            vm.etch(chunks[i], code);
        }
    }

    function test_modelsInChunks() public {
        load("digits_mlp");
        Tensor[] memory x = tensors(0, "inputs", 1);
        address[] memory g = store(graph, 0x1000);
        address[] memory w = store(weights, 0x2000);
        assert(w.length == 2);
        vm.assertEq(abi.encode(twin.runStored(g, w, x)), abi.encode(tensors(0, "outputs", 2)));
        w[1] = address(0x3000);
        vm.expectRevert(
            abi.encodeWithSelector(IInference.TwinCannotRun.selector, "a chunk is not stored on this chain")
        );
        twin.runStored(g, w, x);
    }

    function test_convolutionalNetworkOfDigits() public {
        check("digits_cnn", 1, 1, 60_000_000);
    }

    function test_modulesFitTheLimitOfCode() public view {
        assert(address(twin).code.length < 24_576 && address(TwinRun).code.length < 24_576);
        assert(address(TwinElementwise).code.length < 24_576 && address(TwinReductions).code.length < 24_576);
        assert(address(TwinGraph).code.length < 24_576 && address(TwinNames).code.length < 24_576);
        assert(address(TwinMovement).code.length < 24_576 && address(TwinPools).code.length < 24_576);
        assert(address(TwinShapes).code.length < 24_576 && address(TwinSelection).code.length < 24_576);
        assert(address(TwinIntegers).code.length < 24_576);
    }
}
