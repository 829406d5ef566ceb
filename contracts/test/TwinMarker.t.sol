// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IInference} from "../src/IInference.sol";
import {Inference} from "../src/Inference.sol";
import {Test} from "./utils/Test.sol";

/// @notice The code that genesis stores at the precompile's address, in an EVM that runs it.
contract TwinMarkerTest is Test {
    address private constant PRECOMPILE = 0x0000000000000000000000000000000000000a11;
    string private constant NO_PRECOMPILE =
        "this EVM has no Lockstep precompile: send the call to a Lockstep node, or use the test kit in forge";
    string private constant FOREIGN =
        "this account runs the code stored at 0xA11 (EIP-7702 delegation or a copy): call 0xA11 itself";

    function setUp() public {
        string memory json = vm.readFile("contracts/predeploys.json");
        vm.etch(PRECOMPILE, vm.parseJsonBytes(json, ".twinMarker.code"));
    }

    function testFuzz_anyCallReverts(bytes calldata data) public {
        _check(PRECOMPILE, data, 0, NO_PRECOMPILE);
    }

    function test_callWithValueReverts() public {
        vm.deal(address(this), 1);
        _check(PRECOMPILE, "", 1, NO_PRECOMPILE);
    }

    function test_delegatedAccountIsToldWhere() public {
        uint256 key = 0xa11ce;
        vm.signAndAttachDelegation(PRECOMPILE, key);
        _check(vm.addr(key), abi.encodeCall(IInference.describe, ("x")), 0, FOREIGN);
    }

    function test_tryInferDoesNotCatchIt() public {
        vm.expectRevert(abi.encodeWithSelector(IInference.TwinCannotRun.selector, NO_PRECOMPILE));
        this.tryInferOutside();
    }

    function tryInferOutside() external view {
        Inference.tryInfer("x", new int256[](1));
    }

    function _check(address account, bytes memory data, uint256 value, string memory reason) private {
        (bool ok, bytes memory answer) = account.call{value: value}(data);
        vm.assertFalse(ok, "status");
        vm.assertEq(answer, abi.encodeWithSelector(IInference.TwinCannotRun.selector, reason));
    }
}
