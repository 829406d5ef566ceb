// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Tensor} from "../IInference.sol";
import {TwinCall} from "./TwinCall.sol";
import {TwinChunks} from "./TwinChunks.sol";
import {TwinGraph} from "./TwinGraph.sol";
import {Program} from "./TwinProgram.sol";
import {TwinRun} from "./TwinRun.sol";
import {TwinShapes} from "./TwinShapes.sol";
import {Value} from "./TwinValues.sol";

/// @title Runs a Lockstep model in Solidity without a registry, bit for bit as the engine does
/// @notice It takes the sections of the model file and answers as `run` does, except that NaNs in outputs are returned.
contract TwinInterpreter {
    /// @notice The outputs of the model in its order.
    /// @param graph The graph section of the model file.
    /// @param weights Its weights section.
    /// @param inputs One tensor for each input of the model.
    function run(bytes calldata graph, bytes calldata weights, Tensor[] calldata inputs)
        external
        view
        returns (Tensor[] memory outputs)
    {
        (outputs,) = _run(graph, weights, inputs);
    }

    /// @notice The same with the price of the run in thousandths of gas (spec GAS-2).
    function runPriced(bytes calldata graph, bytes calldata weights, Tensor[] calldata inputs)
        external
        view
        returns (Tensor[] memory outputs, uint256 milligas)
    {
        return _run(graph, weights, inputs);
    }

    /// @notice The same as `run`, of a model whose sections lie in chunks, as the registry stores them.
    function runStored(address[] calldata graphChunks, address[] calldata weightChunks, Tensor[] calldata inputs)
        external
        view
        returns (Tensor[] memory outputs)
    {
        (outputs,) = _run(TwinChunks.read(graphChunks), TwinChunks.read(weightChunks), inputs);
    }

    function _run(bytes memory graph, bytes memory weights, Tensor[] memory inputs)
        private
        view
        returns (Tensor[] memory outputs, uint256 milligas)
    {
        Program memory p = TwinGraph.decode(graph, TwinCall.request(inputs));
        Value[] memory results;
        (results, milligas) = TwinShapes.plan(p);
        TwinCall.place(p, results);
        TwinCall.readTensors(p, inputs);
        Value[] memory values = TwinRun.run(p, weights);
        outputs = new Tensor[](values.length);
        for (uint256 i; i < outputs.length; ++i) {
            outputs[i] = TwinCall.tensor(values[i]);
        }
    }
}
