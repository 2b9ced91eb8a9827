"""The training loss."""

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Label-smoothed cross entropy (Szegedy et al. 2016), summed over the pieces, in nats.

    Args:
        logits: (pieces, V), without padding.
        targets: (pieces,) int64.
        label_smoothing: ε, the probability spread evenly over the vocabulary.
    """
    return F.cross_entropy(logits.float(), targets, label_smoothing=label_smoothing, reduction="sum")
