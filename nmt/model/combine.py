"""The attentional vector h̃: what a decoder makes of its state and of the context that it attends to."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Apply = Callable[[nn.Linear, Tensor], Tensor]
"""How a linear layer is applied: as it is, or in training such that its gradient is formed after the last time step."""


def applied(linear: nn.Linear, inputs: Tensor) -> Tensor:
    """W x + b."""
    return linear(inputs)  # type: ignore[no-any-return]


class Combine(nn.Linear):
    """h̃ = tanh(W [c; h] + b) (Luong et al. 2015, eq. 5)."""

    def __init__(self, embedding_size: int, hidden_size: int, context_size: int) -> None:  # noqa: ARG002
        super().__init__(hidden_size + context_size, hidden_size)

    def vectors(self, embedded: Tensor, hidden: Tensor, context: Tensor, product: Apply = applied) -> Tensor:  # noqa: ARG002
        """h̃ (…, H) of the previous pieces (…, E), the decoder's outputs (…, H) and the contexts (…, C)."""
        return torch.tanh(product(self, torch.cat([context, hidden], dim=-1)))


class GatedCombine(nn.Module):
    """h̃ = tanh(z ⊙ C c + (1 − z) ⊙ (U h + b)), z = σ(G [e; h; c] + g): the context gate (Tu et al. 2017, "both").

    The gate weighs what the source says against what the translation so far says, for each piece anew.
    """

    def __init__(self, embedding_size: int, hidden_size: int, context_size: int) -> None:
        super().__init__()
        self.context = nn.Linear(context_size, hidden_size, bias=False)
        self.hidden = nn.Linear(hidden_size, hidden_size)
        self.gate = nn.Linear(embedding_size + hidden_size + context_size, hidden_size)

    def vectors(self, embedded: Tensor, hidden: Tensor, context: Tensor, product: Apply = applied) -> Tensor:
        """As `Combine.vectors`."""
        z = torch.sigmoid(product(self.gate, torch.cat([embedded, hidden, context], dim=-1)))
        return torch.tanh(torch.lerp(product(self.hidden, hidden), product(self.context, context), z))
