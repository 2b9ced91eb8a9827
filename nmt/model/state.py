"""What passes between encoder, decoder and search: frozen dataclasses of tensors. Modules hold weights only."""

from dataclasses import dataclass

from torch import Tensor

CellState = tuple[Tensor, ...]
"""State of one recurrent layer, (N, H) each: (h, c) of an LSTM, (h,) of a GRU or plain RNN. The first is the output."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """An encoded batch of source sentences, one row for each."""

    values: Tensor  # (B, S, H) encoder outputs
    keys: Tensor  # (B, S, A) what attention scores, projected from the values once per sentence
    mask: Tensor  # (B, S) bool, True at tokens, False at padding
    summary: Tensor  # (B, H) one vector per sentence, from which the bridge makes the first decoder states

    def select(self, sentences: Tensor) -> "Memory":
        """Keep the rows of these sentences, (B',) int64."""
        return Memory(
            values=self.values.index_select(0, sentences),
            keys=self.keys.index_select(0, sentences),
            mask=self.mask.index_select(0, sentences),
            summary=self.summary.index_select(0, sentences),
        )


@dataclass(frozen=True, kw_only=True)
class DecoderState:
    """What a decoder carries from one step to the next, one row for each hypothesis."""

    layers: tuple[CellState, ...]  # from the bottom up
    feed: Tensor | None = None  # (N, H) the last attentional vector, with input feeding
    attention: Tensor | None = None  # (N, S) the state of an attention that has one

    def select(self, rows: Tensor) -> "DecoderState":
        """Gather the rows with these indices, (N',) int64, in that order; a row may be repeated."""
        return DecoderState(
            layers=tuple(tuple(tensor.index_select(0, rows) for tensor in layer) for layer in self.layers),
            feed=None if self.feed is None else self.feed.index_select(0, rows),
            attention=None if self.attention is None else self.attention.index_select(0, rows),
        )


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Output of a decoder: at all positions of B sentences, (B, T, ·), or at one position of N hypotheses, (N, ·)."""

    vectors: Tensor  # (…, H) attentional vectors h̃
    attention: Tensor  # (…, S) weights over the source tokens


@dataclass(frozen=True, kw_only=True)
class Step:
    """One decoding step of N hypotheses."""

    vectors: Tensor  # (N, H or E), from which the output layer predicts
    attention: Tensor  # (N, S) weights over the source tokens
    state: DecoderState
