"""Functions that group segments into batches, and the search of one batch."""

import contextlib
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nmt.model.candidates import Shortlist
from nmt.search.constraints import Constraint
from nmt.search.finished import Hypothesis
from nmt.search.loop import Search, decode
from nmt.search.options import Options, SampleOptions
from nmt.search.sampling import sample
from nmt.search.scorer import Scorer
from nmt.system.devices import one_thread
from nmt.system.machine import return_memory
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.case import write_capitals
from nmt.translation.request import Segment, Translation

# The maximum numbers of segments and of hypotheses in a batch. The data of larger batches would not fit into the caches
# of a CPU.
MAX_SEGMENTS_PER_BATCH, MAX_ROWS_PER_BATCH = 96, 640
MAX_CUSTOM_ROWS = 1 << 16  # the maximum number of hypotheses in a batch, even if the user asks for larger batches
MAX_BATCH_TOKENS = 4096  # the maximum number of source tokens in a batch, padding included
# Processes share the segments of a call if each process gets at least this many. Smaller batches take about as long.
MIN_SHARE = 4
# Unused memory is returned to the system after this number of hypotheses. This halves the memory use.
TRIM_ROWS = 1280


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


@dataclass(kw_only=True)
class BatchSearch:
    """Translates one batch of segments, in this process or in a worker process."""

    scorer: Scorer[Any]
    shortlist: Shortlist | None
    tokenizers: Tokenizers
    constraints: Sequence[Constraint[Segment]]
    single_thread: bool  # whether torch must use only one thread, because other processes use the other cores
    rows: int = 0  # the number of hypotheses since unused memory was last returned

    def __call__(self, batch: Sequence[Segment]) -> list[list[Translation]]:
        """Return a list of translations for each segment: the n best translations, or the samples."""
        options = batch[0].options
        with one_thread() if self.single_thread else contextlib.nullcontext():
            found = self._search(batch, options)
        self.rows += len(batch) * options.rows
        if self.rows >= TRIM_ROWS:  # memory must be returned because batches of different shapes fragment it
            self.rows = 0
            return_memory()
        return [
            [self._translation(segment, hypothesis) for hypothesis in hypotheses]
            for segment, hypotheses in zip(batch, found, strict=True)
        ]

    def _search(self, batch: Sequence[Segment], options: Options) -> list[list[Hypothesis]]:
        search = Search(scorer=self.scorer, constraints=self.constraints, shortlist=self.shortlist)
        if isinstance(options, SampleOptions):
            return sample(search, batch, options)
        return decode(replace(search, identify=self._text), batch, options)

    def _text(self, segment: Segment, ids: Sequence[int]) -> str:
        text = replace_line_breaks(self.tokenizers.target.decode(ids))
        return write_capitals(text, segment.capitals) if segment.capitals else text

    def _translation(self, segment: Segment, hypothesis: Hypothesis) -> Translation:
        alignment, attention = [], []
        if hypothesis.attention is not None and segment.ids:
            weights = hypothesis.attention[:-1, : len(segment.ids)]  # without EOS of source and target
            alignment, attention = weights.argmax(dim=-1).tolist(), weights.tolist()
        return Translation(
            text=self._text(segment, hypothesis.ids),
            score=hypothesis.score,
            source_tokens=self.tokenizers.source.tokens(segment.ids),
            tokens=self.tokenizers.target.tokens(hypothesis.ids),
            alignment=alignment,
            attention=attention,
        )


def replace_line_breaks(text: str) -> str:
    """Replace each line break by a space. A translation can contain line breaks if the vocabulary has byte tokens."""
    return text.replace("\n", " ").replace("\r", " ")
