"""The network as two ONNX graphs: the encoder, and one step of the decoder. This module imports the package onnx.

The graphs compute what nmt/model/ computes, for the networks that the native library knows (`PACKABLE`). Shapes have
the letters of nmt/types.py. The state of the decoder is a single tensor (N, P, H), so that search selects the rows of
hypotheses with one index: it has h, and for an LSTM also c, of each layer, and the attentional vector of input feeding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from nmt.config.schema import ModelConfig
from nmt.types import EOS

OPSET, IR_VERSION = 17, 8  # old versions, which many runtimes support
# The orders of the gates in ONNX, as indices of the gates in PyTorch: i o f c of i f g o, and z r h of r z n.
_GATE_ORDERS = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
_OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}

Weights = Mapping[str, NDArray[np.float32]]
Quantized = Mapping[str, tuple[NDArray[np.int8], NDArray[np.float32]]]
"""Matrices as int8 with a scale for each row."""


class _Graph:
    """Nodes and weights of a graph. Each method adds a node, and returns the name of its output."""

    def __init__(self, config: ModelConfig, weights: Weights, quantized: Quantized) -> None:
        self.config, self._weights, self._quantized = config, weights, quantized
        self.nodes: list[NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node. Return the name of its output, or a list of names if it has several."""
        names = [f"{operator.lower()}_{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def rename(self, name: str, output: str) -> None:
        """Give a result the name of an output of the graph."""
        self.nodes.append(helper.make_node("Identity", [name], [output]))

    def constant(self, values: Any, kind: type[np.generic] = np.int64) -> str:
        """Return the name of a constant."""
        array = np.asarray(values, dtype=kind)
        name = f"constant_{array.dtype}_{'_'.join(map(str, array.shape))}_{'_'.join(map(str, array.ravel().tolist()))}"
        return self._store(name, array)

    def vector(self, name: str) -> str:
        """Return the name of a vector of the model."""
        return self._store(name, self._weights[name])

    def matrix(self, name: str) -> str:
        """Return the name of a matrix of the model, which is restored if it is quantized."""
        if name not in self._quantized:
            return self._store(name, self._weights[name])
        return self._restore(name, *self._quantized[name])

    def stack(self, names: Sequence[str], cell: str) -> str:
        """Return the name of the matrices of both directions of a layer (2, F, D), with the gates in ONNX's order."""
        order = _GATE_ORDERS[cell]

        def arrange(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
            gates = (np.split(part, len(order))[gate] for part in parts for gate in order)
            return np.concatenate([*gates])

        key = "+".join(names)
        if names[0] not in self._quantized:
            rows = arrange([self._weights[name] for name in names])
            return self._store(key, rows.reshape(len(names), -1, *rows.shape[1:]))
        pairs = [self._quantized[name] for name in names]
        rows, scales = arrange([values for values, _ in pairs]), arrange([own for _, own in pairs])
        restored = self._restore(key, rows, scales)
        return str(self.add("Reshape", restored, self.constant([len(names), -1, rows.shape[1]])))

    def _restore(self, name: str, values: NDArray[np.int8], scales: NDArray[np.float32]) -> str:
        inputs = self._store(f"{name}.int8", values), self._store(f"{name}.scales", scales)
        return str(self.add("DequantizeLinear", *inputs, axis=0))

    def _store(self, name: str, array: NDArray[Any]) -> str:
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def linear(self, inputs: str, name: str, bias: str | None = None) -> str:
        """Compute W x + b for rows (N, D)."""
        extra = [self.vector(bias)] if bias else []
        return str(self.add("Gemm", inputs, self.matrix(name), *extra, transB=1))

    def linear_all(self, inputs: str, name: str, bias: str | None = None) -> str:
        """Compute W x + b for all tokens of a batch, (B, S, D)."""
        product = self.add("MatMul", inputs, self.add("Transpose", self.matrix(name), perm=[1, 0]))
        return str(self.add("Add", product, self.vector(bias)) if bias else product)

    def embed(self, name: str, tokens: str) -> str:
        rows = self.add("Gather", self.matrix(name), tokens)
        return str(self.add("Mul", rows, self.constant(self.config.embedding_scale, np.float32)))

    def normalize(self, inputs: str, prefix: str) -> str:
        """Apply layer normalization, if the network has it."""
        if not self.config.layer_norm:
            return inputs
        scale, bias = self.vector(f"{prefix}.weight"), self.vector(f"{prefix}.bias")
        return str(self.add("LayerNormalization", inputs, scale, bias, axis=-1, epsilon=1e-5))

    def take(self, tensor: str, axis: int, first: int, last: int) -> str:
        """Return a slice of a tensor."""
        bounds = [self.constant([place]) for place in (first, last, axis)]
        return str(self.add("Slice", tensor, *bounds))

    def build(self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self._initializers.values()))
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="nmt")
        checker.check_model(model, full_check=True)
        return model


def build_encoder(config: ModelConfig, weights: Weights, quantized: Quantized) -> ModelProto:
    """Build the graph of the encoder: tokens and lengths -> what the decoder reads, and its first state.

    Args:
        config: the architecture.
        weights: the weights by the names of the parameters of `Seq2Seq`.
        quantized: matrices that are stored in int8. The others are stored in float32.
    """
    graph, C = _Graph(config, weights, quantized), config.encoder_size
    embedding = "target" if config.tied_embeddings == "three_way" else "source"
    below = graph.embed(f"{embedding}_embedding.weight", "tokens")  # (B, S, E)
    lengths = graph.add("Cast", "lengths", to=TensorProto.INT32)
    for index in range(config.encoder_layers):
        outputs = graph.normalize(_read(graph, index, below, lengths), f"encoder.norms.{index}")
        below = graph.add("Add", outputs, below) if index and config.residual else outputs
    graph.rename(below, "values")
    if config.attention == "dot":
        graph.rename(below, "keys")
    elif config.attention == "multi_head":
        parts = [
            graph.linear_all(below, f"decoder.attention.{part}.weight", f"decoder.attention.{part}.bias")
            for part in ("key", "value")
        ]
        graph.rename(graph.add("Concat", *parts, axis=-1), "keys")
    else:
        graph.rename(graph.linear_all(below, "decoder.attention.key.weight"), "keys")
    count = graph.add("Squeeze", graph.take(graph.add("Shape", "tokens"), 0, 1, 2), graph.constant([0]))
    places = graph.add("Range", graph.constant(0), count, graph.constant(1))  # (S,)
    ends = graph.add("Unsqueeze", "lengths", graph.constant([1]))  # (B, 1)
    inside = graph.add("Less", places, ends)  # (B, S)
    zero, hidden = graph.constant(0.0, np.float32), graph.constant(-np.inf, np.float32)
    graph.rename(graph.add("Where", inside, zero, hidden), "mask")
    graph.rename(_start(graph, below, places, ends, inside), "state")
    P = _count_parts(config)
    return graph.build(
        "encoder",
        [_describe("tokens", "B", "S", kind=TensorProto.INT64), _describe("lengths", "B", kind=TensorProto.INT64)],
        [
            _describe("keys", "B", "S", _key_size(config)),
            _describe("values", "B", "S", C),
            _describe("mask", "B", "S"),
            _describe("state", "B", P, config.decoder_size),
        ],
    )


def _read(graph: _Graph, index: int, below: str, lengths: str) -> str:
    """Run a bidirectional layer of the encoder over (B, S, D). Return its outputs (B, S, C)."""
    cell = graph.config.cell
    prefixes = [f"encoder.layers.{index}.{direction}_layer.fused" for direction in ("forward", "backward")]
    stacked = [
        graph.stack([f"{prefix}.{kind}_l0" for prefix in prefixes], cell)
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    bias = graph.add("Concat", *stacked[2:], axis=1)
    attributes: dict[str, Any] = {"direction": "bidirectional", "hidden_size": graph.config.encoder_size // 2}
    if cell == "gru":
        attributes["linear_before_reset"] = 1
    inputs = graph.add("Transpose", below, perm=[1, 0, 2])
    # The node has further outputs, which are not used. (S, 2, B, C / 2)
    outputs = graph.add(_OPERATORS[cell], inputs, *stacked[:2], bias, lengths, **attributes)
    arranged = graph.add("Transpose", outputs, perm=[2, 0, 1, 3])
    return str(graph.add("Reshape", arranged, graph.constant([0, 0, graph.config.encoder_size])))


def _start(graph: _Graph, values: str, places: str, ends: str, inside: str) -> str:
    """Compute the state of the decoder before the first step, (B, P, H)."""
    config, C, H = graph.config, graph.config.encoder_size, graph.config.decoder_size
    feeding = int(config.decoder == "input_feeding")
    states = _count_parts(config) - feeding
    batch = graph.take(graph.add("Shape", "tokens"), 0, 0, 1)

    def zeros(parts: int) -> str:
        shape = graph.add("Concat", batch, graph.constant([parts, H]), axis=0)
        return str(graph.add("Expand", graph.constant(0.0, np.float32), shape))

    if config.bridge == "none":
        return zeros(states + feeding)
    if config.bridge == "mean":
        chosen = inside
    else:  # the last token
        chosen = graph.add("Equal", places, graph.add("Sub", ends, graph.constant(1)))
    shares = graph.add("Unsqueeze", graph.add("Cast", chosen, to=TensorProto.FLOAT), graph.constant([1]))
    summary = graph.add("Squeeze", graph.add("MatMul", shares, values), graph.constant([1]))  # (B, C)
    if config.bridge == "mean":
        summary = graph.add("Div", summary, graph.add("Cast", ends, to=TensorProto.FLOAT))
    else:  # the backward direction ends at the first token
        first = graph.add("Squeeze", graph.take(values, 1, 0, 1), graph.constant([1]))
        halves = graph.take(summary, 1, 0, C // 2), graph.take(first, 1, C // 2, C)
        summary = graph.add("Concat", *halves, axis=1)
    flat = graph.add("Tanh", graph.linear(summary, "decoder.bridge.linear.weight", "decoder.bridge.linear.bias"))
    state = graph.add("Reshape", flat, graph.constant([0, states, H]))
    return str(graph.add("Concat", state, zeros(1), axis=1) if feeding else state)


def build_step(
    config: ModelConfig, weights: Weights, quantized: Quantized, *, vocabulary: int, producible: int
) -> ModelProto:
    """Build the graph of a decoding step: the last tokens of hypotheses -> log P of the next tokens, next state.

    Args:
        config, weights, quantized: as for `build_encoder`.
        vocabulary: the number of target tokens, V.
        producible: the end of the tokens that translations contain. Tags follow it. They have the probability 0, and so
            have the tokens before EOS.
    """
    graph, C, H = _Graph(config, weights, quantized), config.encoder_size, config.decoder_size
    P, feeding, states = _count_parts(config), config.decoder == "input_feeding", 2 if config.cell == "lstm" else 1
    sizes = graph.constant([1] * P)
    parts = graph.add("Split", "state", sizes, outputs=P, axis=1)
    before = [graph.add("Squeeze", part, graph.constant([1])) for part in ([parts] if P == 1 else parts)]
    embedded = graph.embed("target_embedding.weight", "tokens")  # (N, E)
    hidden = graph.add("Concat", embedded, before[-1], axis=1) if feeding else embedded
    after: list[str] = []
    context = attention = ""
    for index in range(config.decoder_layers):
        inputs = graph.add("Concat", hidden, context, axis=1) if index and not feeding else hidden
        own = _advance(graph, f"decoder.layers.{index}.fused", inputs, before[index * states : (index + 1) * states])
        outputs = graph.normalize(own[0], f"decoder.norms.{index}")
        hidden = graph.add("Add", outputs, hidden) if index and config.residual else outputs
        after += own
        if index == (config.decoder_layers - 1 if feeding else 0):
            context, attention = _attend(graph, hidden)
    joined = graph.add("Concat", context, hidden, axis=1)
    vectors = graph.add("Tanh", graph.linear(joined, "decoder.combine.weight", "decoder.combine.bias"))
    graph.rename(attention, "attention")
    columns = [graph.add("Unsqueeze", part, graph.constant([1])) for part in [*after, *[vectors] * feeding]]
    graph.rename(graph.add("Concat", *columns, axis=1), "next_state")
    if config.tied_embeddings == "none":
        scores = graph.linear(vectors, "output.weight", "output.bias")
    else:
        scores = graph.linear(graph.linear(vectors, "project.weight"), "target_embedding.weight", "output.bias")
    log_probabilities = graph.add("LogSoftmax", graph.take(scores, 1, EOS, vocabulary), axis=-1)
    log_probabilities = graph.take(log_probabilities, 1, 0, producible - EOS)
    padding = graph.constant([0, EOS, 0, vocabulary - producible])
    graph.rename(graph.add("Pad", log_probabilities, padding, graph.constant(-np.inf, np.float32)), "log_probabilities")
    return graph.build(
        "step",
        [
            _describe("tokens", "N", kind=TensorProto.INT64),
            _describe("state", "N", P, H),
            _describe("keys", "B", "S", _key_size(config)),
            _describe("values", "B", "S", C),
            _describe("mask", "B", "S"),
        ],
        [
            _describe("log_probabilities", "N", vocabulary),
            _describe("attention", "N", "S"),
            _describe("next_state", "N", P, H),
        ],
    )


def _advance(graph: _Graph, prefix: str, inputs: str, state: Sequence[str]) -> list[str]:
    """Compute a time step of a layer (nmt/model/cells.py). Return h, and for an LSTM also c, (N, H) each."""
    x = graph.linear(inputs, f"{prefix}.weight_ih_l0", f"{prefix}.bias_ih_l0")
    u = graph.linear(state[0], f"{prefix}.weight_hh_l0", f"{prefix}.bias_hh_l0")
    add, H = graph.add, graph.config.decoder_size
    if graph.config.cell == "rnn":
        return [add("Tanh", add("Add", x, u))]
    if graph.config.cell == "lstm":
        i, f, g, o = add("Split", add("Add", x, u), graph.constant([H] * 4), outputs=4, axis=1)
        kept, new = add("Mul", add("Sigmoid", f), state[1]), add("Mul", add("Sigmoid", i), add("Tanh", g))
        c = add("Add", kept, new)
        return [add("Mul", add("Sigmoid", o), add("Tanh", c)), c]
    (x_r, x_z, x_n), (u_r, u_z, u_n) = (add("Split", y, graph.constant([H] * 3), outputs=3, axis=1) for y in (x, u))
    r, z = add("Sigmoid", add("Add", x_r, u_r)), add("Sigmoid", add("Add", x_z, u_z))
    n = add("Tanh", add("Add", x_n, add("Mul", r, u_n)))
    rest = add("Sub", graph.constant(1.0, np.float32), z)
    return [add("Add", add("Mul", rest, n), add("Mul", z, state[0]))]


def _attend(graph: _Graph, queries: str) -> tuple[str, str]:
    """Compute attention for queries (N, H). Return the contexts (N, C) and the attention weights (N, S)."""
    config, C, H, add, constant = (
        graph.config,
        graph.config.encoder_size,
        graph.config.decoder_size,
        graph.add,
        graph.constant,
    )
    batch = graph.take(add("Shape", "keys"), 0, 0, 1)

    def divide(tensor: str, size: int) -> str:  # (N, size) -> (B, N / B, size)
        return str(add("Reshape", tensor, add("Concat", batch, constant([-1, size]), axis=0)))

    mask = add("Unsqueeze", "mask", constant([1]))  # (B, 1, S)
    rows = add("Concat", add("Shape", "tokens"), constant([-1]), axis=0)  # N, the rest
    if config.attention == "multi_head":
        return _attend_with_heads(graph, queries, divide, mask, rows)
    if config.attention == "additive":
        own = divide(graph.linear(queries, "decoder.attention.query.weight", "decoder.attention.query.bias"), H)
        sums = add("Add", add("Unsqueeze", own, constant([2])), add("Unsqueeze", "keys", constant([1])))
        scores = add("Squeeze", graph.linear_all(add("Tanh", sums), "decoder.attention.score.weight"), constant([3]))
    else:
        scores = add("MatMul", divide(queries, H), add("Transpose", "keys", perm=[0, 2, 1]))
    weights = add("Softmax", add("Add", scores, mask), axis=-1)  # (B, N / B, S)
    context = add("MatMul", weights, "values")
    return add("Reshape", context, constant([-1, C])), add("Reshape", weights, rows)


def _attend_with_heads(graph: _Graph, queries: str, divide: Any, mask: str, rows: str) -> tuple[str, str]:
    """Compute attention with several heads, as `_attend` does."""
    config, add, constant = graph.config, graph.add, graph.constant
    H, heads = config.decoder_size, config.attention_heads
    size = H // heads

    def split(tensor: str) -> str:  # (B, L, H) -> (B, heads, L, H / heads)
        return str(add("Transpose", add("Reshape", tensor, constant([0, 0, heads, size])), perm=[0, 2, 1, 3]))

    own = split(divide(graph.linear(queries, "decoder.attention.query.weight", "decoder.attention.query.bias"), H))
    keys, values = (split(graph.take("keys", 2, first, first + H)) for first in (0, H))
    scores = add("MatMul", own, add("Transpose", keys, perm=[0, 1, 3, 2]))
    scores = add("Mul", scores, constant(size**-0.5, np.float32))
    weights = add("Softmax", add("Add", scores, add("Unsqueeze", mask, constant([1]))), axis=-1)
    joined = add("Transpose", add("MatMul", weights, values), perm=[0, 2, 1, 3])
    context = add("Reshape", joined, constant([-1, H]))
    mean = add("ReduceMean", weights, axes=[1], keepdims=0)
    output = graph.linear(context, "decoder.attention.output.weight", "decoder.attention.output.bias")
    return output, add("Reshape", mean, rows)


def _count_parts(config: ModelConfig) -> int:
    """Return P, the number of vectors in the state of a hypothesis."""
    return config.decoder_layers * (2 if config.cell == "lstm" else 1) + (config.decoder == "input_feeding")


def _key_size(config: ModelConfig) -> int:
    sizes = {"dot": config.encoder_size, "multi_head": 2 * config.decoder_size}
    return sizes.get(config.attention, config.decoder_size)


def _describe(name: str, *shape: str | int, kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
