"""Dropout with masks that are shared over time (Gal & Ghahramani 2016), drawn from explicit randomness.

A network is in training exactly when it is given some randomness. Without it nothing is dropped.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from nmt.system.machine import product_dtype


@dataclass(frozen=True, kw_only=True)
class Randomness:
    """Random numbers for the sentences of a batch.

    The numbers belong to the sentences of an update, not to the batch: each sentence gets the same dropout masks
    however the update is cut into batches, over processes, over accumulation steps, or because memory was short.
    """

    generator: Generator  # on the network's device, seeded alike for each batch of an update
    first: int = 0  # index of the batch's first sentence in the update
    sentences: int | None = None  # sentences in the whole update; None: this batch is the update
    passes: int = 1  # copies of its sentences in the batch, one after the other, each with different masks

    def per_sentence(self, like: Tensor, size: int) -> Tensor:
        """Uniform numbers (B, 1, size), the same for all time steps of a sentence of `like` (B, T, ·)."""
        rows = self.passes * self._sentences(like)
        numbers = torch.rand(rows, 1, size, generator=self.generator, device=like.device)
        return self._take_rows(numbers, like)

    def per_token(self, like: Tensor) -> Tensor:
        """Uniform numbers (B, T, 1), one for each token, or time step, of `like` (B, T, ·)."""
        # A separate generator fills them step by step, so that they do not depend on the padding of the batch.
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.generator.device))
        rows = self.passes * self._sentences(like)
        numbers = torch.rand(like.size(1), rows, 1, generator=torch.Generator().manual_seed(seed))
        return self._take_rows(numbers.transpose(0, 1), like).to(like.device)

    def _sentences(self, like: Tensor) -> int:
        return like.size(0) // self.passes if self.sentences is None else self.sentences

    def _take_rows(self, numbers: Tensor, like: Tensor) -> Tensor:
        """The rows of this batch, out of the rows of the whole update, in each pass."""
        rows = slice(self.first, self.first + like.size(0) // self.passes)
        return torch.cat([one_pass[rows] for one_pass in numbers.chunk(self.passes)])


def dropout_mask(like: Tensor, size: int, rate: float, randomness: Randomness | None) -> Tensor | None:
    """Draw a mask (B, 1, size) of 0 and 1 / (1 − rate) for all time steps; None where nothing is dropped."""
    if randomness is None or rate == 0:
        return None
    return _to_mask(randomness.per_sentence(like, size), rate, like)


def step_mask(like: Tensor, size: int, rate: float, randomness: Randomness | None) -> Tensor | None:
    """Draw such a mask for single time steps, (B, size), in the type of matrix products."""
    mask = dropout_mask(like, size, rate, randomness)
    return None if mask is None else mask.squeeze(1).to(product_dtype(like))


def apply_mask(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Multiply by a mask; None leaves `inputs` unchanged."""
    return inputs if mask is None else inputs * mask


def shared_dropout(inputs: Tensor, rate: float, randomness: Randomness | None) -> Tensor:
    """Drop the same features of `inputs` (B, T, D) at every time step."""
    return apply_mask(inputs, dropout_mask(inputs, inputs.size(-1), rate, randomness))


def word_dropout(embedded: Tensor, rate: float, randomness: Randomness | None) -> Tensor:
    """Drop whole embeddings of single tokens (Sennrich et al. 2016) from (B, T, E)."""
    if randomness is None or rate == 0:
        return embedded
    return embedded * _to_mask(randomness.per_token(embedded), rate, embedded)


def _to_mask(numbers: Tensor, rate: float, like: Tensor) -> Tensor:
    return (numbers >= rate).to(like.dtype) / (1 - rate)
