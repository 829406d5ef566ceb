// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title The test kit's code at the precompile's address
/// @notice Finds the answer while gas is not metered, then burns gas so that the frame as a whole has used exactly what the
/// precompile charges.
/// @dev Its compiled form is fixed in ShimCode.sol (written and checked by scripts/build_predeploys.sh), because ENTRY and
/// EXIT are the gas of exactly that code. contracts/test/kit measures them.
///
/// The answer is found in a call of its own, to Kit: where the caller gave so little gas that finding it fails, metering is
/// still resumed, and the call ends out of gas.
contract KitShim {
    /// @dev Gas from the start of the frame to the first reading of gas.
    uint256 private constant ENTRY = 23;
    /// @dev Gas from the last reading of gas to RETURN, without what the burn itself is given. To REVERT it is three less.
    uint256 private constant EXIT = 138;
    /// @dev Enough for the two cheatcode calls, the first of which may find the cheatcodes' account cold.
    uint256 private constant LEAST = 3_000;

    fallback() external payable {
        assembly {
            let given := add(gas(), ENTRY)
            function cheat(selector) {
                mstore(0, selector)
                pop(call(gas(), 0x7109709ECfa91a80626fF3989D68f67F5b1DD12D, 0, 0, 4, 0, 0))
            }
            function memoryGas(size) -> cost {
                let words := shr(5, add(size, 1024))
                cost := add(mul(3, words), shr(9, mul(words, words)))
            }
            if lt(gas(), LEAST) { invalid() } // out of gas

            cheat(0xd1a5b36f00000000000000000000000000000000000000000000000000000000) // pauseGasMetering()
            let answered := 0
            let size := 0
            if gt(gas(), memoryGas(calldatasize())) {
                // Kit.answer(uint256 given, uint256 value, address self, bytes call)
                mstore(0, 0x780801e700000000000000000000000000000000000000000000000000000000)
                mstore(4, given)
                mstore(36, callvalue())
                mstore(68, address())
                mstore(100, 128)
                mstore(132, calldatasize())
                calldatacopy(164, 0, calldatasize())
                // Warm it first: the 2,600 of a cold call would be missing from the gas that the call is given.
                pop(staticcall(gas(), 0x4c6f636b737465704B6974, 0, 0, 0, 0))
                answered := staticcall(gas(), 0x4c6f636b737465704B6974, 0, add(164, calldatasize()), 0, 0)
                size := returndatasize()
                if iszero(gt(gas(), memoryGas(size))) {
                    answered := 0
                    size := 0
                }
                returndatacopy(32, 0, size)
            }
            let status := 2 // out of gas
            let left := 0
            let kept := 0
            if answered {
                // At 32: status, gas used, 96, length, data.
                size := mload(128)
                left := sub(given, mload(64))
                if iszero(gt(left, given)) { status := mload(32) }
                kept := sub(add(left, EXIT), mul(3, status))
            }
            cheat(0x2bcd50e000000000000000000000000000000000000000000000000000000000) // resumeGasMetering()

            if gt(status, 1) {
                if or(answered, iszero(size)) { invalid() } // out of gas
                revert(32, size) // the kit failed
            }

            // The data's memory is charged here, so that RETURN and REVERT below cost nothing.
            mstore(add(160, size), 0)

            // A call is given at most 63/64 of what there is: while the last 64th is more than what shall be left and the
            // last steps cost, burn half. blake2f refuses an empty input and eats its gas.
            for {} gt(shr(6, gas()), add(left, 16)) {} { pop(staticcall(shr(1, gas()), 9, 0, 0, 0, 0)) }

            // Burn the rest, less what the last steps cost.
            if gt(gas(), kept) { pop(staticcall(sub(gas(), kept), 9, 0, 0, 0, 0)) }
            if status { revert(160, size) }
            return(160, size)
        }
    }
}
