from typing import Any

import pytest
import tiny
import torch
from table_scorer import sentences
from torch import Tensor

from nmt.data.batch import pad
from nmt.model.candidates import Candidates
from nmt.model.seq2seq import Seq2Seq
from nmt.search.loop import Search, decode
from nmt.search.options import SearchOptions
from nmt.search.scorer import EnsembleScorer, ModelScorer, Scorer
from nmt.types import BOS, EOS

LINES = [[5, 6, 7, 8, 3], [9, 3], [10, 11, 12, 3]]


def networks() -> list[Seq2Seq]:
    """Members need not look alike."""
    return [
        tiny.network(1),
        tiny.network(2, cell="gru", decoder="input_feeding", encoder_size=4),
        tiny.network(3, decoder="input_feeding", decoder_layers=1, attention="additive", coverage=True),
    ]


def started(scorer: Scorer[Any]) -> Any:
    """The state before the first token, the whole vocabulary allowed."""
    return scorer.start(*pad(LINES), Candidates.all(tiny.SIZE))


def predictions(scorer: Scorer[Any], tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Log-probabilities and attention after each column of `tokens` (B, T), BOS first."""
    state, results = started(scorer), []
    for column in tokens.T:
        prediction, state = scorer.step(column, state)
        results.append((prediction.log_probabilities, prediction.attention))
    return results


TOKENS = torch.tensor([[BOS, 5, 6, 9], [BOS, 7, 7, 4], [BOS, 4, 19, 5]])


@torch.inference_mode()
def test_scores_equal_teacher_forcing() -> None:
    for network in networks():
        batch = tiny.batch()
        state = ModelScorer(network).start(batch.source, batch.source_lengths, Candidates.all(tiny.SIZE))
        expected = tiny.logits(network, batch)[:, EOS:].log_softmax(dim=-1).split(batch.target_lengths.tolist())
        tokens = torch.full((3,), BOS)
        for t in range(batch.target.size(1)):
            prediction, state = ModelScorer(network).step(tokens, state)
            assert torch.allclose(prediction.attention.sum(dim=1), torch.ones(3))
            for row, (logs, length) in enumerate(zip(expected, batch.target_lengths.tolist(), strict=True)):
                if t < length:
                    torch.testing.assert_close(prediction.log_probabilities[row], logs[t])
            tokens = batch.target[:, t]


@torch.inference_mode()
def test_ensemble_averages_probabilities() -> None:
    members = [ModelScorer(network) for network in networks()]
    singles = zip(*(predictions(member, TOKENS) for member in members), strict=True)
    for (logs, attention), single in zip(predictions(EnsembleScorer(members), TOKENS), singles, strict=True):
        mean = sum(each.exp() for each, _ in single) / 3
        torch.testing.assert_close(logs.exp(), mean)
        torch.testing.assert_close(attention, sum(each for _, each in single) / 3)
        assert not torch.allclose(logs, sum(each for each, _ in single) / 3, atol=1e-3)  # not the mean of logarithms


@torch.inference_mode()
def test_the_smallest_probabilities_of_an_ensemble_keep_their_logarithms() -> None:
    networks = [tiny.network(seed) for seed in (1, 2)]
    for network in networks:
        network.output.bias[7] = -500.0
    logs, _ = predictions(EnsembleScorer([ModelScorer(network) for network in networks]), TOKENS)[0]
    assert logs.isfinite().all()


@torch.inference_mode()
@pytest.mark.parametrize("size", [1, 3])
def test_select_reorders_hypotheses_and_drops_sentences(size: int) -> None:
    members = [ModelScorer(network) for network in networks()[:size]]
    scorer: Scorer[Any] = members[0] if size == 1 else EnsembleScorer(members)
    _, state = scorer.step(torch.full((3,), BOS), started(scorer))
    # Two hypotheses for each of sentences 2 and 0.
    both = state.select(torch.tensor([2, 2, 0, 0]), torch.tensor([2, 0]))
    tokens = torch.tensor([4, 9, 9, 12])
    prediction, both = scorer.step(tokens, both)
    for row, sentence in enumerate([2, 2, 0, 0]):
        whole, _ = scorer.step(tokens[row].expand(3), state)
        torch.testing.assert_close(prediction.log_probabilities[row], whole.log_probabilities[sentence])
    # Their order turned around, sentences as they are.
    after, _ = scorer.step(tokens, both)
    turned, _ = scorer.step(tokens[[1, 0, 3, 2]], both.select(torch.tensor([1, 0, 3, 2])))
    torch.testing.assert_close(turned.log_probabilities, after.log_probabilities[[1, 0, 3, 2]])


def test_an_ensemble_of_one_model_twice_translates_as_the_model() -> None:
    single = ModelScorer(tiny.network(5))
    options = SearchOptions(beam=3, nbest=3)
    source = sentences(LINES)
    once = [[hypothesis.ids for hypothesis in found] for found in decode(Search(scorer=single), source, options)]
    twice = [
        [hypothesis.ids for hypothesis in found]
        for found in decode(Search(scorer=EnsembleScorer([single] * 2)), source, options)
    ]
    assert once == twice


@torch.inference_mode()
def test_candidates_are_the_columns_and_each_sentence_is_normalized_over_its_own() -> None:
    network = tiny.network(2)
    own = [[5, 6, 19], [9], [5, 9, 12]]
    tokens = torch.tensor([[EOS, 5, 6, 19], [EOS, 9, EOS, EOS], [EOS, 5, 9, 12]])
    candidates = Candidates(tokens=tokens, counts=torch.tensor([4, 2, 4]))
    whole, narrow = ModelScorer(network), EnsembleScorer([ModelScorer(network)] * 2)
    logits, _ = predictions(whole, TOKENS[:, :1])[0]
    state = narrow.start(*pad(LINES), candidates)
    step, state = narrow.step(TOKENS[:, 0], state)
    for row, each in enumerate(own):
        expected = logits[row, [token - EOS for token in (EOS, *each)]].log_softmax(dim=-1)
        torch.testing.assert_close(step.log_probabilities[row, : 1 + len(each)], expected)
        assert set(step.log_probabilities[row, 1 + len(each) :].tolist()) <= {-torch.inf}
    # The candidates go with their sentences, as do the tokens, which are ids.
    step, _ = narrow.step(TOKENS[[2, 0], 1], state.select(torch.tensor([2, 0]), torch.tensor([2, 0])))
    assert step.log_probabilities.isfinite().sum(dim=1).tolist() == [4, 4]
    step, _ = narrow.step(TOKENS[[1], 1], state.select(torch.tensor([1]), torch.tensor([1])))
    assert step.log_probabilities.isfinite().tolist() == [[True, True, False, False]]


def test_ensemble_has_the_largest_tolerance_of_its_members() -> None:
    members = [ModelScorer(network) for network in networks()]
    ensemble = EnsembleScorer(members)
    members[1].tolerance = 0.5  # as of a packed one when torch's threads change
    assert (ensemble.tolerance, ensemble.target_size) == (0.5, tiny.SIZE)
