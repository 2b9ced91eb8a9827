"""Functions that group segments into batches."""

from collections.abc import Iterator, Sequence

from nmt.search.options import MbrOptions, Options
from nmt.translation.request import Segment

# The maximum numbers of segments and of hypotheses in a batch. The data of larger batches would not fit into the caches
# of a CPU.
MAX_SEGMENTS_PER_BATCH, MAX_ROWS_PER_BATCH = 96, 640
MAX_CUSTOM_ROWS = 1 << 16  # the maximum number of hypotheses in a batch, even if the user asks for larger batches
MAX_BATCH_TOKENS = 4096  # the maximum number of source tokens in a batch, padding included


def max_segments(options: Options | MbrOptions, batch_size: int | None) -> int:
    """Return the maximum number of segments in a batch. It is `batch_size`, or by default depends on the options."""
    if batch_size:
        return max(1, min(batch_size, MAX_CUSTOM_ROWS // options.rows))
    return max(1, min(MAX_SEGMENTS_PER_BATCH, MAX_ROWS_PER_BATCH // options.rows))


def plan_batches(segments: Sequence[Segment], batch_size: int | None) -> list[list[int]]:
    """Divide segments into batches of similar length, the longest first. Return the indices of the segments by batch.

    All segments of a batch have the same options.
    """
    by_options: dict[Options, list[int]] = {}
    for index in sorted(range(len(segments)), key=lambda index: len(segments[index].source), reverse=True):
        by_options.setdefault(segments[index].options, []).append(index)
    batches = []
    for options, order in by_options.items():
        lengths = [len(segments[index].source) for index in order]
        size = max_segments(options, batch_size)
        batches += [order[batch.start : batch.stop] for batch in cut(range(len(order)), lengths, size)]
    return batches


def cut(positions: range, lengths: Sequence[int], size: int) -> Iterator[range]:
    """Cut a range of segments into smaller ranges of at most `size` segments and MAX_BATCH_TOKENS tokens.

    A segment of more than MAX_BATCH_TOKENS tokens gets its own range.
    """
    while positions:
        end = max(1, min(size, MAX_BATCH_TOKENS // lengths[positions[0]]))  # the first segment is the longest
        yield positions[:end]
        positions = positions[end:]
