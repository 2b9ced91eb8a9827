"""Options of search and sampling. Each field states its default, bounds and meaning, from which the commands read them.

The first sentence of a field's docstring is its help text on the command line.
"""

from dataclasses import dataclass
from typing import Annotated

from nmt.config.fields import Range, range_faults
from nmt.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search: the width of the beam, the bounds of lengths, and how finished hypotheses are scored.

    Raises:
        ConfigError: a value out of its bounds, or a contradiction.
    """

    beam: Annotated[int, Range(1)] = 5
    """Hypotheses kept for each sentence; 1 is greedy search."""
    nbest: Annotated[int, Range(1)] = 1
    """Hypotheses returned for each sentence, at most `beam`."""
    length_penalty: Annotated[float, Range(0, 10)] = 1.0
    """Exponent of the length in the score, log P / length^A; higher prefers longer translations. 0 ranks by log P, 1 by
    its mean over the tokens. EOS counts."""
    coverage_penalty: Annotated[float, Range(0)] = 0.0
    """Weight of a penalty for source tokens with little attention; 0 is off. A hypothesis loses
    -β Σ_s log min(Σ_t a_ts, 1) (Wu et al. 2016, eq. 14). It only ranks finished hypotheses."""
    min_length: Annotated[int, Range(0)] = 1
    """Fewest tokens of a translation; 0 allows empty ones."""
    max_length_factor: Annotated[float, Range(0, 1000)] = 2.0
    """A translation has at most F · source tokens + E tokens. EOS of the source counts; E is `max_length_extra`."""
    max_length_extra: Annotated[int, Range(0)] = 10
    """The E of that limit: tokens allowed besides those in proportion to the source."""
    exact: bool = False
    """Search until no live hypothesis can score better than those returned. By default a sentence is done as soon as
    `beam` hypotheses have finished, which with a length_penalty near 1 is much earlier and hardly ever worse."""
    attention: bool = False
    """Keep the attention weights of each hypothesis."""

    def __post_init__(self) -> None:
        faults = range_faults(self)
        if self.nbest > self.beam:
            faults.append(f"nbest: must be at most the beam, {self.beam}, not {self.nbest}; enlarge the beam")
        if faults:
            raise ConfigError("\n".join(faults))

    @property
    def rows(self) -> int:
        """Hypotheses of a sentence that a step extends."""
        return self.beam

    def max_length(self, source_length: int) -> int:
        """Most tokens of a hypothesis, EOS not counted, for a source of this length, EOS counted.

        It depends on the sentence only: the rest of the batch must not change its translation.
        """
        return max(1, self.min_length, int(self.max_length_factor * source_length) + self.max_length_extra)


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """How to draw translations at random instead of searching for the best.

    Raises:
        ConfigError: a value out of its bounds, or a contradiction.
    """

    samples: Annotated[int, Range(1)] = 1
    """Hypotheses drawn for each sentence. They are independent, so the same one may be drawn more than once."""
    seed: Annotated[int, Range(0)] = 1
    """Seed of the random numbers."""
    temperature: Annotated[float, Range(0)] = 1.0
    """Draw from P^(1/T), normalized for each token.

    Below 1 probable tokens become more probable; 0 is greedy search.
    """
    top_k: Annotated[int | None, Range(1)] = None
    """Draw among the K most probable tokens; by default among all."""
    within: SearchOptions = SearchOptions(beam=1)
    """Bounds of lengths, the score, and whether to keep attention.

    Log P is the model's own, whatever the temperature.
    """

    def __post_init__(self) -> None:
        faults = range_faults(self)
        if self.within.beam != 1:
            faults.append(f"within: the beam must be 1, not {self.within.beam}, since a sample is one hypothesis")
        if faults:
            raise ConfigError("\n".join(faults))

    @property
    def rows(self) -> int:
        """Hypotheses of a sentence that a step extends."""
        return self.samples


Options = SearchOptions | SampleOptions
