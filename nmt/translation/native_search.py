"""The search of segments with the native library."""

from collections.abc import Callable, Sequence

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
        self.identify, self.batch_size = identify, batch_size
        # The engine uses the shortlist of its first network.
        listed = sorted(models, key=lambda model: not model.has_shortlist)
        target = models[0].tokenizers.target
        self.engine = Engine(
            [model.network for model in listed],
            edges=edges,
            forbidden=range(target.producible.stop, target.size),
            shortlist=shortlist,
            group=batch_size or 0,
        )

    def max_segments(self, options: Options | MbrOptions) -> int:
        return max_segments(options, self.batch_size)

    def search(self, segments: Sequence[Segment]) -> list[Sequence[Found]]:
        by_options: dict[Options, list[int]] = {}
        for index, segment in enumerate(segments):
            by_options.setdefault(segment.options, []).append(index)
        results: list[Sequence[Found]] = [()] * len(segments)
        for options, indices in by_options.items():
            part = [segments[index] for index in indices]
            for index, found in zip(indices, self.engine.search(part, options, identify=self.identify), strict=True):
                results[index] = found
        return results

    def score(
        self, segments: Sequence[Segment], targets: Sequence[Sequence[int]], *, shortlist: bool = True
    ) -> list[list[float]]:
        return self.engine.score(segments, targets, shortlist=shortlist)
