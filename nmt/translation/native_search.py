"""The search of segments with the native library."""

from collections.abc import Callable, Hashable, Sequence

from nmt.checkpoint.packed import PackedModel
from nmt.native.engine import Engine
from nmt.search.options import MbrOptions, Options
from nmt.translation.batches import max_segments
from nmt.translation.request import Segment
from nmt.translation.search import Found, Identify


class NativeSearch:
    """Searches whole segments in compiled code. See `nmt.translation.search.SegmentSearch`.

    Args:
        models: one model, or the members of an ensemble.
        identify: distinguishes the hypotheses of an n-best list.
        batch_size: the maximum number of segments that are searched at once. By default, the library chooses.
        shortlist: whether to use the shortlist of the first model that has one.
        edges: returns the edges of the target tokens (see `nmt.search.loop.Search.edges`).
    """

    def __init__(
        self,
        models: Sequence[PackedModel],
        *,
        identify: Identify,
        batch_size: int | None = None,
        shortlist: bool = True,
        edges: Callable[[], bytes] = bytes,
    ) -> None:
        self._edges = edges
        self.identify, self.batch_size, self.shortlist = identify, batch_size, shortlist
        # The engine uses the shortlist of its first network.
        listed = sorted(models, key=lambda model: not model.has_shortlist)
        self.engine = Engine([model.network for model in listed])
        target = models[0].tokenizers.target
        self.forbidden = range(target.producible.stop, target.size)

    def max_segments(self, options: Options | MbrOptions) -> int:
        return max_segments(options, self.batch_size)

    def search(self, segments: Sequence[Segment]) -> list[Sequence[Found]]:
        by_options: dict[Options, list[int]] = {}
        for index, segment in enumerate(segments):
            by_options.setdefault(segment.options, []).append(index)
        results: list[Sequence[Found]] = [()] * len(segments)
        for options, indices in by_options.items():
            part = [segments[index] for index in indices]
            for index, found in zip(indices, self._search_part(part, options), strict=True):
                results[index] = found
        return results

    def score(self, segments: Sequence[Segment], targets: Sequence[Sequence[int]]) -> list[list[float]]:
        return self.engine.score(
            [segment.source for segment in segments], targets, shortlist=self.shortlist, group=self.batch_size or 0
        )

    def _search_part(self, segments: Sequence[Segment], options: Options) -> Sequence[Sequence[Found]]:
        """Search segments that have the same options."""

        def identify(index: int, ids: list[int]) -> Hashable:
            return self.identify(segments[index], ids)

        return self.engine.search(
            [segment.source for segment in segments],
            options,
            prefixes=[segment.prefix for segment in segments],
            guides=[segment.guide for segment in segments],
            terms=[segment.terms for segment in segments],
            edges=self._edges() if any(segment.terms for segment in segments) else b"",
            forbidden=self.forbidden,
            shortlist=self.shortlist,
            group=self.batch_size or 0,
            identify=identify,
        )
