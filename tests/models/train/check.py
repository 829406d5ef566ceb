"""Does each committed ONNX file give its library's answers? python train/check.py [names]

Reads only what is committed (model.onnx, test.npz, card.json), evaluates by onnxruntime in float32,
and prints one row a model: labels equal, greatest difference over the output's range, and the margin,
which is the least gap between the two likeliest classes of any test row: rows on a knife edge show there.
Ends with status 1 if a label differs, a regressor is off by over 1e-6 of its range, or a probability by over 1e-5.
"""

import json
import sys

import numpy as np
import onnxruntime

from common import MODELS

REGRESSION, PROBABILITY = 1e-6, 1e-5


def as_matrix(value, labels) -> np.ndarray:
    """A ZipMap's list of maps as a matrix with columns in class order; tensors as they are."""
    if isinstance(value, list):
        return np.array([[row[label] for label in labels] for row in value], np.float32)
    return value


def check(name) -> dict:
    folder = MODELS / name
    card = json.loads((folder / "card.json").read_text())
    test = np.load(folder / "test.npz")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    feed = {i.name: test[i.name] for i in session.get_inputs()}
    feed = {key: value.astype(object) if value.dtype.kind == "U" else value for key, value in feed.items()}
    row = {"rows": len(test["y"]), "bytes": (folder / "model.onnx").stat().st_size, "ok": True}
    row |= {"metric": " ".join(f"{k}={v}" for k, v in card["metric"].items())}
    for output, value in zip(session.get_outputs(), session.run(None, feed)):
        expected = test[f"expected:{output.name}"]
        value = as_matrix(value, np.unique(test["y"]))
        assert value.shape == expected.shape, (name, output.name, value.shape, expected.shape)
        if value.dtype.kind != "f":
            row["labels"] = float(np.mean(value == expected))
            row["ok"] &= row["labels"] == 1
            continue
        spread = 1 if card["task"] == "classification" else float(np.ptp(expected))
        row["difference"] = float(np.max(np.abs(value.astype(np.float64) - expected))) / spread
        row["ok"] &= row["difference"] <= (PROBABILITY if card["task"] == "classification" else REGRESSION)
        if card["task"] == "classification":
            likeliest = np.sort(expected, axis=1)
            row["margin"] = float(np.min(likeliest[:, -1] - likeliest[:, -2]))
            if "labels" not in row:
                row["labels"] = float(np.mean(value.argmax(1) == expected.argmax(1)))
                row["ok"] &= row["labels"] == 1
    return row


def main(names) -> None:
    names = names or sorted(path.parent.name for path in MODELS.glob("*/model.onnx"))
    columns = ["rows", "bytes", "labels", "difference", "margin", "metric", "ok"]
    print(" ".join(["model".ljust(22)] + [column.rjust(12) for column in columns]))
    failed = False
    for name in names:
        row = check(name)
        failed |= not row["ok"]
        cells = [row.get(column, "") for column in columns]
        cells = [f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells]
        print(" ".join([name.ljust(22)] + [cell.rjust(12) for cell in cells]))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
