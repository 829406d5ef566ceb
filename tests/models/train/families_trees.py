"""scikit-learn's forests and boosted trees."""

import numpy as np
import onnx.helper
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from common import SEED
from families import blanked, sklearn

CLASSES = ["label", "scores"]
make_attribute = onnx.helper.make_attribute


def with_booleans(key, value, *args, **kwargs):
    """skl2onnx 1.20 gives HistGradientBoosting's flags as booleans, which onnx 1.23 takes as integers only."""
    if isinstance(value, list):
        value = [int(v) if isinstance(v, (bool, np.bool_)) else v for v in value]
    return make_attribute(key, value, *args, **kwargs)


onnx.helper.make_attribute = with_booleans


def run(name, model, data, task, text, **more):
    return sklearn(name, "families_trees", model, data, task, text, **more)


def wine_forest():
    model = RandomForestClassifier(n_estimators=15, max_depth=4, random_state=SEED)
    text = "A random forest of 15 trees: which of three cultivars?"
    return run("wine_forest", model, "wine", "classification", text, outputs=CLASSES)


def cancer_forest():
    model = RandomForestClassifier(n_estimators=15, max_depth=4, random_state=SEED)
    text = "A random forest of 15 trees: is the tumour benign (1) or malignant (0)?"
    return run("cancer_forest", model, "breast_cancer", "classification", text, outputs=CLASSES)


def diabetes_forest():
    model = RandomForestRegressor(n_estimators=15, max_depth=4, random_state=SEED)
    text = "A random forest of 15 trees: progression of the disease after a year."
    return run("diabetes_forest", model, "diabetes", "regression", text, outputs=["predict"])


def diabetes_extra_trees():
    model = ExtraTreesRegressor(n_estimators=15, max_depth=4, random_state=SEED)
    text = "Fifteen extremely random trees: progression of the disease after a year."
    return run("diabetes_extra_trees", model, "diabetes", "regression", text, outputs=["predict"])


def iris_gbc():
    model = GradientBoostingClassifier(n_estimators=12, max_depth=2, random_state=SEED)
    text = "Twelve rounds of boosted trees: setosa, versicolor or virginica?"
    return run("iris_gbc", model, "iris", "classification", text, outputs=CLASSES)


def cancer_gbc():
    model = GradientBoostingClassifier(n_estimators=25, max_depth=2, random_state=SEED)
    text = "Twenty-five boosted trees: is the tumour benign (1) or malignant (0)?"
    return run("cancer_gbc", model, "breast_cancer", "classification", text, outputs=CLASSES)


def wine_hgb_missing():
    model = HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=6, random_state=SEED)
    text = "Histogram gradient boosting, a tenth of the values missing (NaN): which of three cultivars?"
    return run("wine_hgb_missing", model, "wine", "classification", text, outputs=CLASSES, change=blanked)


def diabetes_hgb():
    model = HistGradientBoostingRegressor(max_iter=25, max_leaf_nodes=6, random_state=SEED)
    text = "Histogram gradient boosting: progression of the disease after a year."
    return run("diabetes_hgb", model, "diabetes", "regression", text, outputs=["predict"])


def cancer_ada():
    model = AdaBoostClassifier(n_estimators=10, random_state=SEED)
    text = "AdaBoost over ten stumps: is the tumour benign (1) or malignant (0)?"
    return run("cancer_ada", model, "breast_cancer", "classification", text, outputs=CLASSES)
