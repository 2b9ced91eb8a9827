"""IBM model 1 against the paper's equations, and the alignments that follow from it."""

import math
from collections import defaultdict
from itertools import product
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.data import lexicon
from nmt.data.batch import Batch
from nmt.data.lexicon import Lexicon
from nmt.data.updates import make_batch
from nmt.model.autograd.cross_entropy import guided_attention
from nmt.training.objective import Likelihood
from nmt.types import EOS, PAD

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


def corpus(sentences: int = 200) -> Batch:
    """Sentences of one to five of seven words, translated word for word, in reverse: piece p by piece p + 7."""
    random = np.random.default_rng(1)
    sources = [random.integers(4, 11, random.integers(1, 6)).tolist() for _ in range(sentences)]
    return make_batch(sources, [[piece + 7 for piece in reversed(source)] for source in sources])


def test_alignments_equal_the_equations() -> None:
    learned, batch = Lexicon.learn([corpus()], 20), tiny.batch()
    probabilities = dict(zip(zip(learned.sources, learned.targets, strict=True), learned.probabilities, strict=True))
    found = learned.alignments(batch)
    assert found.shape == (3, 5, 5)
    for b, (T, S) in enumerate(zip(batch.target_lengths.tolist(), batch.source_lengths.tolist(), strict=True)):
        for t in range(T):
            pairs = [(batch.source[b, s].item(), batch.target[b, t].item()) for s in range(S)]
            row = [math.exp(-4 * abs(t / T - s / S)) * probabilities.get(pair, 0.0) for s, pair in enumerate(pairs)]
            expected = [weight / sum(row) if sum(row) else 0.0 for weight in row] + [0.0] * (5 - S)
            assert found[b, t].tolist() == pytest.approx(expected, abs=1e-6)
        assert not found[b, T:].any()


def test_words_find_their_translations() -> None:
    batch = corpus()
    found = Lexicon.learn([batch], 20).alignments(batch)
    best = batch.source.gather(1, found.argmax(dim=-1))
    real = batch.target > EOS
    assert ((best + 7 == batch.target) & real).sum() > 0.98 * real.sum()
    assert found[batch.target == PAD].sum() == 0


def test_the_guide_is_a_cross_entropy() -> None:
    weights = torch.tensor([[[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]])
    guide = torch.tensor([[[0.0, 1.0, 1.0], [2.0, 0.0, 0.0]]])
    assert guided_attention(weights, guide).item() == pytest.approx(2 * math.log(4))


@pytest.mark.parametrize("decoder", ["parallel", "input_feeding", "conditional"])
def test_attention_follows_its_guide(decoder: str) -> None:
    network, batch = tiny.network(decoder=decoder, decoder_layers=1), corpus(40)
    learned = Lexicon.learn([batch], tiny.SIZE)
    guide, objective = learned.alignments(batch), Likelihood(guided_alignment=1.0, lexicon=learned)

    def distance() -> float:
        with torch.no_grad():
            return (objective(network, batch) - tiny.loss(network, batch)).item() / float(guide.sum())

    before = distance()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        objective(network, batch, tiny.randomness()).backward()
        optimizer.step()
    assert distance() < 0.7 * before


def test_r_drop_guides_both_passes() -> None:
    network, batch = tiny.network(dropout=0.3), corpus(5)
    guided: dict[str, Any] = {"guided_alignment": 1.0, "lexicon": Lexicon.learn([batch], tiny.SIZE)}
    once = tiny.loss(network, batch, **guided) - tiny.loss(network, batch)
    both, plain = (tiny.loss(network, batch, tiny.randomness(), r_drop=1.0, **terms) for terms in (guided, {}))
    twice = both - plain
    assert twice.item() == pytest.approx(once.item(), rel=0.3)
