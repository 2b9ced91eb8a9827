"""When memory is too short for a batch: noticed, and the batch computed in parts."""

from collections.abc import Iterable, Sequence

import torch

from nmt.data.updates import make_batch
from nmt.errors import MachineError
from nmt.types import EOS, Batch

# Besides torch.OutOfMemoryError and MemoryError: the words of torch on a CPU, of C++, and of NVIDIA's libraries.
_WORDS = ("can't allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
# All that oneDNN says when there is no room for the kernel it has chosen; where there is none, it names "a primitive descriptor".
_ONEDNN = "could not create a primitive"


def is_shortage(error: BaseException) -> bool:
    """Whether an operation failed because memory was short."""
    said = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or said == _ONEDNN
        or any(word in said for word in _WORDS)
    )


class Room:
    """How large batches may be: unknown until one does not fit."""

    def __init__(self) -> None:
        self.too_large: float = float("inf")  # ids and padding of the smallest batch that did not fit

    def parts(self, batches: Iterable[Batch]) -> list[Batch]:
        """The same pairs in the same order, batches that are too large cut in halves and halves again."""
        parts: list[Batch] = []
        for batch in batches:
            large = batch.cells >= self.too_large and batch.sentences > 1
            parts += self.parts(batch.halves()) if large else [batch]
        return parts

    def shrink(self, batches: Sequence[Batch]) -> bool:
        """Take note that one of these did not fit: the largest, as far as we know. Returns whether it is the first time.

        Raises:
            MachineError: it is a single pair.
        """
        largest = max(batches, key=lambda batch: batch.cells)
        if largest.sentences == 1:
            raise MachineError(
                f"memory is too short for a single pair of {largest.source.size(1)} and {largest.target.size(1)} pieces; "
                "lower data.max_length or the sizes of model, or train on a machine with more memory"
            )
        first, self.too_large = self.too_large == float("inf"), largest.cells
        return first


def largest_batch(pairs: int, source_pieces: int, target_pieces: int) -> Batch:
    """A batch of so many pairs of these lengths, EOS not counted; what stands in it is of no meaning."""
    return make_batch([[EOS] * source_pieces] * pairs, [[EOS] * target_pieces] * pairs)
