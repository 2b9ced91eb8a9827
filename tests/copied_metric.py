"""A metric that reads the source sentences."""

from collections.abc import Sequence

from nmt.metrics.metric import Metric


class Copied(Metric):
    """The share of the sentences that are their source."""

    name, title, needs_source = "copied", "copied", True

    def statistics(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str | None]],
        sources: Sequence[str] | None = None,
    ) -> list[list[float]]:
        return [[line == source, 1.0] for line, source in zip(hypotheses, sources or [], strict=True)]

    def score_sums(self, sums: Sequence[float]) -> float:
        return 100 * sums[0] / sums[1]

    def signature(self, references: int, resamples: int | None = None) -> str:
        return f"bs:{resamples}"
