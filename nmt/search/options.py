"""Options of search and sampling.

The commands read the default, the bounds and the meaning of each option from its field. The first sentence of a field's
docstring is the help text of the option.
"""

from dataclasses import dataclass
from typing import Annotated

from nmt.config.fields import Range, range_faults
from nmt.errors import ConfigError

MAX_ROWS = 1000  # hypotheses of a sentence; more would need gigabytes for its scores of the vocabulary


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of beam search: the beam, the bounds of the length, and the scores of finished hypotheses.

    Raises:
        ConfigError: a value is out of its bounds, or two values contradict each other.
    """

    beam: Annotated[int, Range(1, MAX_ROWS)] = 5
    """Number of hypotheses kept for each sentence; 1 is greedy search."""
    nbest: Annotated[int, Range(1, MAX_ROWS)] = 1
    """Number of translations returned for each sentence, at most `beam`. Their texts differ. Of hypotheses with the
    same text, only the best is returned, and the search of a sentence continues until it has found enough."""
    length_penalty: Annotated[float, Range(0, 10)] = 1.0
    """Exponent A of the length in the score, log P / length^A; higher values prefer longer translations. 0 ranks by
    log P, and 1 ranks by the mean log P of a token. EOS counts in the length."""
    coverage_penalty: Annotated[float, Range(0, 1000)] = 0.0
    """Weight β of a penalty for source tokens with little attention; 0 is off. The score of a finished hypothesis is
    changed by β Σ_s log min(Σ_t a_ts, 1), where a_ts is the attention weight of target token t on source token s (Wu et
    al. 2016, eq. 14)."""
    min_length: Annotated[int, Range(0, 10_000)] = 1
    """Minimum number of tokens of a translation; 0 allows empty translations."""
    max_length_factor: Annotated[float, Range(0, 1000)] = 2.0
    """A translation has at most F · source tokens + E tokens. EOS of the source counts. E is `max_length_extra`."""
    max_length_extra: Annotated[int, Range(0, 10_000)] = 10
    """The constant E in the maximum length of a translation, F · source tokens + E. F is `max_length_factor`."""
    exact: bool = False
    """Search until no unfinished hypothesis can score better than the hypotheses returned. By default the search of a
    sentence ends as soon as `beam` hypotheses have finished. With a length_penalty near 1, this is much faster and the
    translations are hardly ever worse."""
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
        """The number of hypotheses of a sentence that a step extends."""
        return self.beam

    def max_length(self, source_length: int) -> int:
        """Return the maximum number of tokens of a hypothesis, EOS not counted.

        `source_length` is the number of tokens of the source sentence, EOS counted. The maximum depends on nothing else
        in the batch, so that a sentence has the same translation in every batch.
        """
        return max(1, self.min_length, int(self.max_length_factor * source_length) + self.max_length_extra)


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Options of sampling, which draws translations at random instead of searching for the best.

    Raises:
        ConfigError: a value is out of its bounds, or two values contradict each other.
    """

    samples: Annotated[int, Range(1, 10 * MAX_ROWS)] = 1
    """Number of translations drawn for each sentence. Draws are independent, so two may give the same translation."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    """Seed of the random generators."""
    temperature: Annotated[float, Range(0, 1000)] = 1.0
    """Draw each token from P^(1/T), normalized to sum to 1.

    Values of T below 1 make probable tokens more probable; 0 is greedy search.
    """
    top_k: Annotated[int | None, Range(1, 2**31 - 1)] = None
    """Draw among the K most probable tokens; by default among all."""
    within: SearchOptions = SearchOptions(beam=1)
    """The bounds of the length, the score, and whether to keep attention weights.

    The temperature does not affect log P and the score of a sample.
    """

    def __post_init__(self) -> None:
        faults = range_faults(self)
        if self.within.beam != 1:
            faults.append(f"within: the beam must be 1, not {self.within.beam}, since a sample is one hypothesis")
        if faults:
            raise ConfigError("\n".join(faults))

    @property
    def rows(self) -> int:
        """The number of hypotheses of a sentence that a step extends."""
        return self.samples


Options = SearchOptions | SampleOptions
