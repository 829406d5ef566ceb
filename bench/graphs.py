"""Writes networks as ONNX by their structure: a builder, and the networks that the benchmark runs."""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper


class Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self, seed=0):
        self.nodes, self.weights, self.random = [], [], np.random.default_rng(seed)

    def constant(self, value):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, *shape):
        """Random weights that keep the size of activations."""
        fan_in = int(np.prod(shape[1:])) or 1
        return self.constant((self.random.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32))

    def add(self, op, *inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def conv(self, x, channels, to, kernel, stride=1, group=1):
        pad = kernel // 2
        w = self.floats(to, channels // group, kernel, kernel)
        bias = self.constant(np.zeros(to, np.float32))
        return self.add("Conv", x, w, bias, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=group)

    def relu6(self, x):
        return self.add("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))

    def save(self, path, inputs, outputs):
        make = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
        graph = helper.make_graph(self.nodes, "graph", [make(*i) for i in inputs], [make(*o) for o in outputs], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model)
        path.write_bytes(model.SerializeToString())


def gemm(path, k, n):
    """One linear layer, k to n."""
    g = Graph(1)
    y = g.add("MatMul", "x", g.constant((g.random.standard_normal((k, n)) / np.sqrt(k)).astype(np.float32)))
    g.save(path, [("x", TensorProto.FLOAT, ["batch", k])], [(y, TensorProto.FLOAT, ["batch", n])])


def resnet(path, size):
    """The structure of ResNet-18 (He et al. 2015), normalisation folded away."""
    g = Graph(2)
    x = g.add("Relu", g.conv("x", 3, 64, 7, 2))
    x = g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for to in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and to != 64 else 1
            y = g.add("Relu", g.conv(x, channels, to, 3, stride))
            y = g.conv(y, to, to, 3)
            same = x if stride == 1 and channels == to else g.conv(x, channels, to, 1, stride)
            x, channels = g.add("Relu", g.add("Add", y, same)), to
    x = g.add("Flatten", g.add("GlobalAveragePool", x))
    y = g.add("Gemm", x, g.floats(1000, 512), g.constant(np.zeros(1000, np.float32)), transB=1)
    g.save(path, [("x", TensorProto.FLOAT, ["batch", 3, size, size])], [(y, TensorProto.FLOAT, ["batch", 1000])])


def mobilenet(path, size):
    """The structure of MobileNetV2 (Sandler et al. 2018), normalisation folded away."""
    g = Graph(3)
    x, channels = g.relu6(g.conv("x", 3, 32, 3, 2)), 32
    for expand, to, repeat, first in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(repeat):
            stride, wide, y = first if i == 0 else 1, channels * expand, x
            if expand != 1:
                y = g.relu6(g.conv(y, channels, wide, 1))
            y = g.relu6(g.conv(y, wide, wide, 3, stride, group=wide))
            y = g.conv(y, wide, to, 1)
            x = g.add("Add", x, y) if stride == 1 and channels == to else y
            channels = to
    x = g.relu6(g.conv(x, channels, 1280, 1))
    x = g.add("Flatten", g.add("GlobalAveragePool", x))
    y = g.add("Gemm", x, g.floats(1000, 1280), g.constant(np.zeros(1000, np.float32)), transB=1)
    g.save(path, [("x", TensorProto.FLOAT, ["batch", 3, size, size])], [(y, TensorProto.FLOAT, ["batch", 1000])])


def bert(path, tensors, config):
    """A BERT encoder with mean pooling, its weights from `tensors`."""
    g = Graph()
    width, heads = config["hidden_size"], config["num_attention_heads"]
    w = lambda name: g.constant(tensors[name])
    number = lambda v: g.constant(np.float32(v))
    shape = lambda *dims: g.constant(np.array(dims, np.int64))

    def linear(x, name):
        return g.add("Add", g.add("MatMul", x, g.constant(tensors[name + ".weight"].T)), w(name + ".bias"))

    def norm(x, name):
        return g.add("LayerNormalization", x, w(name + ".weight"), w(name + ".bias"), epsilon=config["layer_norm_eps"])

    def split(x, transposed):
        x = g.add("Reshape", x, shape(0, 0, heads, width // heads))
        return g.add("Transpose", x, perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3])

    def gelu(x):
        y = g.add("Erf", g.add("Mul", x, number(np.sqrt(0.5))))
        return g.add("Mul", g.add("Mul", x, number(0.5)), g.add("Add", y, number(1)))

    length = g.add("Slice", g.add("Shape", "ids"), shape(1), shape(2))
    positions = g.add("Slice", w("embeddings.position_embeddings.weight"), shape(0), length, shape(0))
    x = g.add("Gather", w("embeddings.word_embeddings.weight"), "ids")
    x = g.add("Add", g.add("Add", x, g.constant(tensors["embeddings.token_type_embeddings.weight"][0])), positions)
    x = norm(x, "embeddings.LayerNorm")
    mask = g.add("Cast", "mask", to=TensorProto.FLOAT)
    hidden = g.add("Mul", g.add("Sub", number(1), mask), number(-10000))
    hidden = g.add("Unsqueeze", hidden, shape(1, 2))
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        q, k, v = (linear(x, layer + "attention.self." + n) for n in ("query", "key", "value"))
        scores = g.add("MatMul", split(q, False), split(k, True))
        scores = g.add("Add", g.add("Div", scores, number(np.sqrt(width // heads))), hidden)
        y = g.add("MatMul", g.add("Softmax", scores, axis=-1), split(v, False))
        y = g.add("Reshape", g.add("Transpose", y, perm=[0, 2, 1, 3]), shape(0, 0, width))
        x = norm(g.add("Add", linear(y, layer + "attention.output.dense"), x), layer + "attention.output.LayerNorm")
        y = linear(gelu(linear(x, layer + "intermediate.dense")), layer + "output.dense")
        x = norm(g.add("Add", y, x), layer + "output.LayerNorm")
    mask = g.add("Unsqueeze", mask, shape(2))
    y = g.add("ReduceSum", g.add("Mul", x, mask), shape(1), keepdims=0)
    y = g.add("Div", y, g.add("ReduceSum", mask, shape(1), keepdims=0))
    dims = ["batch", "length"]
    g.save(path, [("ids", TensorProto.INT64, dims), ("mask", TensorProto.INT64, dims)], [(y, TensorProto.FLOAT, ["batch", width])])
