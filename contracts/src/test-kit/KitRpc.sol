// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {Answer, KitStore} from "./KitStore.sol";
import {KIT_VM} from "./KitVm.sol";

/// @title The back end `rpc`: a running node answers, by eth_call
/// @notice Models are those that are active on the node; gas is the node's, measured there.
abstract contract KitRpc is KitStore {
    /// @dev Where the node is told to imagine PROBE.
    string private constant PROBE_ADDRESS = "0x4c6f636b7374657050726f6265000000000000aa";

    /// @dev Passes its call data on to the precompile; returns abi.encode(failed, gas used, data):
    /// calldatacopy(0, 0, calldatasize); g = gas; ok = staticcall(gas, 0xa11, ..); used = g - gas - 115, which is what stands
    /// between the two readings beside the precompile's own charge.
    string private constant PROBE = "0x365f5f375a5f5f365f610a115afa5a9190155f520360739003602052606060405"
        "23d6060523d5f60803e3d6080015ff3";

    /// @dev Gas of the whole request: as much as nodes give to an eth_call.
    string private constant REQUEST_GAS = "0x2faf080";

    function _rpc(bytes calldata call) internal returns (Answer memory a) {
        bytes memory output;
        try KIT_VM.rpc(_rpcUrl, "eth_call", _request(KIT_VM.toString(call))) returns (bytes memory answer) {
            output = answer;
        } catch (bytes memory reason) {
            _fail(string.concat("eth_call to ", _rpcUrl, ": ", _text(reason)));
        }
        if (output.length < 128) _fail(string.concat("eth_call to ", _rpcUrl, " returned nothing"));
        uint256 length;
        (a.status, a.gasUsed,, length) = abi.decode(output, (uint256, uint256, uint256, uint256));
        a.data = new bytes(length);
        for (uint256 i; i < length; ++i) {
            a.data[i] = output[128 + i];
        }
        if (a.status != SUCCESS && length == 0) {
            _fail(string.concat("the call needs more gas than ", _rpcUrl, " gives to an eth_call"));
        }
    }

    function _request(string memory data) private pure returns (string memory) {
        return string.concat(
            '[{"to":"',
            PROBE_ADDRESS,
            '","gas":"',
            REQUEST_GAS,
            '","data":"',
            data,
            '"},"latest",{"',
            PROBE_ADDRESS,
            '":{"code":"',
            PROBE,
            '"}}]'
        );
    }
}
