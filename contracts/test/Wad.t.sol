// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Wad} from "../src/Wad.sol";
import {Test} from "./utils/Test.sol";

contract WadTest is Test {
    function test_examples() public pure {
        vm.assertEq(Wad.fromInteger(-3), -3e18);
        vm.assertEq(Wad.fromDecimals(int256(123_45678901), 8), 123.45678901e18); // a price feed's answer
        vm.assertEq(Wad.fromDecimals(uint256(1_500_000), 6), 1.5e18); // a balance
        vm.assertEq(Wad.fromDecimals(int256(-19), 19), -1); // cut off towards zero
        vm.assertEq(Wad.toDecimals(1.2345e18, 2), 123);
        vm.assertEq(Wad.toDecimals(-1.2345e18, 2), -123);
        vm.assertEq(Wad.round(2.5e18), 3);
        vm.assertEq(Wad.round(-2.5e18), -3);
        vm.assertEq(Wad.round(2.5e18 - 1), 2);
        vm.assertEq(Wad.fromIntegers(ints(1, -2, 3)), ints(1e18, -2e18, 3e18));
    }

    function testFuzz_fromDecimalsAndBack(int128 v, uint8 decimals) public pure {
        decimals = uint8(bound(decimals, 0, 18));
        vm.assertEq(Wad.toDecimals(Wad.fromDecimals(int256(v), decimals), decimals), v);
    }

    function testFuzz_roundIsNearest(int256 v) public pure {
        v = bound(v, type(int256).min + 1e18, type(int256).max - 1e18);
        int256 off = v - Wad.round(v) * 1e18;
        vm.assertLe(uint256(off < 0 ? -off : off), 0.5e18, "error");
    }

    function test_roundOfTheGreatestDoesNotOverflow() public pure {
        vm.assertEq(Wad.round(type(int256).max), type(int256).max / 1e18 + 1);
        vm.assertEq(Wad.round(type(int256).min), type(int256).min / 1e18 - 1);
    }

    function test_errors() public {
        vm.expectRevert(abi.encodeWithSelector(Wad.TooLarge.selector, type(uint256).max));
        this.fromUnsigned(type(uint256).max, 8);
        vm.expectRevert(abi.encodeWithSelector(Wad.TooManyDecimals.selector, 76, 77));
        this.rescale(1, 77, 18);
        vm.expectRevert(abi.encodeWithSelector(Wad.TooManyDecimals.selector, 76, 78));
        this.rescale(1, 18, 78);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        this.rescale(type(int256).max, 17, 18);
    }

    function fromUnsigned(uint256 v, uint8 decimals) external pure returns (int256) {
        return Wad.fromDecimals(v, decimals);
    }

    function rescale(int256 v, uint8 from, uint8 to) external pure returns (int256) {
        return Wad.rescale(v, from, to);
    }
}
