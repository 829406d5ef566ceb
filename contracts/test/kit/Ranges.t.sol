// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Inference} from "../../src/Inference.sol";
import {KitRanges} from "../../src/test-kit/KitRanges.sol";
import {ModelFixture} from "../../src/test-kit/ModelFixture.sol";
import {Test} from "../utils/Test.sol";

contract Ranges is KitRanges {
    function addModel(ModelFixture calldata m) external {
        _fixtures[m.modelId] = m;
    }

    function warnings(bytes calldata call) external view returns (string[] memory) {
        return _warnings(call);
    }

    function warn(bytes calldata call) external view {
        _warnOfRanges(call);
    }
}

/// @notice What the kit says of inputs that are a thousand times off.
contract KitRangesTest is Test {
    bytes32 private constant ID = keccak256("model");
    Ranges private ranges;

    function setUp() public {
        ranges = new Ranges();
        ModelFixture memory m;
        (m.modelId, m.name, m.rowFeatures, m.features) = (ID, "risk", 3, "age\nreturn\nunknown");
        m.ranges = abi.encodePacked(
            int128(18e18), int128(90e18), int128(-0.02e18), int128(0.03e18), type(int128).min, type(int128).min
        );
        ranges.addModel(m);
    }

    function test_valuesOfTheRangeAreNotMentioned() public view {
        _silent(40e18, 0.01e18);
        _silent(0, 0);
        _silent(90_000e18, -29e18);
        _silent(0.02e18, 0.00001e18);
    }

    function test_valuesAThousandTimesOffAreNamed() public view {
        string memory age = ", in the training data 18 to 90: scale forgotten? (values have 18 decimals: 1.5 is 1.5e18)";
        string memory change =
            ", in the training data -0.02 to 0.03: scale forgotten? (values have 18 decimals: 1.5 is 1.5e18)";
        _says(40e36, 0.01e18, string.concat("lockstep: risk: age is 4e19", age));
        _says(40, 0.01e18, string.concat("lockstep: risk: age is 4e-17", age));
        _says(-100_000e18, 0, string.concat("lockstep: risk: age is -100000", age));
        _says(0.017e18, 0, string.concat("lockstep: risk: age is 0.017", age));
        _says(40e18, 31e18, string.concat("lockstep: risk: return is 31", change));
        _says(40e18, -1, string.concat("lockstep: risk: return is -1e-18", change));
    }

    function test_extremesDoNotStopTheCall() public view {
        vm.assertGt(
            bytes(ranges.warnings(_call(type(int256).min, type(int256).max, type(int256).min))[1]).length, 0, "two"
        );
    }

    function test_noMoreThanFiveOfOneCall() public view {
        int256[] memory x = new int256[](30);
        for (uint256 i; i < 30; ++i) {
            x[i] = 7;
        }
        vm.assertEq(ranges.warnings(Inference.encodeInfer(ID, x)).length, 5);
        ranges.warn(Inference.encodeClassify(ID, x));
    }

    function test_otherCallsAreNotLookedAt() public view {
        vm.assertEq(ranges.warnings(hex"01020304").length, 0);
        vm.assertEq(ranges.warnings(Inference.encodeInfer("other", new int256[](3))).length, 0);
        vm.assertEq(ranges.warnings(abi.encodePacked(bytes4(0x12345678), new bytes(200))).length, 0);
    }

    function _silent(int256 age, int256 change) private view {
        vm.assertEq(ranges.warnings(_call(age, change, 5e60))[0], "");
    }

    function _says(int256 age, int256 change, string memory text) private view {
        string[] memory texts = ranges.warnings(_call(age, change, 5));
        vm.assertEq(texts[0], text);
        vm.assertEq(texts[1], "");
    }

    function _call(int256 age, int256 change, int256 unknown) private pure returns (bytes memory) {
        int256[] memory x = new int256[](3);
        (x[0], x[1], x[2]) = (age, change, unknown);
        return Inference.encodeInfer(ID, x);
    }
}
