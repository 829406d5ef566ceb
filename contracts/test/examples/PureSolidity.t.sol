// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {CodeData} from "../../examples/pure-solidity/CodeData.sol";
import {PureSolidityLogReg} from "../../examples/pure-solidity/PureSolidityLogReg.sol";
import {PureSolidityMlp} from "../../examples/pure-solidity/PureSolidityMlp.sol";
import {PureSolidityTrees} from "../../examples/pure-solidity/PureSolidityTrees.sol";
import {Test} from "../utils/Test.sol";

/// @notice The pure Solidity models against the same arithmetic written plainly.
contract PureSolidityTest is Test {
    // Logistic regression

    function testFuzz_logisticRegression(int64[30] memory w, int96[30] memory x, int64 bias) public {
        int128[] memory weights = new int128[](30);
        int256[] memory row = new int256[](30);
        int256 sum;
        for (uint256 i; i < 30; ++i) {
            (weights[i], row[i]) = (w[i], x[i]);
            sum += int256(w[i]) * x[i];
        }
        (uint256 class, int256 margin) = new PureSolidityLogReg(weights, bias).classify(row);
        vm.assertEq(margin, sum / 1e18 + bias);
        vm.assertEq(class, margin > 0 ? 1 : 0);
    }

    function test_probability() public {
        int128[] memory weights = new int128[](1);
        weights[0] = 1e18;
        PureSolidityLogReg model = new PureSolidityLogReg(weights, 0);
        // 1 / (1 + e^-x), from Python's decimal module
        vm.assertApproxEqAbs(model.probability(_one(0)), 0.5e18, 2, "0");
        vm.assertApproxEqAbs(model.probability(_one(1e18)), 731058578630004879, 4, "1");
        vm.assertApproxEqAbs(model.probability(_one(-1e18)), 268941421369995121, 4, "-1");
        vm.assertApproxEqAbs(model.probability(_one(-10e18)), 45397868702434, 4, "-10");
        vm.assertApproxEqAbs(model.probability(_one(30e18)), 999999999999906424, 4, "30");
        vm.assertEq(model.probability(_one(1000e18)), 1e18);
        vm.assertEq(model.probability(_one(-1000e18)), 0);
        vm.expectRevert(abi.encodeWithSelector(PureSolidityLogReg.WrongLength.selector, 1, 2));
        model.classify(new int256[](2));
    }

    // Trees

    /// @dev Two trees: x0 <= 1.5 ? (x1 <= -2 ? 10 : 20) : 30, and x1 <= 0 ? 1 : 2; base 100.
    function test_trees() public {
        bytes memory nodes = bytes.concat(_node(0, 2, 1.5e18), _node(1, 6, 0), _node(1, 4, -2e18), _leaf(30e18));
        nodes = bytes.concat(nodes, _leaf(10e18), _leaf(20e18), _leaf(1e18), _leaf(2e18));
        PureSolidityTrees trees = new PureSolidityTrees(nodes, 2, 100e18, false);
        vm.assertEq(trees.predict(_two(1e18, -3e18)), 111e18);
        vm.assertEq(trees.predict(_two(1e18, -1e18)), 121e18);
        vm.assertEq(trees.predict(_two(2e18, 1e18)), 132e18);
        vm.assertEq(trees.predict(_two(1.5e18, -2e18)), 111e18); // equal goes left
        PureSolidityTrees strict = new PureSolidityTrees(nodes, 2, 100e18, true);
        vm.assertEq(strict.predict(_two(1.5e18, 1e18)), 132e18); // equal goes right
        vm.assertEq(strict.predict(_two(1.5e18 - 1, -2e18)), 121e18);
    }

    // Network

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_network(uint256 seed) public {
        uint16[] memory sizes = new uint16[](4);
        (sizes[0], sizes[1], sizes[2], sizes[3]) = (8, 16, 4, 3);
        int256[] memory x = new int256[](8);
        for (uint256 i; i < 8; ++i) {
            x[i] = int256(_random(seed, 0, 0, i) % 2001) - 1000;
        }
        bytes memory table;
        int256[] memory a = x;
        for (uint256 layer = 1; layer < 4; ++layer) {
            int256[] memory y = new int256[](sizes[layer]);
            for (uint256 o; o < y.length; ++o) {
                bytes memory row;
                (y[o], row) = _output(seed, layer, o, a);
                table = bytes.concat(table, row);
            }
            a = y;
        }
        (uint256 class, int256[] memory got) = new PureSolidityMlp(sizes, 12, table).classify(x);
        vm.assertEq(got, a);
        for (uint256 i; i < 3; ++i) {
            vm.assertTrue(i < class ? a[i] < a[class] : a[i] <= a[class], "class");
        }
    }

    /// @dev One output of a layer with random weights, and its row of the table. The third layer has no ReLU.
    function _output(uint256 seed, uint256 layer, uint256 o, int256[] memory a)
        private
        pure
        returns (int256 y, bytes memory row)
    {
        int32 bias = int32(int256(_random(seed, layer, o, 999) % 200_001) - 100_000);
        row = abi.encodePacked(bias);
        for (uint256 i; i < a.length; ++i) {
            int16 w = int16(uint16(_random(seed, layer, o, i)));
            row = bytes.concat(row, abi.encodePacked(w));
            y += w * a[i];
        }
        y = (y >> 12) + bias;
        if (layer < 3 && y < 0) y = 0;
    }

    function _random(uint256 seed, uint256 layer, uint256 o, uint256 i) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, layer, o, i)));
    }

    function test_networkErrors() public {
        uint16[] memory sizes = new uint16[](2);
        (sizes[0], sizes[1]) = (6, 1);
        vm.expectRevert(abi.encodeWithSelector(PureSolidityMlp.BadSize.selector, 0, 6));
        new PureSolidityMlp(sizes, 0, "");
        sizes[0] = 8;
        PureSolidityMlp mlp = new PureSolidityMlp(sizes, 0, new bytes(20));
        vm.expectRevert(abi.encodeWithSelector(PureSolidityMlp.WrongLength.selector, 8, 2));
        mlp.forward(_two(1, 2));
    }

    function testFuzz_codeData(bytes memory data) public {
        vm.assume(data.length < 24_576);
        vm.assertEq(CodeData.load(CodeData.store(data)), data);
    }

    function test_codeDataIsBounded() public {
        vm.expectRevert(abi.encodeWithSelector(CodeData.DataTooLong.selector, 24_575, 24_576));
        this.storeOutside(new bytes(24_576));
        vm.assertEq(CodeData.load(this.storeOutside(new bytes(24_575))).length, 24_575);
    }

    function storeOutside(bytes memory data) external returns (address) {
        return CodeData.store(data);
    }

    function _node(uint8 feature, uint16 left, int80 value) private pure returns (bytes memory) {
        return abi.encodePacked(feature, left, bytes3(0), value);
    }

    function _leaf(int80 value) private pure returns (bytes memory) {
        return _node(255, 0, value);
    }

    function _one(int256 a) private pure returns (int256[] memory x) {
        x = new int256[](1);
        x[0] = a;
    }

    function _two(int256 a, int256 b) private pure returns (int256[] memory x) {
        x = new int256[](2);
        (x[0], x[1]) = (a, b);
    }
}
