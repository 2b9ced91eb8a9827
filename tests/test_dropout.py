import pytest
import torch

from nmt.model.dropout import dropout_mask, masked, shared_dropout, word_dropout


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_generator_means_no_dropout() -> None:
    inputs = torch.randn(2, 3, 4)
    assert shared_dropout(inputs, 0.5, None) is inputs
    assert word_dropout(inputs, 0.5, None) is inputs
    assert dropout_mask(inputs, 4, 0.0, generator()) is None
    assert masked(inputs, None) is inputs


def test_shared_masks_drop_the_same_features_at_every_step() -> None:
    dropped = shared_dropout(torch.ones(5, 7, 30), 0.4, generator())
    assert (dropped == dropped[:, :1]).all()
    assert sorted({round(value, 5) for value in dropped.flatten().tolist()}) == [0.0, round(1 / 0.6, 5)]
    assert not torch.equal(dropped[0], dropped[1])


def test_word_dropout_drops_whole_embeddings() -> None:
    dropped = word_dropout(torch.ones(20, 30, 4), 0.25, generator())
    kept = dropped[..., 0] != 0
    assert (dropped[kept] == 1 / 0.75).all()
    assert (dropped[~kept] == 0).all()
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.05)


def test_the_mean_stays() -> None:
    assert shared_dropout(torch.ones(2000, 1, 50), 0.3, generator()).mean().item() == pytest.approx(1.0, abs=0.02)


def test_masks_are_a_function_of_the_generator() -> None:
    inputs = torch.ones(2, 3, 50)
    assert torch.equal(shared_dropout(inputs, 0.5, generator(7)), shared_dropout(inputs, 0.5, generator(7)))
    assert not torch.equal(shared_dropout(inputs, 0.5, generator(7)), shared_dropout(inputs, 0.5, generator(8)))
