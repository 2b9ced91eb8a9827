"""Samples are drawn with the probabilities of the network."""

import itertools
from collections import Counter

import pytest
import tiny
import torch

from nmt.config.schema import ModelConfig
from nmt.data.batch import Batch, pad
from nmt.model.dropout import Randomness
from nmt.model.seq2seq import DECODERS, Seq2Seq
from nmt.training.objective import log_probabilities
from nmt.training.samples import sample_translations, without_gradients
from nmt.types import EOS

PRODUCIBLE = torch.arange(tiny.SIZE) >= EOS


def short() -> Batch:
    """One pair."""
    (source, source_lengths), (target, target_lengths) = pad([[4, 5, 3]]), pad([[4, 3]])
    return Batch(source=source, source_lengths=source_lengths, target=target, target_lengths=target_lengths)


@pytest.mark.parametrize("decoder", DECODERS)
def test_samples_are_as_frequent_as_probable(decoder: str) -> None:
    config = ModelConfig(embedding_size=6, encoder_size=8, decoder_size=8, decoder=decoder)  # type: ignore[arg-type]
    network = Seq2Seq(config, source_size=6, target_size=6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.output.bias[:3] = -50.0  # search never chooses these
    (drawn,) = sample_translations(network, short(), tiny.randomness(), 20_000, torch.arange(6) >= EOS)
    counts = Counter(tuple(ids) for ids in drawn)
    sequences = [list(ids) for length in range(3) for ids in itertools.product((4, 5), repeat=length)]
    probabilities = log_probabilities(network, short(), [sequences])[0].exp().tolist()
    for ids, probability in zip(sequences, probabilities, strict=True):
        assert counts[tuple(ids)] / len(drawn) == pytest.approx(probability, abs=5 * (probability / len(drawn)) ** 0.5)
    assert max(map(len, drawn)) <= 14


def test_special_tokens_are_never_drawn_and_length_has_a_limit() -> None:
    network = tiny.network()
    with torch.no_grad():
        network.output.bias[:4] = torch.tensor([9.0, 9.0, 9.0, -50.0])
    samples = sample_translations(network, tiny.batch(), tiny.randomness(), 5, PRODUCIBLE)
    assert [[len(ids) for ids in row] for row in samples] == [[16] * 5, [14] * 5, [20] * 5]
    assert min(piece for row in samples for ids in row for piece in ids) > 3


def test_a_sentence_has_its_samples_in_every_batch() -> None:
    network, batch = tiny.network(), tiny.batch()
    whole = sample_translations(network, batch, tiny.randomness(), 3, PRODUCIBLE)
    parts = []
    for part in batch.halves():
        randomness = Randomness(
            generator=torch.Generator().manual_seed(1), first=part.first, sentences=part.update_sentences
        )
        parts += sample_translations(network, part, randomness, 3, PRODUCIBLE)
    assert parts == whole
    assert sample_translations(network, batch, tiny.randomness(2), 3, PRODUCIBLE) != whole


def test_weights_are_cast_again_after_sampling() -> None:
    layer = torch.nn.Linear(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        with without_gradients():
            layer(torch.ones(1, 2))
        layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad is not None


def test_only_producible_tokens_are_drawn() -> None:
    network, batch, last = tiny.network(), tiny.batch(), tiny.SIZE - 1
    with torch.no_grad():
        network.output.bias[last] = 50.0

    def draw(producible: torch.Tensor) -> set[int]:
        samples = sample_translations(network, batch, tiny.randomness(), 3, producible)
        return {token for row in samples for ids in row for token in ids}

    assert draw(PRODUCIBLE) == {last}
    assert last not in draw(PRODUCIBLE & (torch.arange(tiny.SIZE) != last))
    assert draw((torch.arange(tiny.SIZE) == 7) | (torch.arange(tiny.SIZE) == 9)) == {7, 9}
