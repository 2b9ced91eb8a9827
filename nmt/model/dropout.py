"""Dropout with masks that are shared over time (Gal & Ghahramani 2016), drawn from explicit noise.

No noise means no dropout: a network is in training exactly when it is handed some.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from nmt.system.machine import product_dtype


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The randomness of a batch: masks belong to the sentences of an update, not to the batch they happen to be in.

    However an update is cut into batches, over processes, over accumulation steps, or because memory was short, each sentence
    gets the same masks.
    """

    generator: Generator  # on the network's device, seeded alike for each batch of an update
    first: int = 0  # place of the batch's first sentence in the update
    sentences: int | None = None  # sentences in the whole update; None: those of the batch
    passes: int = 1  # how often the batch holds its sentences, one pass after the other, each with masks of its own

    def shared(self, like: Tensor, size: int) -> Tensor:
        """Uniform numbers for all time steps of the sentences of `like`, (B, 1, size)."""
        rows = self.passes * self._sentences(like)
        numbers = torch.rand(rows, 1, size, generator=self.generator, device=like.device)
        return self._own(numbers, like)

    def by_word(self, like: Tensor) -> Tensor:
        """Uniform numbers for the words, or time steps, of `like` (B, T, ·), (B, T, 1)."""
        # A generator of their own, filled word by word: the numbers must not depend on the padding of the batch.
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.generator.device))
        rows = self.passes * self._sentences(like)
        numbers = torch.rand(like.size(1), rows, 1, generator=torch.Generator().manual_seed(seed))
        return self._own(numbers.transpose(0, 1), like).to(like.device)

    def _sentences(self, like: Tensor) -> int:
        return like.size(0) // self.passes if self.sentences is None else self.sentences

    def _own(self, numbers: Tensor, like: Tensor) -> Tensor:
        own = slice(self.first, self.first + like.size(0) // self.passes)
        return torch.cat([one_pass[own] for one_pass in numbers.chunk(self.passes)])


def dropout_mask(like: Tensor, size: int, rate: float, noise: Noise | None) -> Tensor | None:
    """One mask for all time steps, (B, 1, size), of 0 and 1 / (1 − rate); None where nothing is dropped."""
    return None if noise is None or rate == 0 else _mask(noise.shared(like, size), rate, like)


def step_mask(like: Tensor, size: int, rate: float, noise: Noise | None) -> Tensor | None:
    """The same for single time steps, (B, size), of the type of matrix products."""
    mask = dropout_mask(like, size, rate, noise)
    return None if mask is None else mask.squeeze(1).to(product_dtype(like))


def masked(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """`inputs` under a mask, or as they are where it is None."""
    return inputs if mask is None else inputs * mask


def shared_dropout(inputs: Tensor, rate: float, noise: Noise | None) -> Tensor:
    """Drop the same features of `inputs` (B, T, D) at every time step."""
    return masked(inputs, dropout_mask(inputs, inputs.size(-1), rate, noise))


def word_dropout(embedded: Tensor, rate: float, noise: Noise | None) -> Tensor:
    """Drop whole embeddings of single words (Sennrich et al. 2016) from (B, T, E)."""
    return embedded if noise is None or rate == 0 else embedded * _mask(noise.by_word(embedded), rate, embedded)


def _mask(numbers: Tensor, rate: float, like: Tensor) -> Tensor:
    return (numbers >= rate).to(like.dtype) / (1 - rate)
