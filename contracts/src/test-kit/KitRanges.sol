// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";
import {KitStore} from "./KitStore.sol";
import {ModelFixture} from "./ModelFixture.sol";
import {KIT_VM} from "./KitVm.sol";

/// @title Says so where an input is a thousand times off
/// @notice A price passed with its eight decimals, or a number without its eighteen, is a legal input and a wrong one. Where a
/// value leaves the range of the model's training data by a factor of 1,000, the kit logs feature, value and range (shown by
/// `forge test -vv`).
abstract contract KitRanges is KitStore {
    uint256 private constant FACTOR = 1000;
    /// @dev A value so much smaller than the range that it looks like a number without its decimals.
    uint256 private constant TINY = 1e9;
    /// @dev Of one call so many are logged.
    uint256 private constant MOST_WARNINGS = 5;
    address private constant CONSOLE = 0x000000000000000000636F6e736F6c652e6c6f67;

    function _warnOfRanges(bytes calldata call) internal view {
        string[] memory texts = _warnings(call);
        for (uint256 i; i < texts.length && bytes(texts[i]).length != 0; ++i) {
            (bool ignored,) = CONSOLE.staticcall(abi.encodeWithSignature("log(string)", texts[i]));
            ignored;
        }
    }

    /// @dev What there is to say of a call; empty texts at the end. `infer` and `classify` only: the tensors of `run` have no
    /// decimals to forget.
    function _warnings(bytes calldata call) internal view returns (string[] memory texts) {
        if (call.length < 132) return texts;
        bytes4 selector = bytes4(call[:4]);
        if (selector != IInference.infer.selector && selector != IInference.classify.selector) return texts;
        ModelFixture storage m = _fixtures[bytes32(call[4:36])];
        if (m.ranges.length == 0 || m.rowFeatures == 0) return texts;
        return _ofValues(m, call[100:]);
    }

    function _ofValues(ModelFixture storage m, bytes calldata values) private view returns (string[] memory texts) {
        texts = new string[](MOST_WARNINGS);
        bytes memory ranges = m.ranges;
        uint256 width = m.rowFeatures;
        uint256 warned;
        for (uint256 i; i < values.length / 32 && warned < MOST_WARNINGS; ++i) {
            string memory text = _ofValue(m, ranges, i % width, int256(uint256(bytes32(values[32 * i:]))));
            if (bytes(text).length != 0) texts[warned++] = text;
        }
    }

    function _ofValue(ModelFixture storage m, bytes memory ranges, uint256 feature, int256 v)
        private
        view
        returns (string memory)
    {
        (int256 low, int256 high) = _range(ranges, feature);
        if (!_isFarOff(v, low, high)) return "";
        string memory range = string.concat(_decimal(low), " to ", _decimal(high));
        return string.concat(
            "lockstep: ",
            m.name,
            ": ",
            _featureName(m, feature),
            " is ",
            _decimal(v),
            ", in the training data ",
            range,
            ": scale forgotten? (values have 18 decimals: 1.5 is 1.5e18)"
        );
    }

    function _featureName(ModelFixture storage m, uint256 feature) private view returns (string memory) {
        string[] memory names = KIT_VM.split(m.features, "\n");
        return feature < names.length ? names[feature] : KIT_VM.toString(feature);
    }

    function _isFarOff(int256 v, int256 low, int256 high) private pure returns (bool) {
        if (low == type(int128).min) return false;
        uint256 most = _magnitude(low) > _magnitude(high) ? _magnitude(low) : _magnitude(high);
        if (most == 0 || v == 0) return false;
        uint256 size = _magnitude(v);
        if (size / FACTOR > most || size < most / TINY) return true;
        // Below a range of positive values, or above one of negative ones.
        // The sign was looked at.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 least = low > 0 ? uint256(low) : high < 0 ? uint256(-high) : 0;
        return size < least / FACTOR;
    }

    function _magnitude(int256 v) private pure returns (uint256) {
        unchecked {
            // The sign was looked at.
            // forge-lint: disable-next-line(unsafe-typecast)
            return v < 0 ? uint256(-v) : uint256(v);
        }
    }

    function _range(bytes memory ranges, uint256 feature) private pure returns (int256 low, int256 high) {
        uint256 word;
        assembly ("memory-safe") {
            word := mload(add(add(ranges, 32), mul(32, feature)))
        }
        // The upper half of the word.
        // forge-lint: disable-next-line(unsafe-typecast)
        low = int128(uint128(word >> 128));
        // The lower half of the word.
        // forge-lint: disable-next-line(unsafe-typecast)
        high = int128(uint128(word));
    }

    /// @dev A number with 18 decimals: six of them, or one digit and the exponent where it is smaller or larger than that shows.
    function _decimal(int256 v) private pure returns (string memory) {
        uint256 size = _magnitude(v);
        string memory sign = v < 0 ? "-" : "";
        if (size != 0 && (size < 1e12 || size >= 1e33)) {
            uint256 digits;
            for (uint256 rest = size; rest >= 10; rest /= 10) {
                ++digits;
            }
            string memory lead = KIT_VM.toString(size / 10 ** digits);
            return digits < 18
                ? string.concat(sign, lead, "e-", KIT_VM.toString(18 - digits))
                : string.concat(sign, lead, "e", KIT_VM.toString(digits - 18));
        }
        bytes memory fraction = bytes(KIT_VM.toString(1e6 + size % 1e18 / 1e12));
        uint256 length = fraction.length;
        while (length > 1 && fraction[length - 1] == "0") --length;
        bytes memory shown = new bytes(length);
        for (uint256 i; i < length; ++i) {
            // The literal is one byte.
            // forge-lint: disable-next-line(unsafe-typecast)
            shown[i] = i == 0 ? bytes1(".") : fraction[i];
        }
        return string.concat(sign, KIT_VM.toString(size / 1e18), length == 1 ? "" : string(shown));
    }
}
