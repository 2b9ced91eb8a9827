"""The output layer: from attentional vectors to the probabilities of next pieces.

Every kind has a matrix over the vocabulary and makes something of its softmax. In training that goes over the whole vocabulary,
in search over candidates, so the softmax is handed in. All yield log-probabilities; the plain one has a faster loss of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nmt.model.autograd.cross_entropy import cross_entropy, divergence, smoothed

ROWS = 256  # softmaxes in memory at a time; on the way back they are computed again. Even, so that pairs stay together.

LogSoftmax = Callable[[Tensor], Tensor]
"""log softmax(W x + b) over the vocabulary, or over each row's candidates: from x (R, D) to (R, W)."""


@dataclass(frozen=True, kw_only=True)
class Readout:
    """What next pieces are predicted from: a row for each target position in training, for each hypothesis in search."""

    vectors: Tensor  # (R, D)
    attention: Tensor  # (R, S) weights over the source pieces
    columns: Tensor | None = None
    """(R, S) which of the W columns is the source piece's own; W: none. For outputs that copy."""

    def select(self, rows: Tensor) -> "Readout":
        """The rows with these indices (R',)."""
        columns = None if self.columns is None else self.columns[rows]
        return Readout(vectors=self.vectors[rows], attention=self.attention[rows], columns=columns)

    def split(self, rows: int) -> list["Readout"]:
        """The same in parts of so many rows."""
        columns = repeat(None) if self.columns is None else torch.split(self.columns, rows)
        parts = zip(torch.split(self.vectors, rows), torch.split(self.attention, rows), columns, strict=False)
        return [Readout(vectors=part, attention=weights, columns=own) for part, weights, own in parts]


class Output(nn.Linear, ABC):
    """W and b over the vocabulary, and how probabilities come from them."""

    copies = False
    """Whether `Readout.columns` is needed."""

    @abstractmethod
    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        """Of the next pieces, (R, W), float32."""

    def log_softmax(self, vectors: Tensor) -> Tensor:
        """Over the whole vocabulary, (R, D) to (R, V), float32 at least."""
        scores = self(vectors)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(dim=-1)  # type: ignore[no-any-return]

    def loss(self, readout: Readout, targets: Tensor, label_smoothing: float, r_drop: float = 0.0) -> Tensor:
        """Label-smoothed cross entropy of targets (R,), summed, in nats, and R-Drop, as `cross_entropy`."""

        def part(readout: Readout, targets: Tensor) -> Tensor:
            log_p = self.log_probabilities(readout, self.log_softmax)
            loss = smoothed(log_p, targets, label_smoothing)
            return loss + r_drop / 2 * divergence(log_p) if r_drop else loss

        losses = [
            checkpoint(part, own, y, use_reentrant=False, preserve_rng_state=False)
            for own, y in zip(readout.split(ROWS), torch.split(targets, ROWS), strict=True)
        ]
        return torch.stack(losses).sum()


class SoftmaxOutput(Output):
    """p = softmax(W x + b)."""

    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        return log_softmax(readout.vectors)

    def loss(self, readout: Readout, targets: Tensor, label_smoothing: float, r_drop: float = 0.0) -> Tensor:
        return cross_entropy(readout.vectors, self.weight, self.bias, targets, label_smoothing, r_drop)


class CopyOutput(Output):
    """p(y) = g softmax(W x + b)_y + (1 − g) Σ_{s: source piece s is y} a_s, g = σ(w x + v) (See et al. 2017, eq. 9).

    A pointer-generator. g is made of the attentional vector, into which went what See et al. make it of: context and state.
    """

    copies = True

    def __init__(self, size: int, vocabulary: int) -> None:
        super().__init__(size, vocabulary)
        self.generate = nn.Linear(size, 1)

    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        generated = log_softmax(readout.vectors)
        gate = self.generate(readout.vectors).to(generated.dtype)
        copied = _copied(readout, generated.size(-1)).to(generated.dtype)
        sums = torch.logaddexp(F.logsigmoid(gate) + generated, F.logsigmoid(-gate) + _log(copied))
        return sums.masked_fill(generated.isneginf(), -torch.inf)  # what is no candidate stays none


def _log(probabilities: Tensor) -> Tensor:
    """Logarithms; of nothing that of the least number, which is as good as nothing and has a gradient."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def _copied(readout: Readout, width: int) -> Tensor:
    """The attention that falls to each of so many columns, (R, W), as shares of what falls to any."""
    assert readout.columns is not None
    weights = readout.attention.new_zeros(len(readout.attention), width + 1)
    weights = weights.scatter_add(1, readout.columns, readout.attention)[:, :width]
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


OUTPUTS: dict[str, type[SoftmaxOutput] | type[CopyOutput]] = {
    "softmax": SoftmaxOutput,
    "copy": CopyOutput,
}
