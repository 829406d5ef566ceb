"""LightGBM and XGBoost by onnxmltools: two classes, several, numbers, missing values, categories."""

import lightgbm
import numpy as np
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from common import MODELS, SEED, Trained, accuracy, f32, r2
from families import blanked, card, load

OPSET = 15


def run(name, model, convert, data, task, text, *, change=None, **fit):
    x, x_test, y, y_test = load(data, change)
    model.fit(x, y, **fit)
    types = [("x", FloatTensorType([None, x.shape[1]]))]
    exported = convert(model, name, initial_types=types, target_opset=OPSET)
    answer = model.predict(x_test)
    if task == "classification":
        expected = {"label": answer.astype("int64"), "probabilities": f32(model.predict_proba(x_test))}
        metric = accuracy(answer, y_test)
    else:
        expected, metric = {"variable": f32(answer).reshape(-1, 1)}, r2(answer, y_test)
    library = "lightgbm" if convert is onnxmltools.convert_lightgbm else "xgboost"
    return Trained(
        exported,
        {"x": x_test},
        expected,
        y_test,
        card(name, "families_boosted", library, data, task, text, x, metric),
        MODELS / "families",
    )


def light(kind, **settings):
    settings = {"n_estimators": 20, "num_leaves": 6, "random_state": SEED, "n_jobs": 1, "verbose": -1} | settings
    return kind(deterministic=True, force_row_wise=True, **settings)


def cancer_lgbm():
    model = light(lightgbm.LGBMClassifier)
    text = "LightGBM, 20 trees: is the tumour benign (1) or malignant (0)?"
    return run("cancer_lgbm", model, onnxmltools.convert_lightgbm, "breast_cancer", "classification", text)


def wine_lgbm_missing():
    model = light(lightgbm.LGBMClassifier, n_estimators=10)
    text = "LightGBM, 10 rounds, a tenth of the values missing (NaN): which of three cultivars?"
    return run(
        "wine_lgbm_missing", model, onnxmltools.convert_lightgbm, "wine", "classification", text, change=blanked
    )


def diabetes_lgbm():
    model = light(lightgbm.LGBMRegressor)
    text = "LightGBM, 20 trees: progression of the disease after a year."
    return run("diabetes_lgbm", model, onnxmltools.convert_lightgbm, "diabetes", "regression", text)


def with_shade(x):
    """The last column but one (colour intensity) becomes one of eight shades, numbered in no order."""
    x = np.array(x)
    shade = np.digitize(x[:, 9], np.quantile(x[:, 9], np.arange(1, 8) / 8))
    x[:, 9] = np.array([5, 2, 7, 0, 3, 6, 1, 4])[shade]
    return x


def wine_lgbm_categories():
    """Splits by membership in a set of categories: the converter writes them as chains of equalities."""
    model = light(lightgbm.LGBMClassifier, n_estimators=8, min_data_per_group=5, cat_smooth=1.0, max_cat_to_onehot=1)
    text = "LightGBM, 8 rounds, one column of eight categories: which of three cultivars?"
    return run(
        "wine_lgbm_categories", model, onnxmltools.convert_lightgbm, "wine", "classification", text,
        change=with_shade, categorical_feature=[9],
    )  # fmt: skip


def boosted(kind, **settings):
    return kind(**({"n_estimators": 20, "max_depth": 3, "random_state": SEED, "n_jobs": 1} | settings))


def cancer_xgb_missing():
    model = boosted(xgboost.XGBClassifier)
    text = "XGBoost, 20 trees, a tenth of the values missing (NaN): is the tumour benign (1) or malignant (0)?"
    return run(
        "cancer_xgb_missing", model, onnxmltools.convert_xgboost, "breast_cancer", "classification", text,
        change=blanked,
    )  # fmt: skip


def wine_xgb():
    model = boosted(xgboost.XGBClassifier, n_estimators=8)
    text = "XGBoost, 8 rounds: which of three cultivars?"
    return run("wine_xgb", model, onnxmltools.convert_xgboost, "wine", "classification", text)


def diabetes_xgb_missing():
    model = boosted(xgboost.XGBRegressor, base_score=150.0)
    text = "XGBoost, 20 trees, a tenth of the values missing (NaN): progression of the disease after a year."
    return run(
        "diabetes_xgb_missing", model, onnxmltools.convert_xgboost, "diabetes", "regression", text, change=blanked
    )
