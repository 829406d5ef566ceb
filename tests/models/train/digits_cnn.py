"""Handwritten digits, 8 by 8 pixels, by a small convolutional network in torch."""

import io

import onnx
import torch
from sklearn.datasets import load_digits
from torch import nn

from common import SEED, Trained, accuracy
from digits_mlp import split


class DigitsCnn(nn.Module):
    """Input normalisation, a dense, a depthwise, a pointwise and a grouped strided convolution, softmax."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.BatchNorm2d(1),  # before any convolution, so that an exporter cannot fold it away
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(32),  # after a pool: stays, too
            nn.Conv2d(32, 64, 3, stride=2, padding=1, groups=4),
            nn.ReLU(),
        )
        self.classify = nn.Linear(64 * 2 * 2, 10)

    def forward(self, image):
        """Logits while training, probabilities in use."""
        logits = self.classify(torch.flatten(self.features(image), 1))
        return logits if self.training else torch.softmax(logits, dim=1)


def fit(model, x, y, epochs=15, batch=64) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
    model.eval()


def train() -> Trained:
    """Exported by torch's TorchScript exporter (dynamo=False) with a dynamic batch."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    x, x_test, y, y_test = split()
    images, images_test = (torch.from_numpy(a.reshape(-1, 1, 8, 8)) for a in (x, x_test))
    model = DigitsCnn()
    fit(model, images, torch.from_numpy(y))
    file = io.BytesIO()
    torch.onnx.export(
        model,
        (images_test[:1],),
        file,
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_axes={"image": {0: "batch"}, "probabilities": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    with torch.no_grad():
        probabilities = model(images_test).numpy()
    return Trained(
        onnx.load_from_string(file.getvalue()),
        {"image": images_test.numpy()},
        {"probabilities": probabilities},
        y_test,
        {
            "name": "digits_cnn",
            "licence": "MIT OR Apache-2.0 (model); data CC BY 4.0",
            "source": "train/digits_cnn.py",
            "description": "A convolutional network reads a handwritten digit of 8 by 8 pixels.",
            "task": "classification",
            "library": "torch",
            "data": "Optical Recognition of Handwritten Digits (test part), UCI, as bundled with scikit-learn",
            "metric": accuracy(probabilities.argmax(1), y_test),
            "classes": [str(digit) for digit in range(10)],
            "features": load_digits().feature_names,
            "units": "ink in the pixel, 0 to 16",
            "training_ranges": [[0.0, 16.0]] * 64,
        },
    )
