"""Networks in torch by both of its exporters: `script` (TorchScript, dynamic batch) and `dynamo` (torch's default now).

An image of 8 by 8 pixels is a sequence of eight rows for the recurrent networks and the encoder.
"""

import io
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from common import MODELS, SEED, Trained, accuracy
from families import card, load


class Mlp(nn.Module):
    """Two hidden layers with LayerNorm and GELU, and a residual."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(13, 32), nn.LayerNorm(32), nn.GELU())
        self.middle = nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.GELU(approximate="tanh"))
        self.leave = nn.Linear(32, 3)

    def forward(self, x):
        h = self.enter(x)
        return self.leave(h + self.middle(h))


class Conv(nn.Module):
    """A dilated, a depthwise and a pointwise convolution, and one with stride."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=2, dilation=2),
            nn.BatchNorm2d(12),
            nn.SiLU(),
            nn.Conv2d(12, 12, 3, padding=1, groups=12),
            nn.Hardswish(),
            nn.Conv2d(12, 16, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 16, 3, stride=2, padding=1),
            nn.GroupNorm(4, 16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 10),
        )

    def forward(self, x):
        return self.layers(x)


class Recurrent(nn.Module):
    """Two layers of LSTM in both directions, or one of GRU, over the eight rows of an image."""

    def __init__(self, kind):
        super().__init__()
        if kind is nn.LSTM:
            self.cells = nn.LSTM(8, 12, num_layers=2, bidirectional=True, batch_first=True)
            self.leave = nn.Linear(24, 10)
        else:
            self.cells = nn.GRU(8, 24, batch_first=True)
            self.leave = nn.Linear(24, 10)

    def forward(self, x):
        out, _ = self.cells(x)
        return self.leave(out[:, -1])


class Encoder(nn.Module):
    """One transformer encoder layer with learned positions."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(8, 24)
        self.position = nn.Parameter(torch.randn(8, 24) * 0.1)
        self.layer = nn.TransformerEncoderLayer(
            24, 4, dim_feedforward=48, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.leave = nn.Linear(24, 10)

    def forward(self, x):
        return self.leave(self.layer(self.enter(x) + self.position).mean(dim=1))


KINDS = {
    "wine_mlp": (Mlp, "An MLP with LayerNorm and GELU: which of three cultivars? Logits."),
    "digits_conv": (Conv, "Dilated, depthwise and strided convolutions read a digit. Logits."),
    "digits_lstm": (partial(Recurrent, nn.LSTM), "Two layers of LSTM in both directions read a digit. Logits."),
    "digits_gru": (partial(Recurrent, nn.GRU), "A GRU reads a digit row by row. Logits."),
    "digits_encoder": (Encoder, "A transformer encoder reads a digit, a row a token. Logits."),
}
# these hold the batch fixed at one row or leave the weights in a file beside
FIXED, EXTERNAL = {"digits_gru_dynamo", "digits_conv_dynamo"}, {"digits_encoder_dynamo", "digits_lstm_dynamo"}


def data(kind):
    x, x_test, y, y_test = load(kind.split("_")[0])
    if kind.startswith("wine"):
        scaler = StandardScaler().fit(x)
        shape = (-1, 13)
        x, x_test = scaler.transform(x), scaler.transform(x_test)
    else:
        shape = (-1, 1, 8, 8) if kind == "digits_conv" else (-1, 8, 8)
        x, x_test = x / 16, x_test / 16
    return [np.ascontiguousarray(a.reshape(shape), np.float32) for a in (x, x_test)] + [y, y_test]


def fit(model, x, y, epochs, batch=64):
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-4)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
    model.eval()


def script(model, example, fixed):
    file = io.BytesIO()
    axes = None if fixed else {"x": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        model, (example,), file, input_names=["x"], output_names=["logits"], dynamic_axes=axes,
        opset_version=17, dynamo=False,
    )  # fmt: skip
    return onnx.load_from_string(file.getvalue()), None


def dynamo(model, example, fixed, external):
    shapes = None if fixed else {"x": {0: torch.export.Dim("batch", min=2, max=4096)}}
    program = torch.onnx.export(
        model, (example,), input_names=["x"], output_names=["logits"], dynamic_shapes=shapes,
        dynamo=True, verbose=False,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        program.save(path, external_data=external)
        exported = onnx.load(path, load_external_data=False)
        weights = (path.parent / "model.onnx.data").read_bytes() if external else None
    # Stack traces of this machine's Python say nothing about the model.
    for node in exported.graph.node:
        del node.metadata_props[:]
    for value in [*exported.graph.value_info, *exported.graph.input, *exported.graph.output]:
        del value.metadata_props[:]
    for function in exported.functions:
        for node in function.node:
            del node.metadata_props[:]
    return exported, weights


def train(kind, exporter) -> Trained:
    name = f"{kind}_{exporter}"
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    make, text = KINDS[kind]
    x, x_test, y, y_test = data(kind)
    model = make()
    fit(model, torch.from_numpy(x), torch.from_numpy(y), epochs=40 if kind == "wine_mlp" else 8)
    fixed = name in FIXED
    # A fixed batch is that of the test rows: one call answers them all.
    example = torch.from_numpy(x_test if fixed else x_test[:2])
    if exporter == "script":
        exported, weights = script(model, example, fixed)
    else:
        exported, weights = dynamo(model, example, fixed, name in EXTERNAL)
    with torch.no_grad():
        logits = model(torch.from_numpy(x_test)).numpy()
    about = card(
        name, "families_networks", "torch", kind.split("_")[0], "classification", text, x,
        accuracy(logits.argmax(1), y_test),
    )  # fmt: skip
    return Trained(exported, {"x": x_test}, {"logits": logits}, y_test, about, MODELS / "families", weights)


def __getattr__(name):
    """train_all asks for a function by the model's name."""
    kind, _, exporter = name.rpartition("_")
    if kind in KINDS and exporter in ("script", "dynamo"):
        return partial(train, kind, exporter)
    raise AttributeError(name)
