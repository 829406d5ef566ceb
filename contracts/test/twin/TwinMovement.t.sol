// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {TwinMovement} from "lockstep/twin/TwinMovement.sol";
import {TwinValues, Value} from "lockstep/twin/TwinValues.sol";
import {Test} from "../utils/Test.sol";

contract TwinMovementTest is Test {
    function value(uint256 dtype, uint256 a, uint256 b) private pure returns (Value memory v) {
        uint256[] memory shape = new uint256[](2);
        (shape[0], shape[1]) = (a, b);
        v = TwinValues.empty(dtype, shape);
    }

    function test_gatherFailsOnlyWhereThereIsAResult() public pure {
        Value memory index = value(TwinValues.I64, 1, 1);
        index.data[0] = 3;
        (Value memory y, bool ok, bool inside) = TwinMovement.gather(0, value(1, 3, 0), index);
        assert(ok && inside && y.data.length == 0 && y.shape.length == 3 && y.shape[2] == 0);
        (, ok, inside) = TwinMovement.gather(0, value(1, 3, 1), index);
        assert(ok && !inside);
    }

    function test_hugeEmptyTensorsCostNothing() public pure {
        Value[] memory xs = new Value[](2);
        (xs[0], xs[1]) = (value(1, 1 << 32, 0), value(1, 1 << 32, 0));
        (Value memory y, bool ok) = TwinMovement.concat(1, xs);
        assert(ok && y.shape[0] == 1 << 32 && y.shape[1] == 0);
    }
}
