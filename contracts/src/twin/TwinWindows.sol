// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title Windows that slide over one to three spatial axes, as Conv and Pool have them
library TwinWindows {
    /// @notice A tap that falls on the border.
    uint256 internal constant BORDER = type(uint256).max;

    /// @notice The spatial axes of a window operator, always three: absent ones come first and have length 1.
    struct Axes {
        uint256[3] input;
        uint256[3] output;
        uint256[3] kernel;
        uint256[3] stride;
        uint256[3] dilation;
        uint256[3] begin;
        uint256[3] end;
    }

    /// @notice From shapes (N, C, spatial...), the kernel's sizes from `kernel[skip]` on, and lists of strides, dilations
    /// and borders from `lists[first]` on.
    function axes(
        uint256[] memory x,
        uint256[] memory y,
        uint256[] memory kernel,
        uint256 skip,
        uint256[][] memory lists,
        uint256 first
    ) internal pure returns (Axes memory a) {
        unchecked {
            uint256 absent = 5 - x.length;
            for (uint256 i; i < 3; ++i) {
                if (i < absent) {
                    (a.input[i], a.output[i], a.kernel[i], a.stride[i], a.dilation[i]) = (1, 1, 1, 1, 1);
                    continue;
                }
                uint256 k = i - absent;
                (a.input[i], a.output[i], a.kernel[i]) = (x[k + 2], y[k + 2], kernel[skip + k]);
                (a.stride[i], a.dilation[i]) = (lists[first][k], lists[first + 1][k]);
                (a.begin[i], a.end[i]) = (lists[first + 2][k], lists[first + 3][k]);
            }
        }
    }

    /// @notice Where in a channel each tap of each window falls (windows row-major, taps row-major), or BORDER; and how many
    /// taps of each window lie on the input or its border, not beyond.
    function places(Axes memory a) internal pure returns (uint256[] memory place, uint256[] memory counted) {
        unchecked {
            counted = new uint256[](a.output[0] * a.output[1] * a.output[2]);
            uint256 taps = a.kernel[0] * a.kernel[1] * a.kernel[2];
            place = new uint256[](counted.length * taps);
            for (uint256 i; i < place.length; ++i) {
                bool within;
                (place[i], within) = _place(a, i / taps, i % taps);
                if (within) ++counted[i / taps];
            }
        }
    }

    /// @dev Where a tap of a window falls, and whether that is on the input or its border.
    function _place(Axes memory a, uint256 window, uint256 tap) private pure returns (uint256 place, bool within) {
        unchecked {
            uint256 stride = 1;
            within = true;
            for (uint256 axis = 3; axis > 0;) {
                --axis;
                uint256 p = window % a.output[axis] * a.stride[axis] + tap % a.kernel[axis] * a.dilation[axis];
                window /= a.output[axis];
                tap /= a.kernel[axis];
                uint256 length = a.input[axis];
                if (p >= length + a.begin[axis] + a.end[axis]) within = false;
                p -= a.begin[axis];
                if (p >= length) place = BORDER;
                if (place != BORDER) place += p * stride;
                stride *= length;
            }
        }
    }

    /// @notice The matrix whose row is a window and whose columns are (channel, tap): `channels` planes of `size` elements
    /// of `data` from `start` on; 0 on the border.
    function unfold(
        uint256[] memory data,
        uint256 start,
        uint256 channels,
        uint256 size,
        uint256[] memory place,
        uint256 taps
    ) internal pure returns (uint256[] memory matrix) {
        assembly ("memory-safe") {
            matrix := mload(0x40)
            let to := add(matrix, 32)
            let base := add(add(data, 32), shl(5, start))
            let plane := shl(5, size)
            let row := shl(5, taps)
            let from := add(place, 32)
            for { let end := add(from, shl(5, mload(place))) } lt(from, end) { from := add(from, row) } {
                let last := add(from, row)
                let channel := base
                for { let c := channels } c { c := sub(c, 1) } {
                    for { let p := from } lt(p, last) { p := add(p, 32) } {
                        let o := mload(p)
                        switch not(o)
                        case 0 { mstore(to, 0) }
                        default { mstore(to, mload(add(channel, shl(5, o)))) }
                        to := add(to, 32)
                    }
                    channel := add(channel, plane)
                }
            }
            mstore(matrix, shr(5, sub(sub(to, matrix), 32)))
            mstore(0x40, to)
        }
    }
}
