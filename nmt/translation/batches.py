"""Batches: how segments are grouped, and how a batch is searched."""

import contextlib
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.model.candidates import Shortlist
from nmt.search.constraints import Constraint
from nmt.search.finished import Hypothesis
from nmt.search.loop import decode
from nmt.search.options import Options, SampleOptions
from nmt.search.sampling import sample
from nmt.search.scorer import Scorer
from nmt.search.sentence import Sentence
from nmt.system.machine import one_thread, return_memory
from nmt.tokenizers.base import Tokenizers
from nmt.translation.request import Translation
from nmt.translation.segments import Segment
from nmt.types import EOS

MAX_SEGMENTS, MAX_ROWS = 96, 640  # of a batch, and its hypotheses: larger ones fall out of the CPU's caches
MAX_TOKENS = 4096  # source tokens of a batch, padding included
MIN_SHARE = 4  # segments for each process; with fewer a batch takes about as long as with all of them
TRIM_ROWS = 1280  # hypotheses after which unused memory is returned: it halves the memory that translating takes


def max_segments(options: Options, batch_size: int | None) -> int:
    """How many segments are searched at once: `batch_size`, or by default what suits the caches."""
    return batch_size or max(1, min(MAX_SEGMENTS, MAX_ROWS // options.rows))


def plan_batches(segments: Sequence[Segment], batch_size: int | None, processes: int) -> list[list[int]]:
    """Indices of the segments in batches of similar length, longest first. All segments of a batch have the same options.

    Each of the processes gets at least one batch if it would hold MIN_SHARE segments or more.
    """
    by_options: dict[Options, list[int]] = {}
    for index in sorted(range(len(segments)), key=lambda index: len(segments[index].ids), reverse=True):
        by_options.setdefault(segments[index].options, []).append(index)
    batches = []
    for options, order in by_options.items():
        size = max_segments(options, batch_size)
        lengths = [len(segments[index].ids) + 1 for index in order]
        shares = min(processes, len(order) // MIN_SHARE) if len(order) < processes * size else 1
        for share in divide(lengths, shares):
            batches += [order[batch.start : batch.stop] for batch in cut(share, lengths, size)]
    return batches


def divide(lengths: Sequence[int], count: int) -> list[range]:
    """Positions in `lengths`, in at most `count` consecutive ranges with about the same sum."""
    ends = list(itertools.accumulate(lengths))
    shares = [int((end - length / 2) * max(count, 1) / ends[-1]) for end, length in zip(ends, lengths, strict=True)]
    return [range(bisect_left(shares, share), bisect_right(shares, share)) for share in sorted(set(shares))]


def cut(positions: range, lengths: Sequence[int], size: int) -> Iterator[range]:
    """Parts of `positions` with at most `size` segments and MAX_TOKENS tokens, or with one segment that is longer."""
    while positions:
        end = max(1, min(size, MAX_TOKENS // lengths[positions[0]]))  # the first is the longest
        yield positions[:end]
        positions = positions[end:]


@dataclass(kw_only=True)
class BatchSearch:
    """Translates one batch of segments, here or in a worker process."""

    scorer: Scorer[Any]
    shortlist: Shortlist | None
    tokenizers: Tokenizers
    constraints: Sequence[Constraint]
    single_thread: bool  # torch uses one thread, because several cores are used by processes
    rows: int = 0  # hypotheses since unused memory was last returned

    def __call__(self, batch: Sequence[Segment]) -> list[list[Translation]]:
        """The n best translations of each segment, or its samples."""
        options = batch[0].options
        sentences = [Sentence(source=[*segment.ids, EOS], request=segment) for segment in batch]
        with one_thread() if self.single_thread else contextlib.nullcontext():
            found = self._search(sentences, options)
        self.rows += len(batch) * options.rows
        if self.rows >= TRIM_ROWS:  # batches of ever changing shapes fragment the memory
            self.rows = 0
            return_memory()
        return [
            [self._translation(segment, hypothesis) for hypothesis in hypotheses]
            for segment, hypotheses in zip(batch, found, strict=True)
        ]

    def _search(self, sentences: Sequence[Sentence], options: Options) -> list[list[Hypothesis]]:
        if isinstance(options, SampleOptions):
            return sample(self.scorer, sentences, options, constraints=self.constraints, shortlist=self.shortlist)
        return decode(self.scorer, sentences, options, constraints=self.constraints, shortlist=self.shortlist)

    def _translation(self, segment: Segment, hypothesis: Hypothesis) -> Translation:
        alignment, attention = [], []
        if hypothesis.attention is not None and segment.ids:
            weights = hypothesis.attention[:-1, : len(segment.ids)]  # without EOS, on both sides
            alignment, attention = weights.argmax(dim=-1).tolist(), weights.tolist()
        return Translation(
            text=replace_line_breaks(self.tokenizers.target.decode(hypothesis.ids)),
            score=hypothesis.score,
            source_tokens=self.tokenizers.source.tokens(segment.ids),
            tokens=self.tokenizers.target.tokens(hypothesis.ids),
            alignment=alignment,
            attention=attention,
        )


def replace_line_breaks(text: str) -> str:
    """Text with spaces for line breaks, which byte tokens can spell."""
    return text.replace("\n", " ").replace("\r", " ")
