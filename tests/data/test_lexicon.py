"""IBM model 1 against the paper's equations."""

from collections import defaultdict
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data import lexicon
from nmt.data.lexicon import Lexicon
from nmt.data.updates import make_batch
from nmt.types import EOS

sides = st.lists(st.integers(EOS + 1, 8), max_size=4)


@given(st.lists(st.lists(st.tuples(sides, sides), min_size=1, max_size=3), min_size=1, max_size=3))
def test_expectation_maximization_equals_the_paper(corpus: list[list[tuple[list[int], list[int]]]]) -> None:
    """Against the equations of Brown et al. (1993), section 4.1, pair by pair."""
    probabilities: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    for _ in range(lexicon._ROUNDS):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for source, target in (([*source, EOS], [*target, EOS]) for batch in corpus for source, target in batch):
            for s, t in product(source, target):
                counts[s, t] += probabilities[s, t] / sum(probabilities[other, t] for other in source)
        totals: dict[int, float] = defaultdict(float)
        for (s, _), count in counts.items():
            totals[s] += count
        probabilities = defaultdict(float, {(s, t): count / totals[s] for (s, t), count in counts.items()})
    batches = [make_batch([source for source, _ in batch], [target for _, target in batch]) for batch in corpus]
    learned = Lexicon.learn(batches, 9)
    found = list(zip(learned.sources, learned.targets, learned.counts, learned.probabilities, strict=True))
    assert {(s, t): count for s, t, count, _ in found if count} == pytest.approx(dict(counts))
    assert {(s, t): chance for s, t, _, chance in found if chance} == pytest.approx(dict(probabilities))
