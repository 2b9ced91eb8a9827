"""Frozen dataclasses of the tensors that encoder, decoder and search exchange. Modules hold only weights."""

from dataclasses import dataclass

from torch import Tensor

CellState = tuple[Tensor, ...]
"""The state of one recurrent layer: (h, c) for an LSTM, (h,) for a GRU or plain RNN, (N, H) each. h is the output."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """An encoded batch of source sentences, with one row for each sentence."""

    values: Tensor  # (B, S, H) encoder outputs
    keys: Tensor  # (B, S, A) the keys of attention, computed from the values once per sentence
    mask: Tensor  # (B, S) bool, True at tokens, False at padding
    summary: Tensor  # (B, H) one vector per sentence, from which the bridge computes the initial decoder states

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
    attention: Tensor | None = None  # (N, S) the state of attention; None if it has no state

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the rows with these indices, (N',) int64, in that order. An index may occur several times."""
        return DecoderState(
            layers=tuple(tuple(tensor.index_select(0, rows) for tensor in layer) for layer in self.layers),
            feed=None if self.feed is None else self.feed.index_select(0, rows),
            attention=None if self.attention is None else self.attention.index_select(0, rows),
        )


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The output of a decoder: at all positions of B sentences (B, T, ·), or at one position of N hypotheses (N, ·)."""

    vectors: Tensor  # (…, H) attentional vectors h̃
    attention: Tensor  # (…, S) attention weights over the source tokens


@dataclass(frozen=True, kw_only=True)
class Step:
    """The result of one decoding step of N hypotheses."""

    vectors: Tensor  # (N, H or E) vectors from which the output layer predicts the next tokens
    attention: Tensor  # (N, S) attention weights over the source tokens
    state: DecoderState  # the state before the next step
