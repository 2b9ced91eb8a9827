"""Objectives, compared with loops over the equations of the papers."""

import dataclasses
import math
from collections.abc import Sequence

import pytest
import tiny
import torch
from torch.nn import functional as F

from nmt.config.schema import TrainingConfig
from nmt.data.batch import Batch
from nmt.model.dropout import Randomness
from nmt.model.output import Readout
from nmt.model.seq2seq import DECODERS, Seq2Seq, real_targets
from nmt.tokenizers.vocabulary import CharacterTokenizer
from nmt.training.objective import Likelihood, Risk, cross_entropy_loss, log_probabilities
from nmt.types import BOS, EOS

CANDIDATES = [[[6, 5], [7], [6, 5]], [[8, 9, 10], [], [7]], [[8, 9, 10, 11], [8, 9], [4]]]  # one twice, one empty
TOKENIZER = CharacterTokenizer("abcdefghijklmnop")


def cost(translation: str, reference: str) -> float:
    """Share of positions that differ."""
    longest = max(len(translation), len(reference))
    return 1 - sum(a == b for a, b in zip(translation, reference, strict=False)) / longest if longest else 0.0


def risk(**settings: float) -> Risk:
    given = {"samples": 4, "sharpness": 0.5, "likelihood_share": 0.0, **settings}
    return Risk(tokenizer=TOKENIZER, cost=cost, likelihood=Likelihood(label_smoothing=0.1), **given)  # type: ignore[arg-type]


def log_probability(network: Seq2Seq, batch: Batch, sentence: int, ids: Sequence[int]) -> torch.Tensor:
    """Token by token."""
    length = batch.source_lengths[sentence : sentence + 1]
    memory = network.encode(batch.source[sentence : sentence + 1, : int(length)], length)
    state, previous, total = network.start(memory), BOS, torch.zeros((), dtype=torch.float64)
    for piece in [*ids, EOS]:
        step = network.step(torch.tensor([previous]), state, memory)
        total = total + network.output(step.vectors).log_softmax(dim=-1)[0, piece]
        state, previous = step.state, piece
    return total


@pytest.mark.parametrize("decoder", DECODERS)
def test_expected_cost_and_gradient_equal_the_paper(decoder: str) -> None:
    network, batch = tiny.network(decoder=decoder).double(), tiny.batch()
    scores = log_probabilities(network, batch, CANDIDATES)
    expected = torch.zeros((), dtype=torch.float64)
    for sentence, candidates in enumerate(CANDIDATES):
        reference = batch.target[sentence, : batch.target_lengths[sentence] - 1].tolist()
        distinct = [list(ids) for ids in {tuple(ids) for ids in candidates}]
        logs = [log_probability(network, batch, sentence, ids) for ids in candidates]
        torch.testing.assert_close(scores[sentence], torch.stack(logs), rtol=1e-5, atol=1e-5, check_dtype=False)
        powers = [log_probability(network, batch, sentence, ids).exp() ** 0.5 for ids in distinct]
        costs = [cost(TOKENIZER.decode(ids), TOKENIZER.decode(reference)) for ids in distinct]
        mean = sum(p * c for p, c in zip(powers, costs, strict=True)) / sum(powers)
        expected = expected + mean * (len(reference) + 1)
    found = risk().expected_cost(network, batch, CANDIDATES)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, check_dtype=False)
    parameters = list(network.parameters())
    gradients = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in (found, expected)]
    for gradient, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-6)


def gradients(network: Seq2Seq, objective: Risk | Likelihood, batches: Sequence[Batch]) -> torch.Tensor:
    """Of an update that is cut into these batches."""
    network.zero_grad()
    for batch in batches:
        randomness = Randomness(
            generator=torch.Generator().manual_seed(3), first=batch.first, sentences=batch.update_sentences
        )
        objective(network, batch, randomness).backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])


OBJECTIVES = (
    Likelihood(label_smoothing=0.1),
    risk(),
    risk(likelihood_share=0.3),
)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_do_not_depend_on_the_split_of_an_update(objective: Risk | Likelihood) -> None:
    network, batch = tiny.network(dropout=0.3, embedding_dropout=0.2), tiny.batch()
    first, rest = batch.halves()
    whole = gradients(network, objective, [batch])
    torch.testing.assert_close(gradients(network, objective, [first, *rest.halves()]), whole, rtol=1e-4, atol=1e-6)
    assert whole.abs().sum() > 0


def learn(network: Seq2Seq, objective: Risk | Likelihood, updates: int, rate: float = 0.01) -> list[float]:
    """The loss per token at each of these updates on one batch."""
    optimizer, course = torch.optim.Adam(network.parameters(), lr=rate), []
    for update in range(updates):
        loss = objective(network, tiny.batch(), tiny.randomness(update))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        course.append(float(loss.detach()) / tiny.batch().target_tokens)
    return course


@pytest.fixture
def learned() -> Seq2Seq:
    """A network that has learned something from likelihood: where risk begins."""
    network = tiny.network()
    learn(network, Likelihood(), 60)
    return network


@torch.no_grad()
def loss_of(network: Seq2Seq, **settings: float) -> float:
    return float(risk(**settings)(network, tiny.batch(), tiny.randomness()))


def test_the_loss_is_a_mixture(learned: Seq2Seq) -> None:
    with torch.no_grad():
        likelihood = float(tiny.loss(learned, tiny.batch(), tiny.randomness(), label_smoothing=0.1))
    mixed = 0.75 * loss_of(learned) + 0.25 * likelihood
    assert loss_of(learned, likelihood_share=0.25) == pytest.approx(mixed, rel=1e-5)


@pytest.mark.parametrize("change", [{"samples": 8}, {"sharpness": 2.0}])
def test_each_setting_changes_the_loss(learned: Seq2Seq, change: dict[str, float]) -> None:
    assert not math.isclose(loss_of(learned), loss_of(learned, **change), rel_tol=1e-4)


@pytest.mark.parametrize("sharpness", [0.005, 0.5])
def test_the_risk_falls(learned: Seq2Seq, sharpness: float) -> None:
    course = learn(learned, risk(samples=8, sharpness=sharpness), 60)
    assert sum(course[-10:]) < 0.7 * sum(course[:10])


@tiny.needs_bf16
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_weight_gets_a_gradient_under_autocast(objective: Risk | Likelihood) -> None:
    network, batch = tiny.network(), tiny.batch()
    with torch.autocast("cpu", torch.bfloat16):
        objective(network, batch, tiny.randomness()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_padding_does_not_count_in_a_reference() -> None:
    """Padding does not belong to a reference."""
    batch = tiny.batch()
    padded = dataclasses.replace(batch, target=torch.nn.functional.pad(batch.target, (0, 3)))
    first, second = (risk().expected_cost(tiny.network(), part, CANDIDATES) for part in (batch, padded))
    assert torch.equal(first, second)


def copying_problem() -> tuple[Seq2Seq, Batch, Readout, torch.Tensor]:
    """A network that copies, the readout of a batch as leaves of the graph, and its targets."""
    network, batch = tiny.network(output="copy").double(), tiny.batch()
    readout = network(batch)
    vectors, attention = (tensor.detach().requires_grad_() for tensor in (readout.vectors, readout.attention))
    return network, batch, dataclasses.replace(readout, vectors=vectors, attention=attention), real_targets(batch)


@pytest.mark.parametrize("epsilon", [0.0, 0.2])
@pytest.mark.parametrize("rows", [256, 4, 2])
def test_loss_of_copying_output_does_not_depend_on_the_split(
    epsilon: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.objective.SOFTMAX_ROWS", rows)
    network, _, readout, targets = copying_problem()  # ten rows: more than one part, the last not full
    log_p = network.predict(readout)
    wanted = (1 - epsilon) * F.one_hot(targets, tiny.SIZE) + epsilon / tiny.SIZE
    whole = -(wanted * log_p).sum()
    ours = cross_entropy_loss(network, readout, targets, epsilon)
    torch.testing.assert_close(ours, whole)
    inputs = [readout.vectors, readout.attention, *network.output.parameters()]
    torch.testing.assert_close(torch.autograd.grad(ours, inputs), torch.autograd.grad(whole, inputs))


def test_the_gradient_is_finite_where_a_target_is_neither_copied_nor_likely() -> None:
    network, _, readout, targets = copying_problem()
    network.output.bias.data[:3] = -1e4
    loss = cross_entropy_loss(network, readout, torch.arange(len(targets)) % 3, 0.1)
    (gradient,) = torch.autograd.grad(loss, [readout.attention])
    assert gradient.isfinite().all()


def test_risk_needs_randomness() -> None:
    with pytest.raises(ValueError, match="needs the argument `randomness`"):
        risk()(tiny.network(), tiny.batch())


def test_every_setting_of_the_likelihood_is_read() -> None:
    settings = TrainingConfig(label_smoothing=0.3)
    assert Likelihood.of(settings) == Likelihood(label_smoothing=0.3)


@pytest.mark.parametrize("output", ["softmax", "copy"])
def test_scores_of_candidates_do_not_depend_on_the_split(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = tiny.network(output=output).double(), tiny.batch()
    whole = log_probabilities(network, batch, CANDIDATES)
    monkeypatch.setattr("nmt.training.objective.ROWS", 4)
    torch.testing.assert_close(log_probabilities(network, batch, CANDIDATES), whole)
