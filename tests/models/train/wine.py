"""Which of three cultivars a wine is made of, from columns of mixed type: numbers, gaps in them, and words."""

import numpy as np
import pandas
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from common import SEED, Trained, accuracy, f32, ranges

FLOATS = ["alcohol", "malic_acid", "alcalinity_of_ash", "flavanoids"]
INTEGERS = ["magnesium", "proline"]
WORDS = ["intensity", "tone"]
CULTIVARS = np.array(["Barolo", "Grignolino", "Barbera"])  # scikit-learn's class_0, class_1, class_2


def table() -> pandas.DataFrame:
    """Six columns as measured; two more say in a word what color_intensity and hue measured."""
    data = load_wine()
    raw = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
    columns = {name: f32(raw[name]) for name in FLOATS}
    columns |= {name: raw[name].astype(np.int64) for name in INTEGERS}
    intensity = np.array(["light", "medium", "deep"])[np.digitize(raw["color_intensity"], [3.5, 6.0])]
    tone = np.array(["garnet", "ruby", "purple"])[np.digitize(raw["hue"], [0.8, 1.1])]
    columns |= {"intensity": intensity.astype(object), "tone": tone.astype(object)}
    return pandas.DataFrame(columns).astype({word: object for word in WORDS})


def blemish(frame, test, rng) -> None:
    """A tenth of the floats goes missing; some test wines get a tone that training never saw."""
    for name in FLOATS:
        frame.loc[rng.random(len(frame)) < 0.1, name] = np.float32(np.nan)
    if test:
        frame.loc[rng.random(len(frame)) < 0.1, "tone"] = "rosé"


def train() -> Trained:
    """Imputer, scalers, one-hot encoder and logistic regression; one ONNX input for each column."""
    x, x_test, y, y_test = train_test_split(
        table(), CULTIVARS[load_wine().target], test_size=0.3, random_state=SEED, stratify=load_wine().target
    )
    rng = np.random.default_rng(SEED)
    for frame, test in ((x, False), (x_test, True)):
        blemish(frame, test, rng)
    prepare = ColumnTransformer(
        [
            ("floats", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), FLOATS),
            ("integers", StandardScaler(), INTEGERS),
            ("words", OneHotEncoder(handle_unknown="ignore"), WORDS),
        ]
    )
    model = make_pipeline(prepare, LogisticRegression(max_iter=1000)).fit(x, y)
    types = [(name, FloatTensorType([None, 1])) for name in FLOATS]
    types += [(name, Int64TensorType([None, 1])) for name in INTEGERS]
    types += [(name, StringTensorType([None, 1])) for name in WORDS]
    exported = convert_sklearn(model, "wine_mixed", initial_types=types)
    label = model.predict(x_test).astype(str)
    inputs = {name: x_test[[name]].to_numpy() for name in FLOATS + INTEGERS}
    inputs |= {name: x_test[[name]].to_numpy().astype(str) for name in WORDS}
    return Trained(
        exported,
        inputs,
        {"output_label": label, "output_probability": f32(model.predict_proba(x_test))},
        y_test.astype(str),
        {
            "name": "wine_mixed",
            "licence": "MIT OR Apache-2.0 (model); data CC BY 4.0",
            "source": "train/wine.py",
            "description": "Logistic regression on imputed, scaled and one-hot columns names a wine's cultivar.",
            "task": "classification",
            "library": "scikit-learn",
            "data": "Wine (Forina), UCI, as bundled with scikit-learn; intensity and tone are bins of two of its columns",
            "metric": accuracy(label, y_test),
            "classes": [str(name) for name in model.classes_],
            "features": FLOATS + INTEGERS + WORDS,
            "units": "alcohol in % by volume, acids and flavanoids in g/l, magnesium and proline in mg/l",
            "training_ranges": ranges(x[name].to_numpy() for name in FLOATS + INTEGERS + WORDS),
        },
    )
