"""The interface between text and search: segments go in, hypotheses come out.

nmt/translation/native_search.py implements it with the native library, and nmt/translation/torch_search.py implements
it with PyTorch.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from nmt.search.options import MbrOptions, Options
from nmt.translation.request import Segment

Identify = Callable[[Segment, Sequence[int]], Hashable]
"""A function that takes a segment and the ids of a hypothesis, and returns for example the text of the hypothesis. An
n-best list contains only the best of several hypotheses for which the function returns equal values."""


class Found(Protocol):
    """A hypothesis that a search found."""

    @property
    def ids(self) -> list[int]:
        """The tokens of the translation, without BOS and EOS."""

    @property
    def score(self) -> float:
        """The score that ranks the hypothesis."""

    @property
    def attention(self) -> list[list[float]] | None:
        """The attention weights over all source tokens, for each token and for EOS. None unless options ask for it."""

    @property
    def token_log_probabilities(self) -> list[float] | None:
        """Log P of each token and of EOS. None if the search does not keep them."""


class SegmentSearch(Protocol):
    """Searches the translations of segments. Several threads can use it at the same time."""

    def max_segments(self, options: Options | MbrOptions) -> int:
        """Return the maximum number of segments that are searched at once with these options."""

    def search(self, segments: Sequence[Segment]) -> Sequence[Sequence[Found]]:
        """Return a list of hypotheses for each segment: the n best hypotheses, or the samples."""

    def score(
        self, segments: Sequence[Segment], targets: Sequence[Sequence[int]], *, shortlist: bool = True
    ) -> list[list[float]]:
        """Compute log P of given translations. The options of the segments are ignored.

        Args:
            segments: the segments.
            targets: the ids of the translation of each segment, without EOS.
            shortlist: False ignores the shortlist, so that probabilities are relative to the whole vocabulary.

        Returns:
            For each segment, log P of each token of its translation, and of EOS.
        """
