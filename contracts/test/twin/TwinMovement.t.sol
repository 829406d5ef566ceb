// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {IInference} from "lockstep/IInference.sol";
import {TwinMovement} from "lockstep/twin/TwinMovement.sol";
import {TwinValues, Value} from "lockstep/twin/TwinValues.sol";
import {Test} from "../utils/Test.sol";

contract TwinMovementTest is Test {
    function value(uint256 dtype, uint256 a, uint256 b) private pure returns (Value memory v) {
        uint256[] memory shape = new uint256[](2);
        (shape[0], shape[1]) = (a, b);
        v = TwinValues.empty(dtype, shape);
    }

    function test_gatherFailsForAnIndexOutside() public pure {
        Value memory index = value(TwinValues.I64, 1, 1);
        index.data[0] = 3;
        (, bool inside) = TwinMovement.gather(0, value(1, 3, 1), index.data);
        assert(!inside);
        index.data[0] = uint256(int256(-3));
        (, inside) = TwinMovement.gather(0, value(1, 3, 1), index.data);
        assert(inside);
    }

    function count(uint256 a, uint256 b) external pure returns (uint256) {
        uint256[] memory shape = new uint256[](2);
        (shape[0], shape[1]) = (a, b);
        return TwinValues.count(shape);
    }

    function test_hugeEmptyTensorsCostNothing() public {
        assert(this.count(1 << 63, 0) == 0 && this.count(0, 1 << 63) == 0);
        vm.expectRevert(abi.encodeWithSelector(IInference.TwinCannotRun.selector, "a tensor of 2^62 elements or more"));
        this.count(1 << 31, 1 << 31);
    }
}
