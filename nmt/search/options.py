"""How to search, or to sample."""

from collections.abc import Mapping
from dataclasses import dataclass

from nmt.errors import ConfigError

_LEAST = {
    "beam": 1,
    "nbest": 1,
    "length_penalty": 0,
    "coverage_penalty": 0,
    "min_length": 0,
    "max_length_factor": 0,
    "max_length_extra": 0,
}
_MOST = {"length_penalty": 10, "max_length_factor": 1000}  # beyond them powers and lengths overflow
_LEAST_OF_SAMPLES = {"samples": 1, "seed": 0, "temperature": 0, "top_k": 1}


def _bounds(options: object, bounds: Mapping[str, int]) -> list[str]:
    """A fault for each value that is too small, too large, or no number; None is no value."""
    values = ((name, least, getattr(options, name)) for name, least in bounds.items())
    return [
        f"{name}: must be at least {least}{f', at most {_MOST[name]}' if name in _MOST else ''}, not {value}"
        for name, least, value in values
        if value is not None and not (least <= value < float("inf") and value <= _MOST.get(name, value))
    ]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search looks for, and how hard. The score of a hypothesis is log P / length^length_penalty, EOS counted, less what
    coverage_penalty takes from it.

    Raises:
        ConfigError: a value out of its bounds, or a contradiction.
    """

    beam: int = 5
    """Hypotheses kept for each sentence; 1 is greedy."""
    nbest: int = 1
    """Hypotheses returned for each sentence, at most `beam`."""
    length_penalty: float = 1.0
    """Exponent α of the length in the score: 0 prefers short translations, 1 judges by the mean of log P, more prefers
    long ones."""
    coverage_penalty: float = 0.0
    """Weight β of what hypotheses lose for source pieces that they have not looked at, β Σ_s log min(Σ_t a_ts, 1) (Wu et al.
    2016, eq. 14); 0 is off. It chooses between finished hypotheses."""
    min_length: int = 1
    """Fewest pieces of a hypothesis; 0 allows empty ones."""
    max_length_factor: float = 2.0
    """A hypothesis has at most max_length_factor · source length + max_length_extra pieces. The source's EOS counts."""
    max_length_extra: int = 10
    """See max_length_factor."""
    exact: bool = False
    """Search on until no live hypothesis can score better than those returned. By default a sentence is done as soon as
    `beam` hypotheses have finished, which with a length_penalty near 1 is much sooner and hardly ever worse."""
    attention: bool = False
    """Keep the attention weights of each hypothesis."""

    def __post_init__(self) -> None:
        faults = _bounds(self, _LEAST)
        if self.nbest > self.beam:
            faults.append(f"nbest: at most as many as the beam, {self.beam}, not {self.nbest}; enlarge the beam")
        if faults:
            raise ConfigError("\n".join(faults))

    @property
    def rows(self) -> int:
        """Hypotheses of a sentence that a step extends."""
        return self.beam

    def max_length(self, source_length: int) -> int:
        """Most pieces of a hypothesis, EOS not counted, for a source of so many pieces, EOS counted.

        It depends on nothing but the sentence itself: its neighbours in a batch must not change its translation.
        """
        return max(1, self.min_length, int(self.max_length_factor * source_length) + self.max_length_extra)


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What is drawn at random instead of being searched for.

    Raises:
        ConfigError: a value out of its bounds, or a contradiction.
    """

    samples: int = 1
    """Hypotheses drawn for each sentence, each for itself: the same one may come more than once."""
    seed: int = 1
    """Another seed, other samples."""
    temperature: float = 1.0
    """Draw from P^(1/temperature): below 1 what is probable comes more often still, 0 is greedy."""
    top_k: int | None = None
    """Draw among so many most probable pieces only; by default among all."""
    within: SearchOptions = SearchOptions(beam=1)
    """The bounds of the length, the score (log P is the model's own, whatever the temperature), and whether to keep attention."""

    def __post_init__(self) -> None:
        faults = _bounds(self, _LEAST_OF_SAMPLES)
        if self.within.beam != 1:
            faults.append(f"within: a sample is one hypothesis, so the beam must be 1, not {self.within.beam}")
        if faults:
            raise ConfigError("\n".join(faults))

    @property
    def rows(self) -> int:
        """Hypotheses of a sentence that a step extends."""
        return self.samples


Options = SearchOptions | SampleOptions
