"""What the scripts of the families share: data of a few dozen test rows, and scikit-learn models through skl2onnx."""

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn import datasets
from sklearn.model_selection import train_test_split

from common import MODELS, SEED, Trained, accuracy, f32, r2, ranges

ROWS = 40
OPSET = {"": 18, "ai.onnx.ml": 3}
SETS = {
    "breast_cancer": ("Breast Cancer Wisconsin (Diagnostic), UCI, as bundled with scikit-learn", "CC BY 4.0"),
    "diabetes": ("diabetes (Efron, Hastie, Johnstone, Tibshirani 2004), as bundled with scikit-learn", "no licence stated"),
    "digits": ("Optical Recognition of Handwritten Digits (test part), UCI, as bundled with scikit-learn", "CC BY 4.0"),
    "iris": ("Iris (Fisher 1936), UCI, as bundled with scikit-learn", "CC BY 4.0"),
    "wine": ("Wine (Forina et al.), UCI, as bundled with scikit-learn", "CC BY 4.0"),
}


def load(data, change=None):
    """(x, x_test, y, y_test): `change` alters the features before the split; 40 rows of the test part are kept."""
    bunch = getattr(datasets, f"load_{data}")()
    x = f32(bunch.data if change is None else change(bunch.data))
    stratify = None if data == "diabetes" else bunch.target
    x, x_test, y, y_test = train_test_split(x, bunch.target, test_size=0.3, random_state=SEED, stratify=stratify)
    return x, x_test[:ROWS], y, y_test[:ROWS]


def blanked(x):
    """A tenth of the values missing."""
    x = np.array(x)
    x[np.random.RandomState(SEED).rand(*x.shape) < 0.1] = np.nan
    return x


def card(name, source, library, data, task, text, train, metric) -> dict:
    bunch = getattr(datasets, f"load_{data}")()
    out = {
        "name": name,
        "licence": f"MIT OR Apache-2.0 (model); data {SETS[data][1]}",
        "source": f"train/{source}.py",
        "description": text,
        "task": task,
        "library": library,
        "data": SETS[data][0],
        "metric": metric,
    }
    if task == "classification":
        out["classes"] = [str(c) for c in bunch.target_names]
    out["features"] = [str(n).replace(" ", "_") for n in bunch.feature_names]
    out["training_ranges"] = ranges(train.reshape(len(train), -1).T)
    return out


def answers(model, x) -> dict:
    """The library's own answers by kind: label, scores."""
    for scores in ("predict_proba", "decision_function", "transform"):
        if hasattr(model, scores):
            break
    else:
        return {"predict": model.predict(x)}
    out = {"scores": getattr(model, scores)(x)}
    if hasattr(model, "predict"):
        out["label"] = model.predict(x)
    return out


def sklearn(name, source, model, data, task, text, *, outputs, change=None, scores=None, opset=None, options=None):
    """Fits, exports, and asks the library.

    outputs: for each output of the file "label", "scores" or "predict"; scores: the library's function where the
    file does not hold what `answers` finds first.
    """
    x, x_test, y, y_test = load(data, change)
    model.fit(x, y)
    exported = to_onnx(
        model,
        initial_types=[("x", FloatTensorType([None, x.shape[1]]))],
        target_opset=opset or OPSET,
        options=options,
        name=name,
    )
    found = answers(model, x_test)
    if scores is not None:
        found["scores"] = scores(model, x_test)
    expected = {}
    for output, kind in zip(exported.graph.output, outputs, strict=True):
        value = np.asarray(found[kind])
        if kind != "label":
            value = f32(value)
            value = value.reshape(-1, 1) if value.ndim == 1 else value
        expected[output.name] = value.astype("int64") if kind == "label" else value
    if task == "classification":
        metric = accuracy(found["label"], y_test)
    elif task == "regression":
        metric = r2(found["predict"], y_test)
    else:
        metric = {}
    return Trained(
        exported,
        {"x": x_test},
        expected,
        y_test,
        card(name, source, "scikit-learn", data, task, text, x, metric),
        MODELS / "families",
    )
