"""Benign or malignant, from 30 measurements of cell nuclei: logistic regression and boosted trees."""

import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MltoolsFloat
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common import SEED, Trained, accuracy, f32, ranges


def split():
    data = load_breast_cancer()
    return train_test_split(
        f32(data.data), data.target, test_size=0.3, random_state=SEED, stratify=data.target
    )


def card(name, library, description, train, metric) -> dict:
    names = [str(n).replace(" ", "_") for n in load_breast_cancer().feature_names]
    return {
        "name": name,
        "licence": "MIT OR Apache-2.0 (model); data CC BY 4.0",
        "source": "train/breast_cancer.py",
        "description": description,
        "task": "classification",
        "library": library,
        "data": "Breast Cancer Wisconsin (Diagnostic), UCI, as bundled with scikit-learn",
        "metric": metric,
        "classes": ["malignant", "benign"],
        "features": names,
        "units": "lengths and areas in pixels of the digitised image, ratios otherwise",
        "training_ranges": ranges(train.T),
    }


def logreg() -> Trained:
    """StandardScaler and LogisticRegression, skl2onnx's defaults (so with a ZipMap)."""
    x, x_test, y, y_test = split()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    exported = convert_sklearn(
        model, "breast_cancer_logreg", initial_types=[("features", FloatTensorType([None, 30]))]
    )
    label = model.predict(x_test)
    text = "Logistic regression on standardised features: is the tumour benign (1) or malignant (0)?"
    return Trained(
        exported,
        {"features": x_test},
        {"output_label": label, "output_probability": f32(model.predict_proba(x_test))},
        y_test,
        card("breast_cancer_logreg", "scikit-learn", text, x, accuracy(label, y_test)),
    )


def xgb() -> Trained:
    """Fifty boosted trees, by onnxmltools' XGBoost converter."""
    x, x_test, y, y_test = split()
    model = xgboost.XGBClassifier(
        n_estimators=50, max_depth=3, learning_rate=0.2, random_state=SEED, n_jobs=1
    ).fit(x, y)
    exported = onnxmltools.convert_xgboost(
        model, "breast_cancer_xgb", initial_types=[("input", MltoolsFloat([None, 30]))]
    )
    label = model.predict(x_test)
    text = "Fifty boosted trees of depth 3: is the tumour benign (1) or malignant (0)?"
    return Trained(
        exported,
        {"input": x_test},
        {"label": label.astype("int64"), "probabilities": f32(model.predict_proba(x_test))},
        y_test,
        card("breast_cancer_xgb", "xgboost", text, x, accuracy(label, y_test)),
    )
