"""The search of segments with the native library."""

import threading
from collections.abc import Hashable, Sequence

from nmt.checkpoint.packed import PackedModel
from nmt.native.engine import Engine
from nmt.search.options import Options, SearchOptions
from nmt.translation.batches import max_segments
from nmt.translation.request import Segment
from nmt.translation.search import Found, Identify, SegmentSearch

MAX_GROUP = 32  # the maximum number of segments that a thread searches at once


class NativeSearch:
    """Searches whole segments in compiled code, in several threads. See `nmt.translation.search.SegmentSearch`.

    What the library does not support is searched with PyTorch. It is imported, and loads the models, when it is first
    needed.

    Args:
        models: one model, or the members of an ensemble.
        identify: distinguishes the hypotheses of an n-best list.
        batch_size: the maximum number of segments that are searched at once. By default, the library chooses.
        shortlist: whether to use the shortlist of the first model that has one.
        threads: the number of threads.
    """

    def __init__(
        self,
        models: Sequence[PackedModel],
        *,
        identify: Identify,
        batch_size: int | None = None,
        shortlist: bool = True,
        threads: int = 1,
    ) -> None:
        self.models, self.identify, self.batch_size = models, identify, batch_size
        self.shortlist, self.threads = shortlist, threads
        # The engine uses the shortlist of its first network.
        listed = sorted(models, key=lambda model: not model.has_shortlist)
        self.engine = Engine([model.network for model in listed])
        target = models[0].tokenizers.target
        self.forbidden = range(target.producible.stop, target.size)
        self._lock = threading.Lock()
        self._fallback: SegmentSearch | None = None

    @property
    def processes(self) -> int:
        return self.threads

    def max_segments(self, options: Options) -> int:
        if not self.engine.supports(options):
            return self._load_fallback().max_segments(options)
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

    def _search_part(self, segments: Sequence[Segment], options: Options) -> Sequence[Sequence[Found]]:
        """Search segments that have the same options."""
        if not isinstance(options, SearchOptions) or not self.engine.supports(options):
            return self._load_fallback().search(segments)

        def identify(index: int, ids: list[int]) -> Hashable:
            return self.identify(segments[index], ids)

        return self.engine.search(
            [segment.source for segment in segments],
            options,
            forbidden=self.forbidden,
            shortlist=self.shortlist,
            threads=self.threads,
            group=min(self.batch_size or 0, MAX_GROUP),
            identify=identify,
        )

    def _load_fallback(self) -> SegmentSearch:
        """Load the models again, for a search with PyTorch."""
        from nmt.translation.torch_search import load_search

        with self._lock:
            if self._fallback is None:
                single = threading.active_count() == 1  # a process with other threads must not fork workers
                self._fallback = load_search(
                    [model.folder for model in self.models],
                    precision="fp32" if self.models[0].precision == "fp32" else "auto",
                    identify=self.identify,
                    batch_size=self.batch_size,
                    shortlist=self.shortlist,
                    threads=self.threads if single else 1,
                )
            return self._fallback

    def close(self) -> None:
        if self._fallback:
            self._fallback.close()
