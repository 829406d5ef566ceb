#!/usr/bin/env python3
"""Writes fixtures.json: rows of the models' test splits with their own libraries' answers, in 18 decimals.

    contracts/test/native/fixtures.py          writes the file beside this script
    contracts/test/native/fixtures.py --check  exits 1 if it is not what the test splits give

Standard library only, so that it runs where the test splits' own tools are not installed.
"""

import ast
import json
import pathlib
import struct
import sys
import zipfile
from fractions import Fraction

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parents[2] / "tests" / "models"
ROWS = 20


def arrays(path):
    """The arrays of an .npz file, flat."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            raw = archive.read(name)
            size, start = (struct.unpack_from("<H", raw, 8)[0], 10) if raw[6] == 1 else (struct.unpack_from("<I", raw, 8)[0], 12)
            header = ast.literal_eval(raw[start : start + size].decode())
            code = {"<f4": "f", "<i8": "q", "<f8": "d"}[header["descr"]]
            found[name.removesuffix(".npy")] = [v for (v,) in struct.iter_unpack("<" + code, raw[start + size :])]
    return found


def wad(values):
    """Numbers with 18 decimals, rounded once. As strings: JSON's numbers end at 2^53."""
    return [str(round(Fraction(value) * 10**18)) for value in values]


def fixtures():
    volatility = arrays(MODELS / "volatility_mlp" / "test.npz")
    cancer = arrays(MODELS / "breast_cancer_logreg" / "test.npz")
    return {
        "volatility_mlp": {
            "x": wad(volatility["returns"][: ROWS * 8]),
            "y": wad(volatility["expected:volatility"][:ROWS]),
        },
        "breast_cancer_logreg": {
            "x": wad(cancer["features"][: ROWS * 30]),
            "class": [str(label) for label in cancer["expected:output_label"][:ROWS]],
            "probability": wad(cancer["expected:output_probability"][: ROWS * 2]),
        },
    }


text = json.dumps(fixtures(), indent=1) + "\n"
file = HERE / "fixtures.json"
if "--check" not in sys.argv[1:]:
    file.write_text(text)
elif file.read_text() != text:
    sys.exit(f"{file.name} is not what the test splits give: run contracts/test/native/fixtures.py")
