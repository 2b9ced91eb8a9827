"""Functions that group segments into batches."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from nmt.search.options import Options
from nmt.translation.request import Segment

# The maximum numbers of segments and of hypotheses in a batch. The data of larger batches would not fit into the caches
# of a CPU.
MAX_SEGMENTS_PER_BATCH, MAX_ROWS_PER_BATCH = 96, 640
MAX_CUSTOM_ROWS = 1 << 16  # the maximum number of hypotheses in a batch, even if the user asks for larger batches
MAX_BATCH_TOKENS = 4096  # the maximum number of source tokens in a batch, padding included
# Processes share the segments of a call if each process gets at least this many. Smaller batches take about as long.
MIN_SHARE = 4


def max_segments(options: Options, batch_size: int | None) -> int:
    """Return the maximum number of segments in a batch. It is `batch_size`, or by default depends on the options."""
    if batch_size:
        return max(1, min(batch_size, MAX_CUSTOM_ROWS // options.rows))
    return max(1, min(MAX_SEGMENTS_PER_BATCH, MAX_ROWS_PER_BATCH // options.rows))


def plan_batches(segments: Sequence[Segment], batch_size: int | None, processes: int) -> list[list[int]]:
    """Divide segments into batches of similar length, the longest first. Return the indices of the segments by batch.

    All segments of a batch have the same options. If there are few segments, each process gets one batch. But a batch
    has at least about MIN_SHARE segments, so some processes may get no batch.
    """
    by_options: dict[Options, list[int]] = {}
    for index in sorted(range(len(segments)), key=lambda index: len(segments[index].source), reverse=True):
        by_options.setdefault(segments[index].options, []).append(index)
    batches = []
    for options, order in by_options.items():
        size = max_segments(options, batch_size)
        lengths = [len(segments[index].source) for index in order]
        shares = min(processes, len(order) // MIN_SHARE) if len(order) < processes * size else 1
        for share in divide(lengths, shares):
            batches += [order[batch.start : batch.stop] for batch in cut(share, lengths, size)]
    return batches


def divide(lengths: Sequence[int], count: int) -> list[range]:
    """Divide the indices of `lengths` into at most `count` consecutive ranges. Their sums of lengths are similar."""
    ends = list(itertools.accumulate(lengths))
    shares = [int((end - length / 2) * max(count, 1) / ends[-1]) for end, length in zip(ends, lengths, strict=True)]
    return [range(bisect_left(shares, share), bisect_right(shares, share)) for share in sorted(set(shares))]


def cut(positions: range, lengths: Sequence[int], size: int) -> Iterator[range]:
    """Cut a range of segments into smaller ranges of at most `size` segments and MAX_BATCH_TOKENS tokens.

    A segment of more than MAX_BATCH_TOKENS tokens gets its own range.
    """
    while positions:
        end = max(1, min(size, MAX_BATCH_TOKENS // lengths[positions[0]]))  # the first segment is the longest
        yield positions[:end]
        positions = positions[end:]
