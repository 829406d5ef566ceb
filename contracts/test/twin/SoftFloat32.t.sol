// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {Tensors} from "lockstep/Tensors.sol";
import {SoftFloat32} from "lockstep/twin/SoftFloat32.sol";
import {Vectors} from "./Vectors.sol";

contract SoftFloat32Test is Vectors {
    event GasOfFma(uint256 each);

    using SoftFloat32 for uint256;

    function check(string memory file, string memory name, function(uint256, uint256) pure returns (uint256) f)
        private
        view
    {
        bytes memory v = readVectors(file, name);
        uint256 n = v.length / 12;
        assert(n >= 2000);
        for (uint256 i; i < n; ++i) {
            (uint256 a, uint256 b, uint256 want) = (word(v, 3 * i), word(v, 3 * i + 1), word(v, 3 * i + 2));
            uint256 got = f(a, b);
            if (got != want) vm.assertEq(got, want, string.concat(name, " ", vm.toString(a), " ", vm.toString(b)));
        }
    }

    function test_add() public view {
        check("arithmetic.json", "add", SoftFloat32.add);
    }

    function test_sub() public view {
        check("arithmetic.json", "sub", SoftFloat32.sub);
    }

    function test_mul() public view {
        check("arithmetic.json", "mul", SoftFloat32.mul);
    }

    function test_div() public view {
        check("arithmetic.json", "div", SoftFloat32.div);
    }

    function test_max() public view {
        check("arithmetic.json", "max", SoftFloat32.max);
    }

    function test_min() public view {
        check("arithmetic.json", "min", SoftFloat32.min);
    }

    function test_fma() public view {
        bytes memory v = readVectors("conversions.json", "fma");
        uint256 n = v.length / 16;
        assert(n >= 4000);
        for (uint256 i; i < n; ++i) {
            (uint256 a, uint256 b, uint256 c) = (word(v, 4 * i), word(v, 4 * i + 1), word(v, 4 * i + 2));
            uint256 got = SoftFloat32.fma(a, b, c);
            if (got != word(v, 4 * i + 3)) {
                string memory where_ = string.concat(vm.toString(a), " ", vm.toString(b), " ", vm.toString(c));
                vm.assertEq(got, word(v, 4 * i + 3), where_);
            }
        }
    }

    function test_sqrtAndRounding() public view {
        bytes memory v = readVectors("conversions.json", "unary");
        uint256 n = v.length / 20;
        assert(n >= 2000);
        for (uint256 i; i < n; ++i) {
            uint256 a = word(v, 5 * i);
            vm.assertEq(a.sqrt(), word(v, 5 * i + 1), string.concat("sqrt ", vm.toString(a)));
            vm.assertEq(a.integral(0), word(v, 5 * i + 2), string.concat("floor ", vm.toString(a)));
            vm.assertEq(a.integral(1), word(v, 5 * i + 3), string.concat("ceil ", vm.toString(a)));
            vm.assertEq(a.integral(2), word(v, 5 * i + 4), string.concat("round ", vm.toString(a)));
        }
    }

    function test_fromInt() public view {
        bytes memory v = readVectors("conversions.json", "fromInt");
        assert(v.length / 12 >= 2000);
        for (uint256 i; i < v.length / 12; ++i) {
            int256 x = int64(uint64(word(v, 3 * i) << 32 | word(v, 3 * i + 1)));
            vm.assertEq(SoftFloat32.fromInt(x), word(v, 3 * i + 2));
        }
    }

    function test_toInt() public view {
        bytes memory v = readVectors("conversions.json", "toInt");
        assert(v.length / 24 >= 2000);
        for (uint256 i; i < v.length / 24; ++i) {
            uint256 a = word(v, 6 * i);
            vm.assertEq(a.toInt(0, 255), int256(word(v, 6 * i + 1)));
            vm.assertEq(a.toInt(-128, 127), int32(uint32(word(v, 6 * i + 2))));
            vm.assertEq(a.toInt(type(int32).min, type(int32).max), int32(uint32(word(v, 6 * i + 3))));
            int256 wide = int64(uint64(word(v, 6 * i + 4) << 32 | word(v, 6 * i + 5)));
            vm.assertEq(a.toInt(type(int64).min, type(int64).max), wide);
        }
    }

    function test_comparisonsWithZerosAndNaN() public pure {
        assert(SoftFloat32.eq(0, 0x80000000) && !SoftFloat32.lt(0x80000000, 0) && SoftFloat32.le(0, 0x80000000));
        assert(!SoftFloat32.eq(SoftFloat32.NAN, SoftFloat32.NAN) && !SoftFloat32.le(SoftFloat32.NAN, 0));
        assert(SoftFloat32.lt(SoftFloat32.NEG_INF, 0x80000001) && SoftFloat32.lt(0xbf800000, 0x3f800000));
        assert(SoftFloat32.totalKey(0xffc00000) > SoftFloat32.totalKey(SoftFloat32.INF));
    }

    function testFuzz_productsAndSumsAreSpecialFma(uint32 a, uint32 b) public pure {
        // a * b + 0 differs from a * b in a zero's sign only.
        uint256 product = SoftFloat32.mul(a, b);
        uint256 fused = SoftFloat32.fma(a, b, 0);
        assert(fused == (product == 0x80000000 ? 0 : product) || product & 0x7fffffff == 0);
        assert(SoftFloat32.fma(a, SoftFloat32.ONE, b) == SoftFloat32.add(a, b));
        assert(SoftFloat32.add(a, b) == SoftFloat32.add(b, a));
    }

    function testFuzz_wadOfIntegersIsTheIntegers(int128 v) public pure {
        assert(Tensors.wadToF32(int256(v) * 1e18) == SoftFloat32.fromInt(v));
    }

    function testFuzz_signs(uint32 a, uint32 b, uint32 c) public pure {
        uint256 r = SoftFloat32.fma(a, b, c);
        uint256 minus = SoftFloat32.fma(a ^ 0x80000000, b, c ^ 0x80000000);
        if (!r.isNaN() && r != 0) assert(minus == r ^ 0x80000000);
        assert(SoftFloat32.fma(b, a, c) == r);
    }

    function testFuzz_squareRootOfSquare(uint32 a) public pure {
        uint256 x = a & 0x7fffffff;
        if (x < 0x20000000 || x > 0x5f000000) return;
        assert(SoftFloat32.sqrt(SoftFloat32.mul(x, x)) == x);
        assert(SoftFloat32.div(x, x) == SoftFloat32.ONE);
    }

    /// @dev Gas of one fused multiply-add, the loop around it subtracted.
    function test_gasOfFma() public {
        uint256 acc = 0x3f800000;
        uint256 start = gasleft();
        for (uint256 i; i < 100; ++i) {
            acc = acc ^ 0x3f812345 ^ 0x3f812345;
        }
        uint256 empty = start - gasleft();
        start = gasleft();
        for (uint256 i; i < 100; ++i) {
            acc = SoftFloat32.fma(0x3f812345, 0xbf012345, acc);
        }
        uint256 each = (start - gasleft() - empty) / 100;
        emit GasOfFma(each);
        vm.assertLt(each, 1_000, "gas of a fused multiply-add");
        vm.assertGt(acc, 0, "a result");
    }
}
