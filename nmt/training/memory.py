"""The splitting of batches that do not fit into memory."""

from collections.abc import Iterable, Sequence

from nmt.data.batch import Batch
from nmt.data.updates import make_batch
from nmt.errors import MachineError
from nmt.types import EOS


class BatchLimit:
    """The limit of the size of batches. It is infinite until a batch does not fit into memory."""

    def __init__(self) -> None:
        self.too_large: float = float("inf")  # the padded size of the smallest batch that did not fit

    def split(self, batches: Iterable[Batch]) -> list[Batch]:
        """Split batches into halves until no batch is too large. The pairs and their order do not change."""
        parts: list[Batch] = []
        for batch in batches:
            large = batch.padded_size >= self.too_large and batch.sentences > 1
            parts += self.split(batch.halves()) if large else [batch]
        return parts

    def lower(self, batches: Sequence[Batch]) -> bool:
        """Lower the limit after one of these batches did not fit into memory. It is assumed to be the largest batch.

        Returns:
            Whether the limit was lowered for the first time.

        Raises:
            MachineError: the largest batch is a single pair.
        """
        largest = max(batches, key=lambda batch: batch.padded_size)
        if largest.sentences == 1:
            raise MachineError(
                f"there is too little memory for a single pair of {largest.source.size(1)} and "
                f"{largest.target.size(1)} tokens; lower data.max_length or the sizes of model, "
                "or train on a machine with more memory"
            )
        first, self.too_large = self.too_large == float("inf"), largest.padded_size
        return first


def largest_batch(pairs: int, source_tokens: int, target_tokens: int) -> Batch:
    """Return a batch with arbitrary content. The arguments give the lengths of its pairs without EOS."""
    return make_batch([[EOS] * source_tokens] * pairs, [[EOS] * target_tokens] * pairs)
