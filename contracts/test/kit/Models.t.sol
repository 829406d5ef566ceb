// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Inference} from "../../src/Inference.sol";
import {InferenceTest} from "../../src/test-kit/InferenceTest.sol";
import {ModelFixture} from "../../src/test-kit/ModelFixture.sol";
import {BreastCancerLogregFixture} from "../models/BreastCancerLogregFixture.sol";
import {BreastCancerXgbFixture} from "../models/BreastCancerXgbFixture.sol";
import {DiabetesGbrFixture} from "../models/DiabetesGbrFixture.sol";
import {DiabetesXgbFixture} from "../models/DiabetesXgbFixture.sol";
import {DigitsCnnFixture} from "../models/DigitsCnnFixture.sol";
import {DigitsMlpFixture} from "../models/DigitsMlpFixture.sol";
import {IrisForestFixture} from "../models/IrisForestFixture.sol";
import {VolatilityMlpFixture} from "../models/VolatilityMlpFixture.sol";
import {WineMixedFixture} from "../models/WineMixedFixture.sol";
import {Test} from "../utils/Test.sol";

/// @notice Every committed model from its fixture, with no flag: the bits of the engine's scalar reference and the node's gas.
/// @dev The calls and answers are those that contracts/test/native holds the native back end to.
contract FixtureModelsTest is Test, InferenceTest {
    function _check(string memory name, ModelFixture memory model) private {
        useModel(model);
        string memory json = vm.readFile("contracts/test/native/models.json");
        string memory place = string.concat(".", name);
        bytes memory call = vm.parseJsonBytes(json, string.concat(place, ".call"));
        (bool ok, bytes memory answer) = INFERENCE_PRECOMPILE.staticcall(call);
        vm.assertTrue(ok, name);
        vm.assertEq(keccak256(answer), keccak256(vm.parseJsonBytes(json, string.concat(place, ".answer"))));
        vm.assertEq(Inference.quote(call), vm.parseJsonUint(json, string.concat(place, ".gas")), "gas");
    }

    function test_breastCancerLogreg() public {
        _check("breast_cancer_logreg", BreastCancerLogregFixture.model());
    }

    function test_breastCancerXgb() public {
        _check("breast_cancer_xgb", BreastCancerXgbFixture.model());
    }

    function test_diabetesGbr() public {
        _check("diabetes_gbr", DiabetesGbrFixture.model());
    }

    function test_diabetesXgb() public {
        _check("diabetes_xgb", DiabetesXgbFixture.model());
    }

    function test_digitsCnn() public {
        _check("digits_cnn", DigitsCnnFixture.model());
    }

    function test_digitsMlp() public {
        _check("digits_mlp", DigitsMlpFixture.model());
    }

    function test_irisForest() public {
        _check("iris_forest", IrisForestFixture.model());
    }

    function test_volatilityMlp() public {
        _check("volatility_mlp", VolatilityMlpFixture.model());
    }

    function test_wineMixed() public {
        _check("wine_mixed", WineMixedFixture.model());
    }
}
