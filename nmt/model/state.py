"""What passes between encoder, decoder and search: plain dataclasses of tensors, nothing hidden on a module."""

from dataclasses import dataclass

from torch import Tensor

CellState = tuple[Tensor, ...]
"""State of one recurrent layer, (N, H) each: (h, c) of an LSTM, (h,) of a GRU or plain RNN. The first is the output."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the encoder leaves for the decoder, a row for each sentence."""

    values: Tensor  # (B, S, H) encoder outputs
    keys: Tensor  # (B, S, A) the values as attention wants them, projected once per sentence
    mask: Tensor  # (B, S) bool, True at real pieces
    summary: Tensor  # (B, H) one vector for the whole sentence, from which the bridge makes the first decoder states

    def select(self, sentences: Tensor) -> "Memory":
        """The rows of these sentences, (B',) int64: how finished sentences leave a batch."""
        return Memory(
            values=self.values.index_select(0, sentences),
            keys=self.keys.index_select(0, sentences),
            mask=self.mask.index_select(0, sentences),
            summary=self.summary.index_select(0, sentences),
        )


@dataclass(frozen=True, kw_only=True)
class DecoderState:
    """What a decoder carries from one step to the next, a row for each hypothesis."""

    layers: tuple[CellState, ...]  # from the bottom up
    feed: Tensor | None = None  # (N, H) the last attentional vector, with input feeding
    coverage: Tensor | None = None  # (N, S) the sum of all attention weights so far, where attention wants it

    def select(self, rows: Tensor) -> "DecoderState":
        """The rows with these indices, (N',) int64, in their order and as often as they are named."""
        return DecoderState(
            layers=tuple(tuple(tensor.index_select(0, rows) for tensor in layer) for layer in self.layers),
            feed=None if self.feed is None else self.feed.index_select(0, rows),
            coverage=None if self.coverage is None else self.coverage.index_select(0, rows),
        )


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a decoder makes of previous pieces: at all positions of a sentence (B, T, ·), or at one of each hypothesis (N, ·)."""

    hidden: Tensor  # (…, H) outputs of its last layer
    vectors: Tensor  # (…, H) attentional vectors
    attention: Tensor  # (…, S) weights over the source pieces


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one decoding step yields."""

    vectors: Tensor  # (N, H or E), from which the output layer predicts
    attention: Tensor  # (N, S) weights over the source pieces
    state: DecoderState
