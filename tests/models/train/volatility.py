"""How much will the price move in the next period? For a pool whose fee follows volatility.

The data are synthetic: one simulated price series with the clustering of volatility that markets show,
a GARCH(1,1) process with a fixed seed. No market data are used.
"""

import io

import numpy as np
import onnx
import torch
from torch import nn

from common import SEED, Trained, f32, r2, ranges

LAGS = 8
BASIS_POINTS = 10_000


def simulate(steps, omega=2.5e-6, alpha=0.17, beta=0.78):
    """Simple returns and their true volatilities: v = omega + alpha * r^2 + beta * v, r ~ N(0, v)."""
    rng = np.random.default_rng(SEED)
    variance, returns, volatility = omega / (1 - alpha - beta), np.empty(steps), np.empty(steps)
    for t in range(steps):
        volatility[t] = np.sqrt(variance)
        returns[t] = volatility[t] * rng.standard_normal()
        variance = omega + alpha * returns[t] ** 2 + beta * variance
    return returns, volatility


def windows(returns, volatility):
    """Rows of the last eight returns, newest first, with the next return and the true next volatility."""
    rows = np.lib.stride_tricks.sliding_window_view(returns, LAGS)[:-1, ::-1]
    return f32(rows), f32(returns[LAGS:]), f32(volatility[LAGS:] * BASIS_POINTS)


class VolatilityMlp(nn.Module):
    """Raw returns in, basis points out; standardisation is part of the graph, softplus keeps it positive."""

    def __init__(self, mean, deviation):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.layers = nn.Sequential(
            nn.Linear(LAGS, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1), nn.Softplus()
        )

    def forward(self, returns):
        return self.layers((returns - self.mean) / self.deviation) * 100.0


def fit(model, x, next_return, epochs=6, batch=256) -> None:
    """Maximum likelihood of the next return under N(0, volatility^2): needs only what a pool observes."""
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    moves = (next_return[:, None] * BASIS_POINTS) ** 2
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            optimiser.zero_grad()
            volatility = model(x[rows])
            (torch.log(volatility) + moves[rows] / (2 * volatility**2)).mean().backward()
            optimiser.step()
    model.eval()


def train() -> Trained:
    """Exported by torch's default exporter (dynamo=True) with a dynamic batch, weights inside the file."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    x, next_return, volatility = windows(*simulate(24_500))
    held_out = 500  # the end of the series: trained on the past, tested on what came later
    x, x_test = x[:-held_out], x[-held_out:]
    rows = torch.from_numpy(x)
    model = VolatilityMlp(rows.mean(0), rows.std(0))
    fit(model, rows, torch.from_numpy(next_return[:-held_out]))
    file = io.BytesIO()
    torch.onnx.export(
        model,
        (rows[:2],),
        file,
        input_names=["returns"],
        output_names=["volatility"],
        dynamic_shapes={"returns": {0: "batch"}},
        external_data=False,
    )
    exported = onnx.load_from_string(file.getvalue())
    for node in exported.graph.node:  # stack traces, which name folders of the machine
        kept = [entry for entry in node.metadata_props if "stack_trace" not in entry.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    with torch.no_grad():
        value = model(torch.from_numpy(x_test)).numpy()
    truth = volatility[-held_out:]
    return Trained(
        exported,
        {"returns": x_test},
        {"volatility": value},
        truth,
        {
            "name": "volatility_mlp",
            "licence": "MIT OR Apache-2.0",
            "source": "train/volatility.py",
            "description": "Predicts the next period's volatility of a price from its last eight returns.",
            "task": "regression",
            "library": "torch",
            "data": "synthetic: a simulated GARCH(1,1) series with a fixed seed; y is its true volatility",
            "metric": r2(value[:, 0], truth),
            "classes": None,
            "features": [f"return_{lag}" for lag in range(1, LAGS + 1)],
            "units": "in: price[t]/price[t-1] - 1, return_1 the newest; out: basis points of the price a period",
            "training_ranges": ranges(x.T),
        },
    )
