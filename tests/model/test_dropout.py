import pytest
import tiny
import torch

from nmt.model.dropout import Randomness, apply_mask, dropout_mask, shared_dropout


def test_no_dropout_without_generator() -> None:
    inputs = torch.randn(2, 3, 4)
    assert shared_dropout(inputs, 0.5, None) is inputs
    assert dropout_mask(inputs, 4, 0.0, tiny.randomness()) is None
    assert apply_mask(inputs, None) is inputs


def test_shared_masks_drop_the_same_features_at_every_step() -> None:
    dropped = shared_dropout(torch.ones(5, 7, 30), 0.4, tiny.randomness())
    assert (dropped == dropped[:, :1]).all()
    assert sorted({round(value, 5) for value in dropped.flatten().tolist()}) == [0.0, round(1 / 0.6, 5)]
    assert not torch.equal(dropped[0], dropped[1])


def test_dropout_keeps_the_mean() -> None:
    assert shared_dropout(torch.ones(2000, 1, 50), 0.3, tiny.randomness()).mean().item() == pytest.approx(1.0, abs=0.02)


def test_masks_depend_on_the_generator_only() -> None:
    inputs = torch.ones(2, 3, 50)
    assert torch.equal(shared_dropout(inputs, 0.5, tiny.randomness(7)), shared_dropout(inputs, 0.5, tiny.randomness(7)))
    assert not torch.equal(
        shared_dropout(inputs, 0.5, tiny.randomness(7)), shared_dropout(inputs, 0.5, tiny.randomness(8))
    )


@pytest.mark.parametrize("first", [0, 2])
def test_masks_do_not_depend_on_the_split_of_an_update(first: int) -> None:
    whole, part = torch.ones(5, 21, 40), torch.ones(2, 6, 40)
    numbers = (
        tiny.randomness().per_token(whole),
        Randomness(generator=tiny.randomness().generator, first=first, sentences=5).per_token(part),
    )
    assert torch.equal(numbers[1], numbers[0][first : first + 2, :6])
    noises = tiny.randomness(), Randomness(generator=tiny.randomness().generator, first=first, sentences=5)
    for _ in range(2):
        expected = shared_dropout(whole, 0.5, noises[0])[first : first + 2, :6]
        assert torch.equal(shared_dropout(part, 0.5, noises[1]), expected)
