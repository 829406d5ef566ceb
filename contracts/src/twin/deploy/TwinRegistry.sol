// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "../../IInference.sol";
import {ModelRegistry} from "../../ModelRegistry.sol";
import {TwinGraph} from "../TwinGraph.sol";
import {Program, Request} from "../TwinProgram.sol";
import {TwinShapes} from "../TwinShapes.sol";

/// @title The registry for chains without the precompile, for the twin that is deployed beside it
/// @notice On such a chain no node checks a graph; the twin itself does, as far as it runs it: the strict decoder, and types
/// and shapes with every symbol 1. What fails there is not activated. (A graph may still not fit larger symbols: its calls
/// then revert ShapeMismatch.)
contract TwinRegistry is ModelRegistry {
    /// @notice What activation asks: the version of the arithmetic and the length of the weights that the graph wants.
    function validate(bytes calldata graph) external pure returns (uint32 ls1Version, uint64 weightsLength) {
        Request memory q;
        q.any = true;
        Program memory p = TwinGraph.decode(graph, q);
        TwinShapes.plan(p);
        // Eight bytes in the graph.
        // forge-lint: disable-next-line(unsafe-typecast)
        return (1, uint64(p.weightsLength));
    }

    function _precompile() internal view override returns (IInference) {
        return IInference(address(this));
    }
}
