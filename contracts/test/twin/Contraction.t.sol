// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {Contraction} from "lockstep/twin/Contraction.sol";
import {Vectors} from "./Vectors.sol";

contract ContractionTest is Vectors {
    event GasOfMultiplyAdd(uint256 each, uint256 decoding);

    function ptr(uint256[] memory x) private pure returns (uint256 p) {
        assembly {
            p := add(x, 32)
        }
    }

    function read(bytes memory v, uint256 from, uint256 n) private pure returns (uint256[] memory x) {
        x = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            x[i] = word(v, from + i);
        }
    }

    function test_blocksOfBothPaths() public view {
        bytes memory v = readVectors("contraction.json", "s1");
        (uint256 i, uint256 decoded) = (0, 0);
        while (i < v.length / 4) {
            uint256 n = word(v, i);
            uint256[] memory a = read(v, i + 1, n);
            uint256[] memory w = read(v, i + 1 + n, n);
            uint256 want = word(v, i + 1 + 2 * n);
            i += 2 + 2 * n;
            vm.assertEq(Contraction.s1General(ptr(a), ptr(w), 32, n), want, "general");
            (uint256[] memory x, bool xInside) = Contraction.decode(a, 0);
            (uint256[] memory y, bool yInside) = Contraction.decode(w, 1);
            if (xInside && yInside) {
                vm.assertEq(Contraction.s1Decoded(ptr(x), ptr(y), 32, n), want, "decoded");
                ++decoded;
            }
        }
        assert(decoded > 40);
    }

    function testFuzz_bothPathsAgree(uint256 seed, uint8 length, uint8 spread) public pure {
        uint256 n = uint256(length) * 2;
        (uint256[] memory a, uint256[] memory w) = (new uint256[](n), new uint256[](n));
        for (uint256 i; i < n; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 width = uint256(spread) % 98 + 1;
            a[i] = (seed & 0x807fffff) | ((76 + (seed >> 32) % width) << 23);
            w[i] = ((seed >> 64) & 0x807fffff) | ((76 + (seed >> 96) % width) << 23);
            if ((seed >> 128) % 16 == 0) a[i] &= 0x80000000;
        }
        (uint256[] memory x, bool xInside) = Contraction.decode(a, 0);
        (uint256[] memory y, bool yInside) = Contraction.decode(w, 1);
        assert(xInside && yInside);
        assert(Contraction.s1Decoded(ptr(x), ptr(y), 32, n) == Contraction.s1General(ptr(a), ptr(w), 32, n));
    }

    function test_windowOfDecodedOperands() public pure {
        uint256[] memory x = new uint256[](1);
        uint256[7] memory cases =
            [uint256(75 << 23), 76 << 23, 173 << 23 | 0x7fffff, 174 << 23, 0x80000000, 1, 0x7fc00000];
        bool[7] memory expected = [false, true, true, false, true, false, false];
        for (uint256 i; i < 7; ++i) {
            x[0] = cases[i];
            (, bool inside) = Contraction.decode(x, 0);
            assert(inside == expected[i]);
        }
    }

    /// @dev Matrices with values outside the window, some of which meet zeros only; w by rows or by columns.
    function testFuzz_productIsTheGeneralOne(uint256 seed, bool byColumns) public pure {
        (uint256 m, uint256 k, uint256 n) = (2, 1 + seed % 7, 1 + (seed >> 8) % 3);
        Contraction.Operands memory o;
        (o.a, o.w) = (new uint256[](m * k), new uint256[](k * n));
        for (uint256 i; i < m * k; ++i) {
            o.a[i] = element(seed, i, 3);
        }
        for (uint256 i; i < k * n; ++i) {
            o.w[i] = element(seed, 100 + i, 9);
        }
        (o.aDecoded,) = Contraction.decode(o.a, 0);
        (o.wDecoded,) = Contraction.decode(o.w, 1);
        bool finite;
        (o.aOutside, o.decoded) = Contraction.outside(o.a, o.aDecoded);
        (o.wOutside, finite) = Contraction.outside(o.w, o.wDecoded);
        o.decoded = o.decoded && finite;
        o.aRow = k;
        (o.wDepth, o.wColumn) = byColumns ? (uint256(1), k) : (n, uint256(1));
        uint256[] memory y = new uint256[](m * n);
        Contraction.product(o, m, k, n, y, 0);
        for (uint256 i; i < m * n; ++i) {
            uint256 a = ptr(o.a) + 32 * k * (i / n);
            uint256 w = ptr(o.w) + 32 * o.wColumn * (i % n);
            assert(y[i] == Contraction.s1General(a, w, 32 * o.wDepth, k));
        }
    }

    /// @dev Mostly zeros and ordinary values; one in `rare` is any pattern.
    function element(uint256 seed, uint256 i, uint256 rare) private pure returns (uint256) {
        uint256 x = uint256(keccak256(abi.encode(seed, i)));
        if ((x >> 64) % (rare * 4) == 0) return x & 0xffffffff;
        if ((x >> 64) % rare == 0) return x & 0x00ffffff; // zeros of small magnitude: subnormals and 2^-126
        return (x >> 128) % 2 == 0 ? x & 0x80000000 : (x & 0x807fffff) | (110 + (x >> 160) % 20) << 23;
    }

    /// @dev Gas of a multiply-add of decoded operands, and of decoding one.
    /// @dev The bound is that of every build.
    function test_gasOfMultiplyAdd() public {
        (uint256[] memory a, uint256[] memory w) = (new uint256[](256), new uint256[](256));
        for (uint256 i; i < 256; ++i) {
            a[i] = uint256(keccak256(abi.encode(i))) & 0x807fffff | (120 + i % 10) << 23;
            w[i] = uint256(keccak256(abi.encode(i, i))) & 0x807fffff | (118 + i % 7) << 23;
        }
        uint256 start = gasleft();
        (uint256[] memory x,) = Contraction.decode(a, 0);
        uint256 decoding = (start - gasleft()) / 256;
        (uint256[] memory y,) = Contraction.decode(w, 1);
        start = gasleft();
        Contraction.s1Decoded(ptr(x), ptr(y), 32, 256);
        uint256 each = (start - gasleft()) / 256;
        emit GasOfMultiplyAdd(each, decoding);
        vm.assertLt(each, 480, "gas of a multiply-add inside a block");
        vm.assertLt(decoding, 200, "gas of decoding an operand");
    }
}
