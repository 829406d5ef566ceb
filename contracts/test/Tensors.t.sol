// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Tensor} from "../src/IInference.sol";
import {Tensors} from "../src/Tensors.sol";
import {Test} from "./utils/Test.sol";

contract TensorsTest is Test {
    function testFuzz_int64RoundTrip(int64[] memory values) public pure {
        Tensor memory t = Tensors.fromInt64Array(values, Tensors.shape1(uint32(values.length)));
        int64[] memory got = Tensors.toInt64Array(t);
        vm.assertEq(keccak256(abi.encode(got)), keccak256(abi.encode(values)));
    }

    function testFuzz_int32RoundTrip(int32[] memory values) public pure {
        Tensor memory t = Tensors.fromInt32Array(values, Tensors.shape1(uint32(values.length)));
        vm.assertEq(keccak256(abi.encode(Tensors.toInt32Array(t))), keccak256(abi.encode(values)));
    }

    function testFuzz_boolRoundTrip(bool[] memory values) public pure {
        Tensor memory t = Tensors.fromBoolArray(values, Tensors.shape1(uint32(values.length)));
        vm.assertEq(keccak256(abi.encode(Tensors.toBoolArray(t))), keccak256(abi.encode(values)));
    }

    function testFuzz_f32BitsRoundTrip(uint32[] memory values) public pure {
        Tensor memory t = Tensors.fromF32Bits(values, Tensors.shape1(uint32(values.length)));
        vm.assertEq(keccak256(abi.encode(Tensors.toF32Bits(t))), keccak256(abi.encode(values)));
    }

    function test_bytesAreLittleEndian() public pure {
        int64[] memory values = new int64[](2);
        (values[0], values[1]) = (0x0102030405060708, -2);
        Tensor memory t = Tensors.fromInt64Array(values, Tensors.shape2(1, 2));
        vm.assertEq(t.data, hex"0807060504030201feffffffffffffff");
        vm.assertEq(t.dtype, 7);
        vm.assertEq(t.shape[1], 2);
        vm.assertEq(Tensors.fromWad(ints(1e18, -0.5e18, 0), Tensors.shape1(3)).data, hex"0000803f000000bf00000000");
        vm.assertEq(Tensors.fromUint8(hex"ff01", Tensors.shape1(2)).dtype, 2);
        vm.assertEq(Tensors.fromInt8(hex"ff01", Tensors.shape1(2)).dtype, 3);
        vm.assertEq(Tensors.shape4(1, 2, 3, 4)[3], 4);
    }

    /// @dev Values checked with Python's exact fractions.
    function test_wadToF32KnownValues() public pure {
        _check(1e18, 0x3f800000, 1e18);
        _check(0.1e18, 0x3dcccccd, 100000001490116119);
        _check(-0.1e18, 0xbdcccccd, -100000001490116119);
        _check(3.141592653589793238e18, 0x40490fdb, 3141592741012573242);
        _check(16777216e18, 0x4b800000, 16777216e18);
        _check(16777217e18, 0x4b800000, 16777216e18); // a tie, to even
        _check(16777219e18, 0x4b800002, 16777220e18); // a tie, to even
        _check(1, 0x219392ef, 1); // 10^-18
        _check(0, 0, 0);
        int256 greatest = 340282346638528859811704183484516925440;
        _check(greatest * 1e18, 0x7f7fffff, greatest * 1e18);
    }

    function test_wadBeyondF32() public {
        // Half a step above the greatest f32 rounds to infinity; one less rounds to the greatest.
        int256 half = 340282356779733661637539395458142568448;
        vm.assertEq(Tensors.wadToF32(half * 1e18 - 1), 0x7f7fffff);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ExceedsF32.selector, half * 1e18));
        this.wadToF32(half * 1e18);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ExceedsF32.selector, type(int256).min));
        this.wadToF32(type(int256).min);
    }

    /// @dev From 2^-36 on, neighbouring f32 lie further apart than 10^-18.
    function testFuzz_f32SurvivesWad(uint32 bits) public pure {
        uint32 exponent = uint32(bound((bits >> 23) & 0xff, 127 - 36, 254));
        bits = (bits & 0x807fffff) | exponent << 23;
        vm.assertEq(Tensors.wadToF32(Tensors.f32ToWad(bits)), bits);
    }

    /// @dev The result is nearest: no neighbour is nearer. Compared at the scale 10^18 * 2^60, where all is exact.
    function testFuzz_wadToF32IsNearest(int256 wad) public pure {
        wad = bound(wad, -1e44, 1e44);
        uint32 bits = Tensors.wadToF32(wad);
        if (bits & 0x7fffffff == 0) {
            vm.assertEq(wad, 0);
            return;
        }
        int256 scaled = wad << 104;
        uint256 off = _distance(scaled, _exact(bits));
        vm.assertLe(off, _distance(scaled, _exact(bits + 1)), "away from zero");
        vm.assertLe(off, _distance(scaled, _exact(bits - 1)), "towards zero");
        if (off == _distance(scaled, _exact(bits + 1))) vm.assertEq(bits & 1, 0, "tie");
        if (off == _distance(scaled, _exact(bits - 1))) vm.assertEq(bits & 1, 0, "tie");
    }

    function test_infinityAndNaNAreNoNumbers() public {
        uint32[3] memory bits = [uint32(0x7f800000), 0xff800000, 0x7fc00000];
        for (uint256 i; i < bits.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Tensors.NotFinite.selector, bits[i]));
            this.f32ToWad(bits[i]);
        }
        vm.assertEq(Tensors.f32ToWad(0x80000000), 0);
        vm.assertEq(Tensors.f32ToWad(1), 0); // the smallest subnormal
    }

    function test_shapeMustFitTheData() public {
        vm.expectRevert(abi.encodeWithSelector(Tensors.ShapeAndDataDiffer.selector, 4, 3));
        this.fromUint8(hex"010203", Tensors.shape2(2, 2));
        vm.expectRevert(abi.encodeWithSelector(Tensors.ShapeAndDataDiffer.selector, 32, 24));
        this.fromInt64(new int64[](3), Tensors.shape2(2, 2));
        Tensor memory t = Tensor({dtype: 1, shape: Tensors.shape1(2), data: hex"0000803f"});
        vm.expectRevert(abi.encodeWithSelector(Tensors.ShapeAndDataDiffer.selector, 8, 4));
        this.toWad(t);
        t.dtype = 7;
        vm.expectRevert(abi.encodeWithSelector(Tensors.WrongDtype.selector, 1, 7));
        this.toWad(t);
    }

    function wadToF32(int256 wad) external pure returns (uint32) {
        return Tensors.wadToF32(wad);
    }

    function f32ToWad(uint32 bits) external pure returns (int256) {
        return Tensors.f32ToWad(bits);
    }

    function fromUint8(bytes memory values, uint32[] memory shape) external pure {
        Tensors.fromUint8(values, shape);
    }

    function fromInt64(int64[] memory values, uint32[] memory shape) external pure {
        Tensors.fromInt64Array(values, shape);
    }

    function toWad(Tensor memory t) external pure {
        Tensors.toWad(t);
    }

    function _check(int256 wad, uint32 bits, int256 back) private pure {
        vm.assertEq(Tensors.wadToF32(wad), bits);
        vm.assertEq(Tensors.f32ToWad(bits), back);
    }

    /// @dev The f32's value times 10^18 * 2^104; exact for values of 10^-18 (about 2^-60) and more.
    function _exact(uint32 bits) private pure returns (int256 value) {
        uint256 exponent = (bits >> 23) & 0xff;
        value = int256(uint256(bits & 0x7fffff | 1 << 23) * 1e18);
        value = exponent + 104 >= 150 ? value << (exponent + 104 - 150) : value >> (150 - 104 - exponent);
        if (bits >> 31 == 1) value = -value;
    }

    function _distance(int256 a, int256 b) private pure returns (uint256) {
        return uint256(a > b ? a - b : b - a);
    }
}
