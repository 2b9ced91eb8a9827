"""Dropout with masks that are the same at all time steps (Gal & Ghahramani 2016).

Functions draw the masks from the argument `randomness`. If `randomness` is None, nothing is dropped. The methods
`train` and `eval` of `nn.Module` have no effect on dropout.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from nmt.system.devices import product_dtype


@dataclass(frozen=True, kw_only=True)
class Randomness:
    """A source of random numbers for the sentences of a batch.

    One update of the weights can use several batches, because an update can be divided among processes or accumulation
    steps, or if memory is short. The random numbers of a sentence depend only on the seed and on the index of the
    sentence in the update. The dropout masks therefore do not depend on how the update is divided.
    """

    generator: Generator  # on the device of the network; each batch of an update starts with the same seed
    first: int = 0  # the index of this batch's first sentence among all sentences of the update
    sentences: int | None = None  # the number of sentences in the update; None: this batch is the whole update

    def per_sentence(self, like: Tensor, size: int) -> Tensor:
        """Draw uniform numbers (B, 1, size) for use at all time steps of `like` (B, T, ·)."""
        numbers = torch.rand(self._sentences(like), 1, size, generator=self.generator, device=like.device)
        return self._take_rows(numbers, like)

    def per_token(self, like: Tensor) -> Tensor:
        """Draw uniform numbers (B, T, 1), one for each token of `like` (B, T, ·)."""
        # A separate generator draws the numbers of one time step after another. The numbers then do not depend on the
        # padding of the batch.
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.generator.device))
        generator = torch.Generator().manual_seed(seed)
        numbers = torch.rand(like.size(1), self._sentences(like), 1, generator=generator)
        return self._take_rows(numbers.transpose(0, 1), like).to(like.device)

    def _sentences(self, like: Tensor) -> int:
        return like.size(0) if self.sentences is None else self.sentences

    def _take_rows(self, numbers: Tensor, like: Tensor) -> Tensor:
        """Select the numbers for the sentences of this batch. `numbers` are for all sentences of the update."""
        return numbers[self.first : self.first + like.size(0)]


def dropout_mask(like: Tensor, size: int, rate: float, randomness: Randomness | None) -> Tensor | None:
    """Draw a dropout mask (B, 1, size) for use at all time steps. Return None if nothing is dropped.

    Each element is 0 with probability `rate`, and 1 / (1 − rate) otherwise.

    Args:
        like: a tensor (B, T, ·) with the number of sentences, the type and the device of the mask.
        size: the number of elements of the mask for each sentence.
        rate: the probability of dropping an element.
        randomness: the source of random numbers, or None to drop nothing.
    """
    if randomness is None or rate == 0:
        return None
    return (randomness.per_sentence(like, size) >= rate).to(like.dtype) / (1 - rate)


def step_mask(like: Tensor, size: int, rate: float, randomness: Randomness | None) -> Tensor | None:
    """Draw a dropout mask (B, size) for use in a loop over time steps. See `dropout_mask` for the arguments.

    The mask has the data type of matrix products with `like`.
    """
    mask = dropout_mask(like, size, rate, randomness)
    return None if mask is None else mask.squeeze(1).to(product_dtype(like))


def apply_mask(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Multiply `inputs` by a mask. If the mask is None, return `inputs` unchanged."""
    return inputs if mask is None else inputs * mask


def shared_dropout(inputs: Tensor, rate: float, randomness: Randomness | None) -> Tensor:
    """Drop random features of `inputs` (B, T, D). All time steps of a sentence drop the same features."""
    return apply_mask(inputs, dropout_mask(inputs, inputs.size(-1), rate, randomness))
