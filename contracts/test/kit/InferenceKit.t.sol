// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "../../src/IInference.sol";
import {Inference} from "../../src/Inference.sol";
import {Model} from "../../src/IModelRegistry.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {KitStore} from "../../src/test-kit/KitStore.sol";
import {KitBinary} from "../../src/test-kit/KitBinary.sol";
import {Caller} from "../utils/Caller.sol";
import {Test} from "../utils/Test.sol";

/// @notice The shim and the native back end, against a program that answers what the test asks for.
contract InferenceKitTest is Test, InferenceTest {
    string private constant STUB = "contracts/test/kit/stub-lockstep";
    bytes32 private constant ID = 0xabababababababababababababababababababababababababababababababab;
    Caller private caller;

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

    /// @dev The least that the precompile charges, its base: exact once the test has called a cheatcode.
    function test_gasIsExactForSmallCharges() public {
        vm.roll(5);
        for (uint256 used = 700; used < 1000; used += 37) {
            _check(0, 100_000, used, 0);
            _check(1, 100_000, used, 68);
        }
    }

    function test_gasIsExactWhenNothingIsLeft() public view {
        for (uint256 spare; spare < 300; spare += 23) {
            _check(0, 50_000 + spare, 50_000, 64);
            _check(1, 50_000 + spare, 50_000, 64);
        }
        _check(0, 30_000_000, 30_000_000, 64);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_gasIsExact(uint256 used, uint256 spare, uint256 size, bool failure) public view {
        size = bound(size, 0, 3000);
        used = bound(used, 6000, 20_000_000);
        spare = bound(spare, 0, 1_000_000);
        _check(failure ? 1 : 0, used + spare, used, size);
    }

    function test_lessGasThanTheChargeBurnsAll() public view {
        (bool ok, uint256 used, bytes memory answer) =
            caller.measure(address(0xa11), 80_000, _ask(0, 80_001, 64, 80_000));
        vm.assertFalse(ok, "status");
        vm.assertEq(used, 80_000, "gas");
        vm.assertEq(answer.length, 0);
    }

    function test_outOfGasBurnsAll() public view {
        (bool ok, uint256 used,) = caller.measure(address(0xa11), 80_000, _ask(2, 80_000, 0, 80_000));
        vm.assertFalse(ok, "status");
        vm.assertEq(used, 80_000, "gas");
    }

    function test_littleGasIsOutOfGasAndLeavesMeteringOn() public view {
        for (uint256 given = 100; given < 6000; given += 299) {
            (bool ok, uint256 used,) = caller.measure(address(0xa11), given, _ask(0, 7000, 0, given));
            vm.assertFalse(ok, "status");
            vm.assertEq(used, given, "gas");
        }
        _check(0, 100_000, 20_000, 64);
    }

    function test_longCallDataGoesByFile() public view {
        int256[] memory x = new int256[](4000);
        (x[1], x[3]) = (1_000_000, 20_000_000);
        (bool ok, uint256 used,) = caller.measure(address(0xa11), 20_000_000, Inference.encodeInfer(ID, x));
        vm.assertTrue(ok, "status");
        vm.assertEq(used, 1_000_000, "gas");
    }

    function test_valueAndDelegationAreTold() public {
        vm.deal(address(this), 7);
        (bool ok, bytes memory answer) = caller.paid{value: 7}(_ask(0, 9000, 0, 0));
        vm.assertFalse(ok, "value");
        vm.assertEq(string(answer), "value 7 delegate False");
        (ok, answer) = caller.delegated(_ask(0, 9000, 0, 0));
        vm.assertFalse(ok, "delegatecall");
        vm.assertEq(string(answer), "value 0 delegate True");
    }

    function test_delegatedAccountRunsTheMarker() public {
        uint256 key = 0xa11ce;
        vm.signAndAttachDelegation(address(0xa11), key);
        (bool ok, bytes memory answer) = vm.addr(key).call(_ask(0, 9000, 0, 0));
        vm.assertFalse(ok, "7702");
        vm.assertEq(bytes32(bytes4(answer)), bytes32(IInference.TwinCannotRun.selector));
    }

    /// @dev The test fails, also though the contract catches the revert, unless the call that is expected then comes.
    function test_faultOfThisMachineFailsTheTest() public {
        (bool ok, uint256 used, bytes memory answer) = caller.measure(address(0xa11), 50_000, _ask(0, 9000, 0, 1));
        string memory reason = "lockstep cannot compute this here: given 1 gas, told 50000";
        vm.assertFalse(ok, "status");
        vm.assertEq(answer, abi.encodeWithSelector(KitStore.KitFailed.selector, reason));
        vm.assertLt(used, 50_000, "gas");
        (ok,) = address(0x4C6f636B73746570).call(bytes(reason));
    }

    function test_registryKnowsTheModel() public view {
        ModelRegistry registry = ModelRegistry(MODEL_REGISTRY);
        (uint8 status, uint64 activationBlock) = registry.status(ID);
        vm.assertEq(status, 2);
        vm.assertEq(activationBlock, 0);
        Model memory model = registry.getModel(ID);
        vm.assertEq(model.ls1Version, 1);
        vm.assertEq(model.graphLength, 100);
        vm.assertEq(model.weightsLength, 2000);
        vm.assertEq(model.graphHash, bytes32(uint256(0x11)));
        vm.assertEq(model.weightsRoot, bytes32(uint256(0x22)));
        vm.assertEq(registry.modelAt(registry.modelCount() - 1), ID);
        vm.assertEq(registry.activeAt(registry.activeCount() - 1), ID);
    }

    function test_addressIsWarmAsAPrecompile() public view {
        uint256 used;
        assembly {
            used := gas()
            let unused := extcodesize(0xa11)
            used := sub(sub(used, gas()), mul(0, unused))
        }
        vm.assertLt(used, 200, "cold");
    }

    function test_missingBinaryIsNamed() public {
        vm.expectRevert();
        this.useBinaryOutside("contracts/test/kit/no-such-file");
    }

    function test_noBinaryAnywhereSaysWhatToInstall() public {
        string[] memory places = new string[](2);
        (places[0], places[1]) = ("contracts/test/kit/no-such-file", "contracts/test/kit/neither");
        vm.expectRevert(
            abi.encodeWithSelector(
                KitBinary.NoLockstepBinary.selector,
                "no binary `lockstep` in target/release or PATH: build it with `cargo build --release -p lockstep-cli`, or set LOCKSTEP_BIN"
            )
        );
        this.searchOutside(places);
    }

    function test_firstBinaryThatExistsIsTaken() public {
        string[] memory places = new string[](2);
        (places[0], places[1]) = ("contracts/test/kit/no-such-file", STUB);
        vm.assertEq(this.searchOutside(places), STUB);
    }

    function test_otherVersionIsRefused() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                KitBinary.NoLockstepBinary.selector,
                "contracts/test/kit/stub-lockstep-9.9.9 has version 9.9.9, this test kit needs 0.1.0: build it with `cargo build --release -p lockstep-cli`, or set LOCKSTEP_BIN"
            )
        );
        this.useBinaryOutside("contracts/test/kit/stub-lockstep-9.9.9");
    }

    function useBinaryOutside(string memory path) external {
        useBinary(path);
    }

    function searchOutside(string[] memory places) external returns (string memory) {
        return KitBinary.search(places);
    }

    function _check(uint256 status, uint256 given, uint256 used, uint256 size) private view {
        (bool ok, uint256 measured, bytes memory answer) =
            caller.measure(address(0xa11), given, _ask(status, used, size, given));
        vm.assertEq(ok, status == 0, "status");
        vm.assertEq(measured, used, "gas");
        vm.assertEq(answer, _pattern(size), "data");
    }

    /// @dev The call by which the stub is told what to answer.
    function _ask(uint256 status, uint256 used, uint256 size, uint256 given) private pure returns (bytes memory) {
        int256[] memory x = new int256[](4);
        (x[0], x[1], x[2], x[3]) = (int256(status), int256(used), int256(size), int256(given));
        return Inference.encodeInfer(ID, x);
    }

    function _pattern(uint256 size) private pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 i; i < size; ++i) {
            data[i] = bytes1(uint8(i % 251));
        }
    }
}
