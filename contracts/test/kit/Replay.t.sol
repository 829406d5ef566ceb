// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Inference} from "../../src/Inference.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {KitInstaller} from "../../src/test-kit/KitInstaller.sol";
import {KitStore} from "../../src/test-kit/KitStore.sol";
import {VolatilityMlp} from "../models/VolatilityMlp.sol";
import {VolatilityMlpFixture} from "../models/VolatilityMlpFixture.sol";
import {Caller} from "../utils/Caller.sol";
import {Test} from "../utils/Test.sol";

/// @notice The back end `replay`: what another back end answered, from a file.
contract ReplayTest is Test, InferenceTest {
    string private constant FILE = "cache/lockstep-kit/test.replay";
    string private constant COMMITTED = "contracts/test/kit/volatility.replay";
    Caller private caller;

    function setUp() public {
        caller = new Caller();
    }

    function test_whatWasRecordedIsReplayedAtTheSameGas() public {
        bytes memory good = Inference.encodeInfer(VolatilityMlp.MODEL_ID, VolatilityMlp.row(VolatilityMlp.example()));
        bytes memory bad = Inference.encodeInfer(VolatilityMlp.MODEL_ID, new int256[](7));
        uint256 before = vm.snapshotState();
        vm.createDir("cache/lockstep-kit", true);
        recordAnswers(FILE);
        useModel(VolatilityMlpFixture.model());
        (bool ok, uint256 used, bytes memory answer) = caller.measure(INFERENCE_PRECOMPILE, 5_000_000, good);
        (bool refused, uint256 usedByRefusal, bytes memory refusal) =
            caller.measure(INFERENCE_PRECOMPILE, 5_000_000, bad);
        vm.assertTrue(ok && !refused, "recorded");

        vm.revertToState(before);
        useRecording(FILE);
        useModel(VolatilityMlpFixture.model());
        _checkReplay(good, true, used, answer);
        _checkReplay(bad, false, usedByRefusal, refusal);
        vm.removeFile(FILE);
    }

    /// @dev A model file is not read: its id was recorded.
    function test_modelFileNeedNotBeThere() public {
        useRecording(COMMITTED);
        vm.assertEq(useModel("no/such/volatility_mlp.lsm"), VolatilityMlp.MODEL_ID);
        vm.assertEq(VolatilityMlp.infer(VolatilityMlp.example()), VolatilityMlp.EXAMPLE_ANSWER);
        vm.assertEq(Inference.describe(VolatilityMlp.MODEL_ID).rowFeatures, 8);
    }

    /// @dev The test fails, also though the contract catches the revert, unless the call that is expected then comes.
    function test_callThatWasNotRecordedFailsTheTest() public {
        useRecording(COMMITTED);
        useModel("no/such/volatility_mlp.lsm");
        string memory reason =
            string.concat("this call was not recorded in ", COMMITTED, ": record again (docs/testing-contracts.md)");
        VolatilityMlp.Features memory x;
        vm.expectRevert(abi.encodeWithSelector(KitStore.KitFailed.selector, reason));
        this.infer(x);
        (bool ok,) = address(0x4C6f636B73746570).call(bytes(reason));
        ok;
    }

    function test_missingRecordingSaysHowToRecord() public {
        vm.expectPartialRevert(KitInstaller.NoBackend.selector);
        this.replayMissing();
    }

    function test_modelThatWasNotRecordedIsNamed() public {
        useRecording(COMMITTED);
        vm.expectPartialRevert(KitInstaller.NoBackend.selector);
        this.useOther();
    }

    function test_damagedRecordingIsRefused() public {
        vm.createDir("cache/lockstep-kit", true);
        string memory damaged = "cache/lockstep-kit/damaged.replay";
        vm.writeFile(damaged, "0x00 0x00 0x00\n");
        vm.expectPartialRevert(KitInstaller.NoBackend.selector);
        this.replay(damaged);
        vm.removeFile(damaged);
    }

    function infer(VolatilityMlp.Features memory x) external view {
        VolatilityMlp.infer(x);
    }

    function replayMissing() external {
        useRecording("contracts/test/kit/none.replay");
    }

    function replay(string memory path) external {
        useRecording(path);
    }

    function useOther() external {
        useModel("other.lsm");
    }

    function _checkReplay(bytes memory data, bool ok, uint256 used, bytes memory answer) private view {
        (bool replayed, uint256 usedNow, bytes memory answerNow) = caller.measure(INFERENCE_PRECOMPILE, 5_000_000, data);
        vm.assertEq(replayed, ok, "status");
        vm.assertEq(usedNow, used, "gas");
        vm.assertEq(answerNow, answer);
    }
}
