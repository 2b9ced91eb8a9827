"""A gate between the context and the decoder's output."""

import torch
from torch import Tensor, nn

from nmt.config.schema import ModelConfig
from nmt.model.combine import Apply, apply_linear


class GatedCombine(nn.Module):
    """The attentional vector with a context gate (Tu et al. 2017, "both").

    h̃ = tanh(z ⊙ C c + (1 − z) ⊙ (U h + b));  z = σ(G [e; h; c] + g)

    Here e is the embedding of the previous token, h is the output of the decoder, and c is the context. For each token,
    the gate z weighs the source sentence against the translation so far.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        E, H, C = config.embedding_size, config.decoder_size, config.encoder_size
        self.context = nn.Linear(C, H, bias=False)
        self.hidden = nn.Linear(H, H)
        self.gate = nn.Linear(E + H + C, H)

    def vectors(self, embedded: Tensor, hidden: Tensor, context: Tensor, apply: Apply = apply_linear) -> Tensor:
        """Compute h̃ (…, H) from embeddings of previous tokens (…, E), decoder outputs (…, H) and contexts (…, C)."""
        z = torch.sigmoid(apply(self.gate, torch.cat([embedded, hidden, context], dim=-1)))
        return torch.tanh(torch.lerp(apply(self.hidden, hidden), apply(self.context, context), z))
