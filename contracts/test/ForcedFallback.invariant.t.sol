// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../src/IInference.sol";
import {Inference} from "../src/Inference.sol";
import {InferenceTest} from "../src/test-kit/InferenceTest.sol";
import {KIT_TWIN} from "../src/test-kit/KitVm.sol";
import {VolatilityMlp} from "./models/VolatilityMlp.sol";
import {VolatilityMlpFixture} from "./models/VolatilityMlpFixture.sol";
import {Test} from "./utils/Test.sol";

/// @dev A contract with two branches: the model's answer, and what it does where the model refuses the input.
contract Lender {
    // They count from one: a branch that costs 5,000 gas is easier to reach with what is left than one of 22,100.
    uint256 public answered = 1;
    uint256 public fellBack = 1;

    function decide(int256[] calldata x) external virtual {
        (bool ok,,) = Inference.tryInfer(VolatilityMlp.MODEL_ID, x);
        _count(ok);
    }

    function _count(bool ok) internal {
        if (ok) ++answered;
        else ++fellBack;
    }
}

/// @dev The same, written without the library.
contract NaiveLender is Lender {
    function decide(int256[] calldata x) external override {
        try IInference(Inference.PRECOMPILE).infer(VolatilityMlp.MODEL_ID, x) returns (int256[] memory) {
            _count(true);
        } catch {
            _count(false);
        }
    }
}

/// @dev Chooses the gas of the lender's calls, and so what is left for the inference.
contract GasAttacker is Test {
    Lender private lender;
    int256[] private x;
    uint256 public attempts;

    constructor(Lender lender_) {
        lender = lender_;
        x = VolatilityMlp.row(VolatilityMlp.example());
    }

    /// @dev Little gas: the inference itself runs out.
    function starve(uint256 amount) external {
        _decide(bound(amount, 100, 60_000));
    }

    /// @dev About as much as the inference takes, and a little to go on with.
    function skim(uint256 amount) external {
        uint256 quoted = Inference.quoteInfer(VolatilityMlp.MODEL_ID, x);
        _decide(bound(amount, quoted, 2 * quoted + 30_000));
    }

    /// @dev Much: the twin, where that answers, runs out in one of its modules.
    function feed(uint256 amount) external {
        _decide(bound(amount, 60_000, 3_000_000));
    }

    function _decide(uint256 amount) private {
        ++attempts;
        try lender.decide{gas: amount}(x) {} catch {}
    }
}

/// @notice Nobody forces the fallback of a try by limiting gas: against the kit's stand-in for the precompile.
contract ForcedFallbackInvariantTest is Test, InferenceTest {
    Lender internal lender;
    GasAttacker internal attacker;

    function setUp() public virtual {
        // A model so dear that 1/64 of its gas pays for the other branch.
        mockOutput(VolatilityMlp.MODEL_ID, 65e18);
        setMockGas(1_500_000);
        lender = new Lender();
        attacker = new GasAttacker(lender);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(attacker);
    }

    function invariant_noGasForcesTheFallback() public view {
        vm.assertEq(lender.fellBack(), 1, "the fallback was forced");
    }

    /// @dev The invariant is not empty: without the library the same gas forces the other branch.
    function test_callerWithoutTheLibraryIsForced() public {
        int256[] memory x = VolatilityMlp.row(VolatilityMlp.example());
        Lender naive = new NaiveLender();
        naive.decide{gas: 1_000_000}(x);
        vm.assertEq(naive.fellBack(), 2);
        vm.expectRevert();
        lender.decide{gas: 1_000_000}(x);
    }
}

/// @notice The same against the twin itself at the precompile's address, as on a fork: it runs out of gas anywhere within.
contract ForcedFallbackOfTwinInvariantTest is ForcedFallbackInvariantTest {
    function setUp() public override {
        useModel(VolatilityMlpFixture.model());
        vm.etch(INFERENCE_PRECOMPILE, KIT_TWIN.code);
        lender = new Lender();
        attacker = new GasAttacker(lender);
    }

    /// @dev The lender does answer, and does fall back where the input is at fault.
    function test_bothBranchesExist() public {
        int256[] memory x = VolatilityMlp.row(VolatilityMlp.example());
        lender.decide(x);
        vm.assertEq(lender.answered(), 2);
        x[0] = type(int256).max;
        lender.decide(x);
        vm.assertEq(lender.fellBack(), 2);
    }
}
