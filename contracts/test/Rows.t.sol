// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Row, Rows} from "../src/Rows.sol";
import {Test} from "./utils/Test.sol";

contract RowsTest is Test {
    function test_eachValueByItsUnit() public pure {
        int256[] memory x = Rows.create(4).fromWad(1.5e18).fromDecimals(int256(-3_000e8), 8)
            .fromDecimals(uint256(25e5), 6).fromInteger(42).done();
        vm.assertEq(x.length, 4);
        vm.assertEq(x[0], 1.5e18);
        vm.assertEq(x[1], -3_000e18);
        vm.assertEq(x[2], 2.5e18);
        vm.assertEq(x[3], 42e18);
    }

    function test_rowMustBeFullAndNoMore() public {
        vm.expectRevert(abi.encodeWithSelector(Rows.RowNotFull.selector, 2, 1));
        this.build(2, 1);
        vm.expectRevert(abi.encodeWithSelector(Rows.RowFull.selector, 2));
        this.build(2, 3);
        vm.assertEq(this.build(2, 2).length, 2);
        vm.assertEq(this.build(0, 0).length, 0);
    }

    function testFuzz_joinKeepsOrder(uint8 rows, uint8 width) public pure {
        int256[][] memory x = new int256[][](rows % 20);
        for (uint256 i; i < x.length; ++i) {
            x[i] = new int256[](width % 20);
            for (uint256 k; k < x[i].length; ++k) {
                x[i][k] = int256(1000 * i + k);
            }
        }
        int256[] memory flat = Rows.join(x);
        uint256 n = width % 20;
        vm.assertEq(flat.length, x.length * n);
        for (uint256 i; i < flat.length; ++i) {
            vm.assertEq(flat[i], int256(1000 * (i / n) + i % n));
        }
    }

    function test_unevenRowsAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(Rows.UnevenRows.selector, 1, 2, 3));
        this.joinUneven();
    }

    function build(uint256 length, uint256 given) external pure returns (int256[] memory) {
        Row memory row = Rows.create(length);
        for (uint256 i; i < given; ++i) {
            row.fromInteger(1);
        }
        return row.done();
    }

    function joinUneven() external pure returns (int256[] memory) {
        int256[][] memory x = new int256[][](2);
        (x[0], x[1]) = (new int256[](2), new int256[](3));
        return Rows.join(x);
    }
}
