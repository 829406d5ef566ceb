"""Nearest neighbours: distances by Scan (skl2onnx's default) and by com.microsoft.CDist (its option for speed)."""

from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from families import OPSET, sklearn


def run(name, model, data, task, text, **more):
    return sklearn(name, "families_neighbours", model, data, task, text, **more)


def iris_knn():
    text = "Five nearest neighbours vote: setosa, versicolor or virginica?"
    return run(
        "iris_knn", KNeighborsClassifier(5), "iris", "classification", text, outputs=["label", "scores"]
    )


def wine_knn():
    """Not weights="distance": skl2onnx 1.20 exports a classifier that answers differently, in onnxruntime too."""
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(7, metric="manhattan"))
    text = "Seven nearest neighbours by Manhattan distance: which of three cultivars?"
    return run("wine_knn", model, "wine", "classification", text, outputs=["label", "scores"])


def diabetes_knn():
    model = KNeighborsRegressor(8)
    fit = model.fit
    # The file holds the training targets in the type they came in; these are whole numbers, so that float32 has them all.
    model.fit = lambda x, y: fit(x, y.astype("float32"))
    text = "The mean of the eight nearest neighbours: progression of the disease after a year."
    return run(
        "diabetes_knn", model, "diabetes", "regression", text, outputs=["predict"],
        options={KNeighborsRegressor: {"optim": "cdist"}}, opset=OPSET | {"com.microsoft": 1},
    )  # fmt: skip
