"""What every training script shares: seeds, splits, and the three files a model leaves behind."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

MODELS = Path(__file__).resolve().parent.parent
SEED = 7


@dataclass
class Trained:
    """A trained model, exported, with its own library's answers on the test split.

    inputs, expected: arrays by the ONNX file's tensor names; truth: the targets of the same rows.
    card: what the ONNX file does not say (name and test metric included).
    """

    onnx: onnx.ModelProto
    inputs: dict
    expected: dict
    truth: np.ndarray
    card: dict
    parent: Path = MODELS
    external: bytes | None = None
    """Weights beside the file, in model.onnx.data."""

    def save(self) -> Path:
        """Writes <name>/model.onnx, test.npz and card.json; the same training gives the same bytes."""
        folder = self.parent / self.card["name"]
        folder.mkdir(exist_ok=True, parents=True)
        names = [o.name for o in self.onnx.graph.output]
        assert sorted(names) == sorted(self.expected), (names, list(self.expected))
        names = [i.name for i in self.onnx.graph.input]
        assert sorted(names) == sorted(self.inputs), (names, list(self.inputs))
        (folder / "model.onnx").write_bytes(self.onnx.SerializeToString(deterministic=True))
        if self.external is not None:
            (folder / "model.onnx.data").write_bytes(self.external)
        onnx.checker.check_model(folder / "model.onnx")
        expected = {f"expected:{name}": array for name, array in self.expected.items()}
        np.savez_compressed(folder / "test.npz", **self.inputs, **expected, y=self.truth)
        (folder / "card.json").write_text(card_text(self.card))
        return folder


def f32(array) -> np.ndarray:
    """Features are rounded to float32 before any library sees them: the ONNX file sees the same numbers."""
    return np.ascontiguousarray(array, dtype=np.float32)


def ranges(columns) -> list:
    """[least, greatest] of each training column, NaN left out; None for a column of strings.

    Written in the fewest digits that give the same float32.
    """

    def bounds(column):
        if column.dtype.kind == "i":
            return [int(column.min()), int(column.max())]
        return [float(str(bound)) for bound in (np.nanmin(column), np.nanmax(column))]

    arrays = [np.asarray(column) for column in columns]
    return [bounds(array) if array.dtype.kind in "if" else None for array in arrays]


def accuracy(predicted, truth) -> dict:
    return {"accuracy": round(float(np.mean(np.asarray(predicted) == np.asarray(truth))), 4)}


def r2(predicted, truth) -> dict:
    residual = np.sum((np.asarray(truth, np.float64) - predicted) ** 2)
    return {"r2": round(float(1 - residual / np.sum((truth - np.mean(truth)) ** 2)), 4)}


def card_text(card: dict) -> str:
    """JSON with one key a line: short enough to read, one line per changed fact in a diff."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in card.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"
