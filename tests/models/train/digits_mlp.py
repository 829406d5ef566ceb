"""Handwritten digits, 8 by 8 pixels, by scikit-learn's own neural network."""

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common import SEED, Trained, accuracy, f32, ranges


def split():
    """The pixels as 64 columns; digits_cnn has the same rows as images."""
    data = load_digits()
    return train_test_split(
        f32(data.data), data.target, test_size=0.3, random_state=SEED, stratify=data.target
    )


def train() -> Trained:
    """StandardScaler and MLPClassifier (64, 32, tanh), skl2onnx's defaults (so with a ZipMap)."""
    x, x_test, y, y_test = split()
    network = MLPClassifier((64, 32), activation="tanh", alpha=0.01, max_iter=300, random_state=SEED)
    model = make_pipeline(StandardScaler(), network).fit(x, y)
    exported = convert_sklearn(model, "digits_mlp", initial_types=[("pixels", FloatTensorType([None, 64]))])
    label = model.predict(x_test)
    return Trained(
        exported,
        {"pixels": x_test},
        {"output_label": label, "output_probability": f32(model.predict_proba(x_test))},
        y_test,
        {
            "name": "digits_mlp",
            "licence": "MIT OR Apache-2.0 (model); data CC BY 4.0",
            "source": "train/digits_mlp.py",
            "description": "A network of two tanh layers reads a handwritten digit of 8 by 8 pixels.",
            "task": "classification",
            "library": "scikit-learn",
            "data": "Optical Recognition of Handwritten Digits (test part), UCI, as bundled with scikit-learn",
            "metric": accuracy(label, y_test),
            "classes": [str(digit) for digit in range(10)],
            "features": load_digits().feature_names,
            "units": "ink in the pixel, 0 to 16",
            "training_ranges": ranges(x.T),
        },
    )
