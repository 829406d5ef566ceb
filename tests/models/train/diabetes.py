"""How far diabetes progresses in a year, from ten measurements: two kinds of boosted trees."""

import numpy as np
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MltoolsFloat
from skl2onnx import to_onnx
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import train_test_split

from common import SEED, Trained, f32, r2, ranges


def split():
    data = load_diabetes(scaled=False)
    return train_test_split(f32(data.data), f32(data.target), test_size=0.25, random_state=SEED)


def card(name, library, description, train, metric) -> dict:
    return {
        "name": name,
        "licence": "MIT OR Apache-2.0 (model); data without a stated licence, redistributed by scikit-learn (BSD-3-Clause)",
        "source": "train/diabetes.py",
        "description": description,
        "task": "regression",
        "library": library,
        "data": "Diabetes (Efron, Hastie, Johnstone, Tibshirani 2004), as bundled with scikit-learn, unscaled",
        "metric": metric,
        "classes": None,
        "features": load_diabetes().feature_names,
        "units": "age in years, sex 1 or 2, bmi in kg/m2, bp in mm Hg, s1 to s6 blood serum measurements",
        "training_ranges": ranges(train.T),
    }


def gbr() -> Trained:
    """A hundred trees of depth 3, exported by to_onnx with a sample row (input name X)."""
    x, x_test, y, y_test = split()
    model = GradientBoostingRegressor(
        n_estimators=100, max_depth=3, learning_rate=0.05, subsample=0.7, random_state=SEED
    ).fit(x, y)
    exported = to_onnx(model, x[:1], name="diabetes_gbr")
    value = model.predict(x_test)
    text = "A hundred boosted trees of depth 3 predict disease progression one year after baseline."
    return Trained(
        exported,
        {"X": x_test},
        {"variable": f32(value)[:, None]},
        y_test,
        card("diabetes_gbr", "scikit-learn", text, x, r2(value, y_test)),
    )


def xgb() -> Trained:
    """Boosted trees that learnt where a missing value goes; a tenth of all values is missing."""
    x, x_test, y, y_test = split()
    rng = np.random.default_rng(SEED)
    for rows in (x, x_test):
        rows[rng.random(rows.shape) < 0.1] = np.nan
    model = xgboost.XGBRegressor(
        n_estimators=40, max_depth=3, learning_rate=0.1, random_state=SEED, n_jobs=1
    ).fit(x, y)
    exported = onnxmltools.convert_xgboost(
        model, "diabetes_xgb", initial_types=[("input", MltoolsFloat([None, 10]))]
    )
    value = model.predict(x_test)
    text = "Forty boosted trees predict disease progression; a NaN is a missing measurement."
    return Trained(
        exported,
        {"input": x_test},
        {"variable": f32(value)[:, None]},
        y_test,
        card("diabetes_xgb", "xgboost", text, x, r2(value, y_test)),
    )
