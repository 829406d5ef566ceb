// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference, ModelInfo} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {Model} from "../../src/IModelRegistry.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {KitBinary} from "../../src/test-kit/KitBinary.sol";
import {Test} from "../utils/Test.sol";

/// @dev Calls the precompile with a given amount of gas and measures what that cost.
contract Caller {
    /// @dev What the caller itself uses around a call: the CALL's fixed price and the steps between the two readings.
    uint256 private constant AROUND = 100 + 23;

    function measure(address target, uint256 amount, bytes memory data)
        external
        view
        returns (bool ok, uint256 used, bytes memory answer)
    {
        assembly ("memory-safe") {
            let pointer := add(data, 32)
            let size := mload(data)
            let before := gas()
            ok := staticcall(amount, target, pointer, size, 0, 0)
            used := sub(before, gas())
        }
        used -= AROUND;
        answer = new bytes(0);
        assembly ("memory-safe") {
            answer := mload(0x40)
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 32), 0, returndatasize())
            mstore(0x40, add(answer, add(32, and(add(returndatasize(), 31), not(31)))))
        }
    }

    function caught(bytes memory data) external view returns (bool ok) {
        (ok,) = address(0xa11).staticcall(data);
    }

    function delegated(bytes memory data) external returns (bool ok, bytes memory answer) {
        return address(0xa11).delegatecall(data);
    }

    function paid(bytes memory data) external payable returns (bool ok, bytes memory answer) {
        return address(0xa11).call{value: msg.value}(data);
    }
}

/// @notice The shim and the native back end, against a program that answers what the test asks for.
contract InferenceKitTest is Test, InferenceTest {
    string private constant STUB = "contracts/test/kit/stub-lockstep";
    bytes32 private constant ID = 0xabababababababababababababababababababababababababababababababab;
    Caller internal caller;

    function setUp() public {
        caller = new Caller();
        useBinary(STUB);
        vm.assertEq(useModel("any.lsm"), ID);
    }

    /// @dev The measure itself is right: the identity precompile costs 15 gas and 3 for each word.
    function test_measureOfAKnownPrecompile() public view {
        for (uint256 words; words < 4; ++words) {
            (bool ok, uint256 used,) = caller.measure(address(4), 100_000, new bytes(32 * words));
            vm.assertTrue(ok, "identity");
            vm.assertEq(used, 15 + 3 * words, "gas");
        }
    }

    function test_gasIsExactOverSizes() public view {
        uint256[8] memory sizes = [uint256(0), 1, 31, 32, 33, 1000, 10_000, 60_000];
        for (uint256 i; i < sizes.length; ++i) {
            _check(0, 1_000_000, 150_000, sizes[i]);
            _check(1, 1_000_000, 150_000, sizes[i]);
        }
    }

    function test_gasIsExactOverAmounts() public view {
        uint256[9] memory amounts =
            [uint256(3500), 3501, 3502, 4095, 10_000, 123_457, 1_000_000, 15_000_000, 100_000_000];
        for (uint256 i; i < amounts.length; ++i) {
            _check(0, amounts[i] * 2, amounts[i], 64);
            _check(1, amounts[i] * 2, amounts[i], 64);
        }
    }

    function test_gasIsExactWhenNothingIsLeft() public view {
        for (uint256 spare; spare < 300; spare += 7) {
            _check(0, 50_000 + spare, 50_000, 64);
            _check(1, 50_000 + spare, 50_000, 64);
        }
        _check(0, 30_000_000, 30_000_000, 64);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_gasIsExact(uint256 used, uint256 spare, uint256 size, bool failure) public view {
        size = bound(size, 0, 3000);
        used = bound(used, 6000, 20_000_000);
        spare = bound(spare, 0, 1_000_000);
        _check(failure ? 1 : 0, used + spare, used, size);
    }

    function _check(uint256 status, uint256 given, uint256 used, uint256 size) internal view {
        (bool ok, uint256 measured, bytes memory answer) =
            caller.measure(address(0xa11), given, _ask(status, used, size, given));
        vm.assertEq(ok, status == 0, "status");
        vm.assertEq(measured, used, "gas");
        vm.assertEq(answer, _pattern(size), "data");
    }

    /// @dev The call by which the stub is told what to answer.
    function _ask(uint256 status, uint256 used, uint256 size, uint256 given) internal pure returns (bytes memory) {
        int256[] memory x = new int256[](4);
        (x[0], x[1], x[2], x[3]) = (int256(status), int256(used), int256(size), int256(given));
        return Inference.encodeInfer(ID, x);
    }

    function _pattern(uint256 size) internal pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 i; i < size; ++i) {
            data[i] = bytes1(uint8(i % 251));
        }
    }
}
