"""The decoders of packed networks. They compute the steps of nmt/model/decoder.py with fewer and faster products."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.attention import MultiHeadAttention
from nmt.model.combine import Combine
from nmt.model.decoder import Decoder, InputFeedingDecoder
from nmt.model.encoder import final_outputs
from nmt.model.seq2seq import Seq2Seq
from nmt.model.state import CellState, DecoderState
from nmt.search.packed.arithmetic import Arithmetic, Product
from nmt.search.packed.attention import Encoded, pack_attention
from nmt.search.packed.cells import LayerWeights, PackedLayer, TableRows, add_tanh_, pack_state, tanh_

MAX_TABLE_BYTES = 2**27


class EmbeddingTable:
    """A table of W x + b for the embedding x of every token. The table is computed once, when the model is loaded."""

    def __init__(self, weight: Tensor, bias: Tensor, embedding: Tensor) -> None:
        self.rows = torch.addmm(bias, embedding, weight.t())  # (V, F)

    def __call__(self, tokens: Tensor) -> TableRows:
        """Return the rows (N, F) of the table for tokens (N,)."""
        return TableRows(table=self.rows, indices=tokens)


class EmbeddingProduct:
    """The product W x + b for token embeddings x, computed at each step. It is used if a table would be too large."""

    def __init__(self, product: Product, embedding: Tensor) -> None:
        self.product, self.embedding = product, embedding

    def __call__(self, tokens: Tensor) -> TableRows:
        """See `EmbeddingTable`."""
        return TableRows(table=self.product(self.embedding.index_select(0, tokens)))


class PackedBridge:
    """The bridge, which computes the initial states of the decoder from the outputs of the encoder."""

    def __init__(self, decoder: Decoder, config: ModelConfig, arithmetic: Arithmetic, *, bounded: bool) -> None:
        self.arithmetic = arithmetic
        self.cell, self.mean = config.cell, config.bridge == "mean"
        self.layers, self.states, self.size = decoder.bridge.layers, decoder.bridge.states, decoder.bridge.size
        linear = decoder.bridge.linear
        self.product = linear and arithmetic.product(linear.weight, linear.bias, bounded=bounded)

    def __call__(self, encoded: Encoded) -> tuple[CellState, ...]:
        B = encoded.values.size(0)
        flat = torch.zeros(B, self.layers * self.states * self.size)
        if self.product is not None:
            lengths = encoded.mask.sum(dim=1)
            if self.mean:
                values, scale = self.arithmetic.sentences(encoded.values)
                total = values.sum(dim=1) * scale.squeeze(1)  # in int8, this is an exact sum of integers
                summary = total / lengths.unsqueeze(1)
            else:
                summary = final_outputs(encoded.values, lengths)
            flat = tanh_(self.product(summary))
        states = flat.view(B, self.layers, self.states, self.size)
        states = states.permute(1, 2, 0, 3).contiguous()  # compiled loops need contiguous rows of each state
        return tuple(pack_state(self.cell, tuple(layer.unbind())) for layer in states.unbind())


class PackedDecoder(ABC):
    """The base class of the packed decoders, with the layers, the attention and the attentional vector h̃.

    Args:
        network: the original network.
        arithmetic: computes the products.
        bounded: whether all outputs of the encoder are guaranteed to be between -1 and 1.
    """

    def __init__(self, network: Seq2Seq, arithmetic: Arithmetic, *, bounded: bool) -> None:
        decoder, config = network.decoder, network.config
        assert isinstance(decoder.combine, Combine)
        multi_head = isinstance(decoder.attention, MultiHeadAttention)
        feeding = isinstance(decoder, InputFeedingDecoder)
        self.residual = decoder.residual
        self.norms: Sequence[nn.Module] = list(decoder.norms)
        hidden = [
            isinstance(norm, nn.Identity) and not (index and self.residual) for index, norm in enumerate(self.norms)
        ]
        above = [below and (feeding or (bounded and not multi_head)) for below in hidden]
        weights = [LayerWeights(layer) for layer in decoder.layers]
        self.embedded = _pack_embedding(weights[0], network.target_embedding.scaled, arithmetic)
        self.layers = [PackedLayer(weights[0], arithmetic, added=config.embedding_size, bounded=True)]
        self.layers += [
            PackedLayer(one, arithmetic, added=0, bounded=below) for one, below in zip(weights[1:], above, strict=False)
        ]
        self.bridge = PackedBridge(decoder, config, arithmetic, bounded=bounded)
        weight, values = decoder.combine.weight, None
        # W [c; h] is the sum of a product with the context c and a product with h. If c is used only here, the product
        # with c is folded into the values of attention: it is computed once for each source token (`TorchAttention`).
        self.folded = not multi_head and (feeding or len(self.layers) == 1)
        if self.folded:
            C = config.encoder_size
            context, weight = weight[:, :C], weight[:, C:]
            values = arithmetic.product(context, None, bounded=bounded)
        query = hidden[-1 if feeding else 0]
        self.attention = pack_attention(decoder.attention, arithmetic, values, bounded=(query, bounded))
        known = hidden[-1] and (self.folded or (bounded and not multi_head))
        self.combine = arithmetic.product(weight, decoder.combine.bias, bounded=known)

    def start(self, encoded: Encoded) -> DecoderState:
        """Compute the state before the first step, with B rows."""
        return DecoderState(layers=self.bridge(encoded))

    @abstractmethod
    def step(self, tokens: Tensor, state: DecoderState, attended: Any) -> tuple[Tensor, Tensor, DecoderState]:
        """Append a token to each hypothesis. Return h̃ (N, H), the attention weights (N, S) and the next state.

        Args:
            tokens: the token to append to each hypothesis, (N,).
            state: the state before the step.
            attended: the keys and values, which `attention.start` returns.
        """

    def combine_context(self, hidden: Tensor, context: Tensor) -> Tensor:
        """Compute h̃ = tanh(W [c; h]) from the context c and the hidden vector h.

        If the product with c is folded into the values of attention, `context` is already the part of W [c; h] for c.
        """
        if self.folded:
            return add_tanh_(self.combine(hidden), context)
        return tanh_(self.combine(torch.cat([context, hidden], dim=-1)))

    def output(self, index: int, below: Tensor | None, state: CellState) -> Tensor:
        """Compute the output of a layer from its state.

        The output includes the layer normalization and the residual connection, if the network has them. `below` is the
        output of the layer below, or None for the first layer.
        """
        outputs: Tensor = self.norms[index](state[0])
        return below + outputs if below is not None and self.residual else outputs


class PackedParallelDecoder(PackedDecoder):
    """The packed form of `ParallelDecoder` in nmt/model/decoder.py."""

    def step(self, tokens: Tensor, state: DecoderState, attended: Any) -> tuple[Tensor, Tensor, DecoderState]:
        states = [self.layers[0].step(self.embedded(tokens), None, state.layers[0])]
        hidden = self.output(0, None, states[0])
        context, weights = self.attention(hidden, attended)
        for index in range(1, len(self.layers)):
            states.append(self.layers[index].step(None, torch.cat([hidden, context], dim=-1), state.layers[index]))
            hidden = self.output(index, hidden, states[-1])
        return self.combine_context(hidden, context), weights, DecoderState(layers=tuple(states))


class PackedInputFeedingDecoder(PackedDecoder):
    """The packed form of `InputFeedingDecoder` in nmt/model/decoder.py."""

    def start(self, encoded: Encoded) -> DecoderState:
        layers = self.bridge(encoded)
        return DecoderState(layers=layers, feed=torch.zeros_like(layers[0][0]))

    def step(self, tokens: Tensor, state: DecoderState, attended: Any) -> tuple[Tensor, Tensor, DecoderState]:
        states = [self.layers[0].step(self.embedded(tokens), state.feed, state.layers[0])]
        hidden = self.output(0, None, states[0])
        for index in range(1, len(self.layers)):
            states.append(self.layers[index].step(None, hidden, state.layers[index]))
            hidden = self.output(index, hidden, states[-1])
        context, weights = self.attention(hidden, attended)
        vector = self.combine_context(hidden, context)
        return vector, weights, DecoderState(layers=tuple(states), feed=vector)


def pack_decoder(network: Seq2Seq, arithmetic: Arithmetic, *, bounded: bool) -> PackedDecoder:
    """Pack the decoder of a network. `bounded` states whether all outputs of the encoder are between -1 and 1."""
    feeding = isinstance(network.decoder, InputFeedingDecoder)
    return (PackedInputFeedingDecoder if feeding else PackedParallelDecoder)(network, arithmetic, bounded=bounded)


def _pack_embedding(
    weights: LayerWeights, embedding: Tensor, arithmetic: Arithmetic
) -> EmbeddingTable | EmbeddingProduct:
    V, E = embedding.shape
    weight = weights.input[:, :E]
    if 4 * V * weight.size(0) <= MAX_TABLE_BYTES:
        return EmbeddingTable(weight, weights.input_bias, embedding)
    return EmbeddingProduct(arithmetic.product(weight, weights.input_bias, bounded=False), embedding)
