"""Support vector machines: every kernel, with and without probabilities, regression, one class."""

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, OneClassSVM

from common import SEED
from families import sklearn

PLAIN = {"zipmap": False}


def run(name, model, data, task, text, **more):
    return sklearn(name, "families_svm", model, data, task, text, **more)


def iris_svc():
    text = "SVC with RBF kernel, decision values one against the rest: setosa, versicolor or virginica?"
    return run("iris_svc", SVC(), "iris", "classification", text, outputs=["label", "scores"])


def wine_svc_proba():
    model = make_pipeline(StandardScaler(), SVC(probability=True, random_state=SEED))
    text = "SVC with RBF kernel on standardised features, with probabilities: which of three cultivars?"
    return run("wine_svc_proba", model, "wine", "classification", text, outputs=["label", "scores"])


def cancer_svc_poly():
    """The file holds the decision for the second class, then its negative, as onnxruntime orders them."""
    model = make_pipeline(StandardScaler(), SVC(kernel="poly", degree=3, coef0=1.0))
    text = "SVC with cubic kernel on standardised features: is the tumour benign (1) or malignant (0)?"
    return run(
        "cancer_svc_poly", model, "breast_cancer", "classification", text, outputs=["label", "scores"],
        scores=lambda m, x: np.stack([m.decision_function(x), -m.decision_function(x)], 1),
    )  # fmt: skip


def cancer_svc_proba():
    model = make_pipeline(StandardScaler(), SVC(probability=True, random_state=SEED))
    text = "SVC with RBF kernel, with probabilities: is the tumour benign (1) or malignant (0)?"
    return run("cancer_svc_proba", model, "breast_cancer", "classification", text, outputs=["label", "scores"])


def wine_nusvc_sigmoid():
    """The file holds the decisions of the pairs of classes."""
    model = make_pipeline(
        StandardScaler(), NuSVC(nu=0.2, kernel="sigmoid", gamma=0.05, decision_function_shape="ovo")
    )
    text = "NuSVC with sigmoid kernel, decisions of the pairs of classes: which of three cultivars?"
    return run("wine_nusvc_sigmoid", model, "wine", "classification", text, outputs=["label", "scores"])


def cancer_linear_svc():
    """The file holds the decision for the second class."""
    model = make_pipeline(StandardScaler(), LinearSVC(random_state=SEED))
    text = "Linear SVC on standardised features: is the tumour benign (1) or malignant (0)?"
    return run(
        "cancer_linear_svc", model, "breast_cancer", "classification", text, outputs=["label", "scores"],
        options={LinearSVC: {}},
    )  # fmt: skip


def diabetes_svr():
    model = make_pipeline(StandardScaler(), SVR(C=100.0, epsilon=30.0))
    text = "SVR with RBF kernel: progression of the disease after a year."
    return run("diabetes_svr", model, "diabetes", "regression", text, outputs=["predict"])


def diabetes_linear_svr():
    model = make_pipeline(StandardScaler(), LinearSVR(C=10.0, random_state=SEED))
    text = "Linear SVR: progression of the disease after a year."
    return run("diabetes_linear_svr", model, "diabetes", "regression", text, outputs=["predict"])


def iris_one_class():
    model = OneClassSVM(nu=0.1)
    text = "One-class SVM: 1 where a flower is like those of training, -1 where it is not; and its score."
    return run("iris_one_class", model, "iris", "outliers", text, outputs=["label", "scores"])
