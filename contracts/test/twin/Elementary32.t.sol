// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.31;

import {Elementary32} from "lockstep/twin/Elementary32.sol";
import {Vectors} from "./Vectors.sol";

contract Elementary32Test is Vectors {
    function check(string memory name, function(uint256) pure returns (uint256) f) private view {
        bytes memory v = readVectors("elementary.json", name);
        uint256 n = v.length / 8;
        assert(n >= 2000);
        for (uint256 i; i < n; ++i) {
            (uint256 a, uint256 want) = (word(v, 2 * i), word(v, 2 * i + 1));
            uint256 got = f(a);
            if (got != want) vm.assertEq(got, want, string.concat(name, " ", vm.toString(a)));
        }
    }

    function test_exp() public view {
        check("exp", Elementary32.exp);
    }

    function test_expm1() public view {
        check("expm1", Elementary32.expm1);
    }

    function test_log() public view {
        check("log", Elementary32.log);
    }

    function test_log1p() public view {
        check("log1p", Elementary32.log1p);
    }

    function test_tanh() public view {
        check("tanh", Elementary32.tanh);
    }

    function test_erf() public view {
        check("erf", Elementary32.erf);
    }

    function test_sigmoid() public view {
        check("sigmoid", Elementary32.sigmoid);
    }

    function test_softplus() public view {
        check("softplus", Elementary32.softplus);
    }

    /// @dev No argument is undecided: the intervals are far narrower than any distance from a tie.
    function testFuzz_everyArgumentIsDecided(uint32 x) public pure {
        uint256 e = Elementary32.exp(x);
        Elementary32.log(x);
        Elementary32.log1p(x);
        Elementary32.expm1(x);
        uint256 t = Elementary32.tanh(x);
        uint256 f = Elementary32.erf(x);
        // Odd functions, and the sign of a power of e.
        assert(Elementary32.tanh(x ^ 0x80000000) == (t == 0x7fc00000 ? t : t ^ 0x80000000));
        assert(Elementary32.erf(x ^ 0x80000000) == (f == 0x7fc00000 ? f : f ^ 0x80000000));
        assert(e < 0x80000000);
    }
}
