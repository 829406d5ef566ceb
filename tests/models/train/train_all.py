"""Trains and exports the models: python train/train_all.py [names], all of them without names."""

import importlib
import os
import sys
import warnings

# read when Python and numpy start: sums in one order, and the exporters' sets in one order
FIXED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}

# name: module and function; a model's libraries are loaded only when it is trained
MODELS = {
    "breast_cancer_logreg": ("breast_cancer", "logreg"),
    "breast_cancer_xgb": ("breast_cancer", "xgb"),
    "diabetes_gbr": ("diabetes", "gbr"),
    "diabetes_xgb": ("diabetes", "xgb"),
    "digits_cnn": ("digits_cnn", "train"),
    "digits_mlp": ("digits_mlp", "train"),
    "iris_forest": ("iris", "forest"),
    "volatility_mlp": ("volatility", "train"),
    "wine_mixed": ("wine", "train"),
}


def main(names) -> None:
    if any(os.environ.get(key) != value for key, value in FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | FIXED)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        sys.exit(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    warnings.filterwarnings("ignore", category=FutureWarning)
    for name in names or MODELS:
        module, function = MODELS[name]
        trained = getattr(importlib.import_module(module), function)()
        folder = trained.save()
        size = (folder / "model.onnx").stat().st_size
        metric = ", ".join(f"{key} {value}" for key, value in trained.card["metric"].items())
        print(f"{name:22} {size:7} bytes  {len(trained.truth):5} test rows  {metric}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
