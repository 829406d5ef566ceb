// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {InferenceTest} from "lockstep/test-kit/InferenceTest.sol";
import {Cellar, Wine} from "../src/Cellar.sol";
import {WineFixture} from "./WineFixture.sol";

contract CellarTest is InferenceTest {
    Cellar cellar = new Cellar();

    function setUp() public {
        useModel(WineFixture.model());
    }

    function test_baroloIsAccepted() public {
        cellar.accept(Wine.example());
        assert(cellar.bottles() == 1);
    }
}
