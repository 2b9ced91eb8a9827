"""Dropout with masks that are shared over time (Gal & Ghahramani 2016), drawn from an explicit generator.

No generator means no dropout: a network is in training exactly when it is handed one.
"""

import torch
from torch import Generator, Tensor


def dropout_mask(like: Tensor, size: int, rate: float, generator: Generator | None) -> Tensor | None:
    """One mask for all time steps, (B, 1, size), of 0 and 1 / (1 − rate); None where nothing is dropped."""
    if generator is None or rate == 0:
        return None
    return _scaled((like.size(0), 1, size), like, rate, generator)


def masked(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """`inputs` under a mask, or as they are where it is None."""
    return inputs if mask is None else inputs * mask


def shared_dropout(inputs: Tensor, rate: float, generator: Generator | None) -> Tensor:
    """Drop the same features of `inputs` (B, T, D) at every time step."""
    return masked(inputs, dropout_mask(inputs, inputs.size(-1), rate, generator))


def word_dropout(embedded: Tensor, rate: float, generator: Generator | None) -> Tensor:
    """Drop whole embeddings of single words (Sennrich et al. 2016) from (B, T, E)."""
    if generator is None or rate == 0:
        return embedded
    return embedded * _scaled((*embedded.shape[:2], 1), embedded, rate, generator)


def _scaled(shape: tuple[int, ...], like: Tensor, rate: float, generator: Generator) -> Tensor:
    kept = torch.rand(shape, generator=generator, device=like.device) >= rate
    return kept.to(like.dtype) / (1 - rate)
