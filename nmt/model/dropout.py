"""Dropout with masks that are the same at all time steps (Gal & Ghahramani 2016).

Functions draw the masks from an argument `randomness`. If it is None, nothing is dropped. The modes of `nn.Module`,
`train()` and `eval()`, have no effect on dropout.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from nmt.system.machine import product_dtype


@dataclass(frozen=True, kw_only=True)
class Randomness:
    """A source of random numbers for the sentences of a batch.

    A sentence gets numbers by its index among all sentences of an update of the weights. So its dropout masks do not
    depend on how the update is divided into batches: over processes, over accumulation steps, or for lack of memory.
    """

    generator: Generator  # on the network's device, with the same seed for each batch of an update
    first: int = 0  # index of the batch's first sentence in the update
    sentences: int | None = None  # sentences in the whole update; None: this batch is the update
    passes: int = 1  # how often the batch repeats its sentences, as a whole; each copy has different masks

    def per_sentence(self, like: Tensor, size: int) -> Tensor:
        """Draw uniform numbers (B, 1, size) for the sentences of `like` (B, T, ·), to use at all time steps."""
        rows = self.passes * self._sentences(like)
        numbers = torch.rand(rows, 1, size, generator=self.generator, device=like.device)
        return self._take_rows(numbers, like)

    def per_token(self, like: Tensor) -> Tensor:
        """Draw uniform numbers (B, T, 1), one for each token of `like` (B, T, ·)."""
        # A separate generator draws them step by step, so that they do not depend on the padding of the batch.
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.generator.device))
        rows = self.passes * self._sentences(like)
        numbers = torch.rand(like.size(1), rows, 1, generator=torch.Generator().manual_seed(seed))
        return self._take_rows(numbers.transpose(0, 1), like).to(like.device)

    def _sentences(self, like: Tensor) -> int:
        return like.size(0) // self.passes if self.sentences is None else self.sentences

    def _take_rows(self, numbers: Tensor, like: Tensor) -> Tensor:
        """Select the sentences of this batch from numbers for all sentences of the update, in each pass."""
        rows = slice(self.first, self.first + like.size(0) // self.passes)
        return torch.cat([one_pass[rows] for one_pass in numbers.chunk(self.passes)])


def dropout_mask(like: Tensor, size: int, rate: float, randomness: Randomness | None) -> Tensor | None:
    """Draw a dropout mask (B, 1, size) for all time steps of `like` (B, T, ·), or return None if nothing is dropped.

    The values are 0 with probability `rate`, and otherwise 1 / (1 − rate).
    """
    if randomness is None or rate == 0:
        return None
    return _to_mask(randomness.per_sentence(like, size), rate, like)


def step_mask(like: Tensor, size: int, rate: float, randomness: Randomness | None) -> Tensor | None:
    """Draw a mask (B, size) like `dropout_mask`, for use at single time steps, in the data type of matrix products."""
    mask = dropout_mask(like, size, rate, randomness)
    return None if mask is None else mask.squeeze(1).to(product_dtype(like))


def apply_mask(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Multiply `inputs` by a mask, or return them unchanged if the mask is None."""
    return inputs if mask is None else inputs * mask


def shared_dropout(inputs: Tensor, rate: float, randomness: Randomness | None) -> Tensor:
    """Drop features of `inputs` (B, T, D), the same features at every time step of a sentence."""
    return apply_mask(inputs, dropout_mask(inputs, inputs.size(-1), rate, randomness))


def word_dropout(embedded: Tensor, rate: float, randomness: Randomness | None) -> Tensor:
    """Drop the whole embeddings of random tokens from `embedded` (B, T, E) (Sennrich et al. 2016)."""
    if randomness is None or rate == 0:
        return embedded
    return embedded * _to_mask(randomness.per_token(embedded), rate, embedded)


def _to_mask(numbers: Tensor, rate: float, like: Tensor) -> Tensor:
    return (numbers >= rate).to(like.dtype) / (1 - rate)
