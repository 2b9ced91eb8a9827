"""The network in int8 as nmt/native computes it, in numpy and without its code: a scorer for the Python search.

Weights are rounded to 127 levels of the largest of each row, activations between -1 and 1 to 127 levels, and all others
to 127 levels of the largest of a row. Everything else is computed in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.model.candidates import Candidates
from nmt.model.seq2seq import Seq2Seq
from nmt.search.scorer import Prediction

Floats = NDArray[np.float64]


def sigmoid(x: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-x))
    return result


def softmax(x: Floats) -> Floats:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def levels(x: Floats, largest: Floats | float, count: int = 127) -> Floats:
    result: Floats = np.rint(x / largest * count) * largest / count
    return result


def largest(x: Floats) -> Floats:
    result: Floats = np.maximum(np.abs(x).max(axis=-1, keepdims=True), 1e-30)
    return result


def multiply(weight: Floats, bias: Floats | float, x: Floats, *, bounded: bool) -> Floats:
    """W x + b for rows x (N, D)."""
    result: Floats = levels(x, 1.0 if bounded else largest(x)) @ levels(weight, largest(weight)).T + bias
    return result


@dataclass(frozen=True, kw_only=True)
class EmulatedState:
    """The state of one sentence with N hypotheses."""

    keys: Floats  # (S, A)
    values: Floats  # (S, D)
    cells: tuple[tuple[Floats, Floats], ...]  # h and c of each layer, (N, H)
    feed: Floats  # (N, H)
    candidates: Candidates

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "EmulatedState":
        del sentences  # there is only one
        cells = tuple((h[rows.numpy()], c[rows.numpy()]) for h, c in self.cells)
        return EmulatedState(
            keys=self.keys, values=self.values, cells=cells, feed=self.feed[rows.numpy()], candidates=self.candidates
        )


class EmulatedScorer:
    """A scorer for one sentence at a time."""

    device = torch.device("cpu")
    tolerance = 0.0

    def __init__(self, network: Seq2Seq) -> None:
        self.config, self.target_size = network.config, network.target_size
        self.weights = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}
        config = self.config
        self.feeding = config.decoder == "input_feeding"
        self.heads = config.attention == "multi_head"
        self.folded = not self.heads and (self.feeding or config.decoder_layers == 1)
        self.plain = [not config.layer_norm and not (index and config.residual) for index in range(32)]

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> EmulatedState:
        assert len(source) == 1
        weights, config, outputs = self.weights, self.config, None
        S, C, H = int(lengths[0]), config.encoder_size, config.decoder_size
        x = self._embed("source", source[0, :S].numpy())
        for index in range(config.encoder_layers):
            directions = []
            for name, order in (("forward", slice(None)), ("backward", slice(None, None, -1))):
                prefix, h, c, steps = (
                    f"encoder.layers.{index}.{name}_layer",
                    np.zeros((1, C // 2)),
                    np.zeros((1, C // 2)),
                    [],
                )
                for row in x[order]:
                    h, c = self._step(prefix, row[None], None, h, c, bounded=index > 0 and self.plain[index - 1])
                    steps.append(h[0])
                directions.append(np.stack(steps)[order])
            outputs = self._normalize(f"encoder.norms.{index}", np.concatenate(directions, axis=1))
            x = x + outputs if index and config.residual else outputs
        bounded = self.plain[config.encoder_layers - 1]
        size = config.decoder_layers * (2 if config.cell == "lstm" else 1) * H
        flat = np.zeros((1, size))
        if config.bridge != "none":
            final = np.concatenate([x[-1, : C // 2], x[0, C // 2 :]])
            summary = x.mean(axis=0) if config.bridge == "mean" else final
            linear = "decoder.bridge.linear"
            flat = np.tanh(
                multiply(weights[f"{linear}.weight"], weights[f"{linear}.bias"], summary[None], bounded=bounded)
            )
        states = flat.reshape(config.decoder_layers, -1, 1, H)
        keys, values, attention = x, x, "decoder.attention"
        if config.attention != "dot":
            keys = multiply(
                weights[f"{attention}.key.weight"], weights.get(f"{attention}.key.bias", 0.0), x, bounded=bounded
            )
        if self.heads:
            values = multiply(
                weights[f"{attention}.value.weight"], weights[f"{attention}.value.bias"], x, bounded=bounded
            )
        elif self.folded:
            values = multiply(weights["decoder.combine.weight"][:, :C], 0.0, x, bounded=bounded)
        return EmulatedState(
            keys=keys,
            values=values,
            cells=tuple((layer[0], layer[-1]) for layer in states),
            feed=np.zeros((1, H)),
            candidates=candidates,
        )

    def step(self, tokens: Tensor, state: EmulatedState) -> tuple[Prediction, EmulatedState]:
        weights, config = self.weights, self.config
        E, H, bounded_memory = config.embedding_size, config.decoder_size, self.plain[config.encoder_layers - 1]
        # W x + b of the embeddings is a table in 16 bits.
        prefix = "decoder.layers.0"
        table = self._exact("target", tokens.numpy()) @ weights[f"{prefix}.fused.weight_ih_l0"][:, :E].T
        table += weights[f"{prefix}.fused.bias_ih_l0"]
        table = levels(table, largest(table), 32767)
        cells, hidden, context, attention = [], np.zeros(0), np.zeros(0), np.zeros(0)
        for index in range(config.decoder_layers):
            inputs, bounded, added = None, True, None
            if index == 0:
                added = table
                inputs = state.feed if self.feeding else None
            else:
                inputs = hidden if self.feeding else np.concatenate([hidden, context], axis=1)
                bounded = self.plain[index - 1] and (self.feeding or (bounded_memory and not self.heads))
            h, c = self._step(f"decoder.layers.{index}", inputs, added, *state.cells[index], bounded=bounded)
            cells.append((h, c))
            outputs = self._normalize(f"decoder.norms.{index}", h)
            hidden = hidden + outputs if index and config.residual else outputs
            if index == (config.decoder_layers - 1 if self.feeding else 0):
                context, attention = self._attend(hidden, state, bounded=self.plain[index])
        weight, bias = weights["decoder.combine.weight"], weights["decoder.combine.bias"]
        last = self.plain[config.decoder_layers - 1]
        if self.folded:
            vectors = np.tanh(multiply(weight[:, config.encoder_size :], bias, hidden, bounded=last) + context)
        else:
            joined = np.concatenate([context, hidden], axis=1)
            vectors = np.tanh(multiply(weight, bias, joined, bounded=last and bounded_memory and not self.heads))
        output, readout, known = weights["output.weight"], vectors, True
        if config.tied_embeddings != "none" and H <= E:
            output = output @ weights["project.weight"]
        elif config.tied_embeddings != "none":
            readout, known = multiply(weights["project.weight"], 0.0, vectors, bounded=True), False
        scores = multiply(output, weights["output.bias"], readout, bounded=known)[:, state.candidates.tokens[0].numpy()]
        log_probabilities = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        prediction = Prediction(
            log_probabilities=torch.from_numpy(log_probabilities).float(), attention=torch.from_numpy(attention).float()
        )
        next_state = EmulatedState(
            keys=state.keys, values=state.values, cells=tuple(cells), feed=vectors, candidates=state.candidates
        )
        return prediction, next_state

    def _attend(self, hidden: Floats, state: EmulatedState, *, bounded: bool) -> tuple[Floats, Floats]:
        weights, kind, name = self.weights, self.config.attention, "decoder.attention"
        query = hidden
        if kind in ("additive", "multi_head"):
            query = multiply(weights[f"{name}.query.weight"], weights[f"{name}.query.bias"], hidden, bounded=bounded)
        if kind == "additive":
            scores = np.tanh(query[:, None] + state.keys[None]) @ weights[f"{name}.score.weight"][0]
        elif kind == "multi_head":
            size = query.shape[1] // self.config.attention_heads
            parts = [slice(first, first + size) for first in range(0, query.shape[1], size)]
            heads = [softmax(query[:, part] @ state.keys[:, part].T / np.sqrt(size)) for part in parts]
            joined = np.concatenate(
                [own @ state.values[:, part] for own, part in zip(heads, parts, strict=True)], axis=1
            )
            context = multiply(weights[f"{name}.output.weight"], weights[f"{name}.output.bias"], joined, bounded=False)
            return context, np.mean(heads, axis=0)
        else:
            scores = query @ state.keys.T
        attention = softmax(scores)
        return attention @ state.values, attention

    def _step(
        self, prefix: str, inputs: Floats | None, added: Floats | None, h: Floats, c: Floats, *, bounded: bool
    ) -> tuple[Floats, Floats]:
        """One step of a cell. `added` is a part of W x + b that is known already."""
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        W, U, b, recurrent_bias = (self.weights[f"{prefix}.fused.{name}"] for name in names)
        total: Floats = np.zeros((1, len(b))) + b if added is None else added
        cell, equations = self.config.cell, EQUATIONS[self.config.cell]
        if inputs is None:
            return equations(total, multiply(U, recurrent_bias, h, bounded=True), h, c)
        W = W[:, -inputs.shape[1] :]
        if bounded and cell != "gru":  # one product, with one scale for the rows of both matrices
            joint = multiply(
                np.concatenate([W, U], axis=1), recurrent_bias, np.concatenate([inputs, h], axis=1), bounded=True
            )
            return equations(total, joint, h, c)
        return equations(
            total + multiply(W, 0.0, inputs, bounded=bounded), multiply(U, recurrent_bias, h, bounded=True), h, c
        )

    def _normalize(self, name: str, x: Floats) -> Floats:
        if not self.config.layer_norm:
            return x
        centered = x - x.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centered**2).mean(axis=1, keepdims=True) + 1e-5)
        result: Floats = centered / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return result

    def _exact(self, side: str, ids: NDArray[np.int64]) -> Floats:
        result: Floats = self.weights[f"{side}_embedding.weight"][ids] * self.config.embedding_scale
        return result

    def _embed(self, side: str, ids: NDArray[np.int64]) -> Floats:
        return self._exact(side, ids)


def lstm(added: Floats, gates: Floats, h: Floats, c: Floats) -> tuple[Floats, Floats]:
    del h
    i, f, g, o = np.split(added + gates, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(added: Floats, gates: Floats, h: Floats, c: Floats) -> tuple[Floats, Floats]:
    del h
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(added, 3, axis=1), np.split(gates, 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    c = (1 - z) * np.tanh(x_n + r * h_n) + z * c
    return c, c


def rnn(added: Floats, gates: Floats, h: Floats, c: Floats) -> tuple[Floats, Floats]:
    del h
    return np.tanh(added + gates), c


EQUATIONS: dict[str, Callable[[Floats, Floats, Floats, Floats], tuple[Floats, Floats]]] = {
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
}
