"""Options of search and sampling.

Each option is a field with a default, bounds and a docstring, which the commands read. The first sentence of the
docstring is the help text of the option.
"""

from dataclasses import dataclass
from typing import Annotated

from nmt.config.fields import Range, range_faults
from nmt.errors import ConfigError

MAX_ROWS_PER_SENTENCE = 1000
"""The maximum number of hypotheses for each sentence. With more, scores of the vocabulary need gigabytes."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of beam search: the beam, the bounds of the length, and the scores of finished hypotheses.

    Raises:
        ConfigError: a value is out of its bounds, or two values contradict each other.
    """

    beam: Annotated[int, Range(1, MAX_ROWS_PER_SENTENCE)] = 5
    """Number of hypotheses kept for each sentence; 1 is greedy search."""
    nbest: Annotated[int, Range(1, MAX_ROWS_PER_SENTENCE)] = 1
    """Number of translations returned for each sentence, at most `beam`. Their texts differ: if several
    hypotheses have the same text, only the best is returned. The search of a sentence continues until enough different
    texts have been found."""
    length_penalty: Annotated[float | None, Range(0, 10)] = None
    """Exponent A of the length in the score, log P / length^A; higher values prefer longer translations. With 0,
    translations are ranked by log P. With 1, they are ranked by the mean log P of a token. The length includes EOS.
    By default, it is `validation.length_penalty` of the model, or 1."""
    coverage_penalty: Annotated[float, Range(0, 1000)] = 0.0
    """Weight β of a penalty for source tokens with little attention; 0 is off. The penalty adds
    β Σ_s log min(Σ_t a_ts, 1) to the score of a finished hypothesis, where a_ts is the attention weight of target token
    t on source token s (Wu et al. 2016, eq. 14)."""
    min_length: Annotated[int, Range(0, 10_000)] = 1
    """Minimum number of tokens of a translation; 0 allows empty translations."""
    max_length_factor: Annotated[float, Range(0, 1000)] = 2.0
    """A translation has at most F · source tokens + E tokens. F is `max_length_factor`, and E is
    `max_length_extra`. The source tokens include EOS."""
    max_length_extra: Annotated[int, Range(0, 10_000)] = 10
    """The constant E in the maximum length of a translation, F · source tokens + E. F is `max_length_factor`."""
    no_repeat_ngram_size: Annotated[int, Range(0, 1000)] = 0
    """No N tokens in a row occur twice in a translation; 0 allows it. A token that would repeat an n-gram is forbidden,
    unless no other token is possible. With a small N, what a text repeats for good reason is also forbidden."""
    exact: bool = False
    """Search until no unfinished hypothesis can score better than the hypotheses returned. By default, the search of a
    sentence ends as soon as `beam` hypotheses have finished. If `length_penalty` is near 1, the default is much faster,
    and its translations are hardly ever worse."""
    attention: bool = False
    """Keep the attention weights of each hypothesis."""

    def __post_init__(self) -> None:
        faults = range_faults(self)
        if self.nbest > self.beam:
            faults.append(f"nbest: must be at most the beam, {self.beam}, not {self.nbest}; enlarge the beam")
        if faults:
            raise ConfigError("\n".join(faults))

    @property
    def length_exponent(self) -> float:
        """The exponent of the length: `length_penalty`, or 1."""
        return 1.0 if self.length_penalty is None else self.length_penalty

    @property
    def rows(self) -> int:
        """The number of hypotheses of a sentence that a step extends."""
        return self.beam

    def max_length(self, source_length: int) -> int:
        """Return the maximum number of tokens of a hypothesis, not including EOS.

        The maximum does not depend on the rest of the batch, so a sentence has the same translation in every batch.

        Args:
            source_length: the number of tokens of the source sentence, including EOS.
        """
        return max(1, self.min_length, int(self.max_length_factor * source_length) + self.max_length_extra)


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Options of sampling, which draws translations at random instead of searching for the best.

    Raises:
        ConfigError: a value is out of its bounds, or two values contradict each other.
    """

    samples: Annotated[int, Range(1, 10 * MAX_ROWS_PER_SENTENCE)] = 1
    """Number of translations drawn for each sentence. The draws are independent, so two translations can be equal."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    """Seed of the random generators."""
    temperature: Annotated[float, Range(0, 1000)] = 1.0
    """Draw each token from P^(1/T), normalized to sum to 1.

    Values of T below 1 make probable tokens more probable; 0 is greedy search.
    """
    top_k: Annotated[int | None, Range(1, 2**31 - 1)] = None
    """Draw among the K most probable tokens; by default among all."""
    within: SearchOptions = SearchOptions(beam=1)
    """The bounds of the length, the options of the score, and whether to keep attention weights.

    The temperature affects neither log P nor the score of a sample.
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


@dataclass(frozen=True, kw_only=True)
class MbrOptions:
    """Options of minimum Bayes risk decoding (Kumar & Byrne 2004; Eikema & Aziz 2020).

    Of the n-best list of a beam search and of random samples, the translation is chosen that is most similar to the
    samples, as measured by chrF. Its score is this similarity, from 0 to 100.

    Raises:
        ConfigError: a value is out of its bounds, or two values contradict each other.
    """

    sampling: SampleOptions = SampleOptions(samples=32, temperature=0.7)
    """The samples."""
    search: SearchOptions = SearchOptions(nbest=5)
    """The beam search that adds translations to choose from."""
    nbest: int = 1
    """Number of translations returned for each sentence. Their texts differ."""

    def __post_init__(self) -> None:
        if not 1 <= self.nbest <= MAX_ROWS_PER_SENTENCE:
            raise ConfigError(f"nbest: must be from 1 to {MAX_ROWS_PER_SENTENCE:,}, not {self.nbest}")
        if self.search.attention != self.sampling.within.attention:
            raise ConfigError("attention: must be the same for the search and the samples")

    @property
    def rows(self) -> int:
        """The number of hypotheses of a sentence that a step extends."""
        return max(self.sampling.rows, self.search.rows)


Options = SearchOptions | SampleOptions


def asks_for_attention(options: Options | MbrOptions) -> bool:
    """Return whether options ask for attention."""
    search = options.search if isinstance(options, MbrOptions) else options
    return search.within.attention if isinstance(search, SampleOptions) else search.attention
