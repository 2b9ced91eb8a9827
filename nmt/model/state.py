"""Frozen dataclasses with the tensors that the encoder, the decoder and the search exchange.

The state of decoding is in these records. The modules of the network contain only weights.
"""

from dataclasses import dataclass

from torch import Tensor

CellState = tuple[Tensor, ...]
"""The state of one recurrent layer: (h, c) for an LSTM, and (h,) for a GRU or a plain RNN. Each tensor is (N, H).

h is also the output of the layer.
"""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """An encoded batch of source sentences, with one row for each sentence."""

    values: Tensor  # (B, S, H) the encoder outputs
    keys: Tensor  # (B, S, A) the keys of attention, computed from the values once per sentence
    mask: Tensor  # (B, S) bool, True at tokens, False at padding
    summary: Tensor  # (B, H) one vector per sentence, the input of the bridge to the decoder

    def select(self, sentences: Tensor) -> "Memory":
        """Return the rows of the sentences with these indices, (B',) int64."""
        return Memory(
            values=self.values.index_select(0, sentences),
            keys=self.keys.index_select(0, sentences),
            mask=self.mask.index_select(0, sentences),
            summary=self.summary.index_select(0, sentences),
        )


@dataclass(frozen=True, kw_only=True)
class DecoderState:
    """The state that a decoder passes from one step to the next, with one row for each hypothesis."""

    layers: tuple[CellState, ...]  # the state of each layer, from the bottom up
    feed: Tensor | None = None  # (N, H) the previous attentional vector; None without input feeding
    attention: Tensor | None = None  # (N, S) the state of attention; None if the attention has no state

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the rows with these indices, (N',) int64, in the given order. An index can occur several times."""
        return DecoderState(
            layers=tuple(tuple(tensor.index_select(0, rows) for tensor in layer) for layer in self.layers),
            feed=None if self.feed is None else self.feed.index_select(0, rows),
            attention=None if self.attention is None else self.attention.index_select(0, rows),
        )


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The output of a decoder.

    Shapes are (B, T, ·) for all positions of B sentences, and (N, ·) for one position of N hypotheses.
    """

    vectors: Tensor  # (…, H) the attentional vectors h̃
    attention: Tensor  # (…, S) the attention weights over the source tokens


@dataclass(frozen=True, kw_only=True)
class Step:
    """The result of one decoding step of N hypotheses."""

    vectors: Tensor  # (N, H or E) the vectors that the output layer receives
    attention: Tensor  # (N, S) the attention weights over the source tokens
    state: DecoderState  # the state before the next step
