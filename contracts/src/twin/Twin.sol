// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {IModelRegistry, Model} from "../IModelRegistry.sol";
import {TwinAnswer} from "./TwinAnswer.sol";
import {TwinCall} from "./TwinCall.sol";
import {TwinCalldata} from "./TwinCalldata.sol";
import {TwinChunks} from "./TwinChunks.sol";
import {TwinGas} from "./TwinGas.sol";
import {TwinGraph} from "./TwinGraph.sol";
import {Program, Request} from "./TwinProgram.sol";
import {TwinRun} from "./TwinRun.sol";
import {TwinShapes} from "./TwinShapes.sol";
import {Value} from "./TwinValues.sol";
import {TwinWork} from "./TwinWork.sol";

/// @title The twin: the precompile's ABI, answered by a Solidity interpreter of registered models (spec section 11)
/// @notice Genesis places it at 0x…0A11, where a Lockstep node never runs it: the node answers itself. It runs where the
/// chain's state is executed by other EVMs (forks in tools), in accounts that delegate to the address (EIP-7702), and on
/// chains where it is deployed. Its answers are the precompile's, bit for bit, and so are its errors; its gas is not. What
/// it cannot run reverts TwinCannotRun.
/// @dev Without storage, and without a look at its own address: it answers alike in every context. The modules are linked
/// libraries, because one contract holds 24,576 bytes.
contract Twin {
    /// @dev Bytes of data in a full chunk.
    uint256 private constant CHUNK = 24_512;

    /// @dev Where models are registered.
    IModelRegistry private immutable REGISTRY;

    /// @param registry The registry whose models it runs.
    constructor(IModelRegistry registry) {
        REGISTRY = registry;
    }

    /// @dev Takes call data of IInference and gives its result, encoded.
    fallback(bytes calldata data) external payable returns (bytes memory) {
        if (msg.value != 0) revert IInference.ValueNotAccepted(msg.value);
        TwinCalldata.Call memory c = TwinCalldata.decode(data);
        if (c.selector == IInference.quote.selector) {
            return abi.encode(_quote(data[c.start:c.start + c.length]));
        }
        _refuse(c.selector);
        (Program memory p,, address[] memory weightChunks) = _prepare(c);
        if (weightChunks.length * CHUNK < p.weightsLength) {
            revert IInference.TwinCannotRun("the model's weights are not on this chain");
        }
        bytes memory weights = TwinChunks.read(weightChunks);
        Value[] memory outputs = TwinRun.run(p, weights);
        if (c.selector == IInference.infer.selector) return TwinAnswer.infer(p, outputs);
        if (c.selector == IInference.classify.selector) return TwinAnswer.classify(p, outputs, c.modelId);
        return TwinAnswer.run(outputs);
    }

    /// @dev What a node charges for a call that succeeds.
    function _quote(bytes calldata data) private view returns (uint256 gas) {
        TwinCalldata.Call memory c = TwinCalldata.decode(data);
        gas = TwinGas.call(data.length);
        if (c.selector == IInference.quote.selector) revert IInference.UnknownSelector(c.selector);
        if (c.selector == IInference.validate.selector) return gas + TwinGas.graph(c.length);
        _refuse(c.selector);
        (Program memory p, uint256 milligas,) = _prepare(c);
        gas += TwinGas.shapes(p);
        uint256 size;
        if (c.selector == IInference.infer.selector) {
            size = TwinGas.inferred(p);
        } else if (c.selector == IInference.classify.selector) {
            milligas = TwinWork.plus(milligas, TwinGas.classifying(p, TwinAnswer.columns(p, c.modelId)));
            size = TwinGas.classified(p);
        } else {
            size = TwinGas.tensors(p);
        }
        gas = TwinWork.plus(gas, TwinGas.price(milligas, size));
    }

    /// @dev Both take shapes over symbols, which this interpreter does not have.
    function _refuse(bytes4 selector) private pure {
        if (selector == IInference.describe.selector) revert IInference.TwinCannotRun("describe: ask a Lockstep node");
        if (selector == IInference.validate.selector) revert IInference.TwinCannotRun("validate: ask a Lockstep node");
    }

    /// @dev The model at the shapes of the call, with the call's inputs; the run's price in thousandths of gas; where the
    /// weights lie. The order of the checks is the precompile's.
    function _prepare(TwinCalldata.Call memory c)
        private
        view
        returns (Program memory p, uint256 milligas, address[] memory weightChunks)
    {
        bytes memory graph;
        (graph, weightChunks) = _lookUp(c.modelId);
        bool tensors = c.selector == IInference.run.selector;
        Request memory q;
        if (tensors) q = TwinCall.request(c.inputs);
        else (q.rows, q.count) = (true, c.x.length);
        q.modelId = c.modelId;
        p = TwinGraph.decode(graph, q);
        Value[] memory results;
        (results, milligas) = TwinShapes.plan(p);
        TwinCall.place(p, results);
        if (c.selector == IInference.classify.selector) TwinAnswer.columns(p, c.modelId);
        if (tensors) TwinCall.readTensors(p, c.inputs);
        else TwinCall.readRows(p, c.x);
    }

    function _lookUp(bytes32 modelId) private view returns (bytes memory graph, address[] memory weightChunks) {
        if (address(REGISTRY).code.length == 0) revert IInference.TwinCannotRun("there is no model registry here");
        Model memory m = REGISTRY.getModel(modelId);
        if (m.status == 0) revert IInference.UnknownModel(modelId);
        if (m.status != 2) revert IInference.ModelNotActive(modelId, 0);
        if (block.number < m.activationBlock) revert IInference.ModelNotActive(modelId, m.activationBlock);
        if (m.ls1Version != 1) revert IInference.TwinCannotRun("a later version of LS1");
        return (TwinChunks.read(m.graphChunks), m.weightChunks);
    }
}
