"""The output layer of a pointer-generator network, which can copy source tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.model.output import LogSoftmax, OutputLayer, Readout


class CopyOutput(OutputLayer):
    """An output layer that generates a token or copies a source token (See et al. 2017, eq. 9).

    p(y) = g softmax(W x + b)_y + (1 − g) Σ_{s: source token s is y} a_s;  g = σ(w x + v)

    Here a_s is the attention weight of source token s. In the paper, g is computed from the context and the decoder
    state. This class computes g from the attentional vector x, which combines the context and the decoder state.
    """

    copies = True

    def __init__(self, size: int, vocabulary: int) -> None:
        super().__init__(size, vocabulary)
        self.generate = nn.Linear(size, 1)

    def log_probabilities(self, readout: Readout, log_softmax: LogSoftmax) -> Tensor:
        generated = log_softmax(readout.vectors)
        gate = self.generate(readout.vectors).to(generated.dtype)
        # The probability of copying a candidate is the attention to all source tokens that equal the candidate,
        # normalized over the candidates.
        R, W = generated.shape
        assert readout.columns is not None
        weights = readout.attention.new_zeros(R, W + 1).scatter_add(1, readout.columns, readout.attention)[:, :W]
        copied = weights / weights.sum(dim=1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
        copied = copied.to(generated.dtype)
        log_copied = copied.clamp_min(torch.finfo(copied.dtype).tiny).log()  # keep the gradient finite
        sums = torch.logaddexp(F.logsigmoid(gate) + generated, F.logsigmoid(-gate) + log_copied)
        return sums.masked_fill(generated.isneginf(), -torch.inf)  # a token that is not a candidate keeps −∞
