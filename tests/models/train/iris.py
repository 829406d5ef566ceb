"""Which of three irises, from four measurements: a random forest."""

from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from common import SEED, Trained, accuracy, f32, ranges


def forest() -> Trained:
    """Twenty-five trees, exported by to_onnx with a sample row and without a ZipMap."""
    data = load_iris()
    x, x_test, y, y_test = train_test_split(
        f32(data.data), data.target, test_size=0.3, random_state=SEED, stratify=data.target
    )
    model = RandomForestClassifier(n_estimators=25, max_depth=4, random_state=SEED).fit(x, y)
    exported = to_onnx(model, x[:1], name="iris_forest", options={"zipmap": False})
    label = model.predict(x_test)
    return Trained(
        exported,
        {"X": x_test},
        {"label": label, "probabilities": f32(model.predict_proba(x_test))},
        y_test,
        {
            "name": "iris_forest",
            "licence": "MIT OR Apache-2.0 (model); data CC BY 4.0",
            "source": "train/iris.py",
            "description": "A random forest of 25 trees tells setosa (0), versicolor (1) and virginica (2).",
            "task": "classification",
            "library": "scikit-learn",
            "data": "Iris (Fisher 1936), UCI, as bundled with scikit-learn",
            "metric": accuracy(label, y_test),
            "classes": [str(name) for name in data.target_names],
            "features": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
            "units": "centimetres",
            "training_ranges": ranges(x.T),
        },
    )
