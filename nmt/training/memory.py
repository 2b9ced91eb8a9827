"""Memory shortage: recognize it, and compute the batch in parts."""

from collections.abc import Iterable, Sequence

import torch

from nmt.data.updates import make_batch
from nmt.errors import MachineError
from nmt.types import EOS, Batch

# Besides torch.OutOfMemoryError and MemoryError: the words of torch on a CPU, of C++, and of NVIDIA's libraries.
_WORDS = ("can't allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
# oneDNN's whole message when it has no memory for a kernel. Where it has no kernel, it names "a primitive descriptor".
_ONEDNN = "could not create a primitive"


def is_shortage(error: BaseException) -> bool:
    """Whether an operation failed because memory was short."""
    message = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or message == _ONEDNN
        or any(word in message for word in _WORDS)
    )


class BatchLimit:
    """The largest batch that fits into memory: unknown until one does not."""

    def __init__(self) -> None:
        self.too_large: float = float("inf")  # padded size of the smallest batch that did not fit

    def split(self, batches: Iterable[Batch]) -> list[Batch]:
        """The same pairs in the same order, with batches that are too large cut in half, repeatedly."""
        parts: list[Batch] = []
        for batch in batches:
            large = batch.padded_size >= self.too_large and batch.sentences > 1
            parts += self.split(batch.halves()) if large else [batch]
        return parts

    def lower(self, batches: Sequence[Batch]) -> bool:
        """Record that one of these batches, presumably the largest, did not fit. Returns whether it is the first time.

        Raises:
            MachineError: the largest batch is a single pair.
        """
        largest = max(batches, key=lambda batch: batch.padded_size)
        if largest.sentences == 1:
            raise MachineError(
                f"memory is too short for a single pair of {largest.source.size(1)} and {largest.target.size(1)} tokens; "
                "lower data.max_length or the sizes of model, or train on a machine with more memory"
            )
        first, self.too_large = self.too_large == float("inf"), largest.padded_size
        return first


def largest_batch(pairs: int, source_tokens: int, target_tokens: int) -> Batch:
    """A batch of this many pairs of these lengths, EOS not counted; its contents are arbitrary."""
    return make_batch([[EOS] * source_tokens] * pairs, [[EOS] * target_tokens] * pairs)
