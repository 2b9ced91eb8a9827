"""Fine-tuning: the vocabulary, the initial weights, and frozen weights."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from nmt.checkpoint.folder import Model, build_network, load_model, save_model, unique_weights
from nmt.config.schema import TokenizerConfig
from nmt.data.readers import read_corpora
from nmt.errors import ConfigError
from nmt.model.seq2seq import DECODERS, Seq2Seq
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.normalization import Normalizers
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.training.finetune import adopt_weights, check_start, freeze, reuse_tokenizers
from nmt.types import EOS

SUBWORDS = ("tokenizer.kind=bpe", "tokenizer.vocabulary_size=310", 'tokenizer.symbols=["<de>"]')
TIES = ("none", "two_way", "three_way")


def save(folder: Path, *overrides: str) -> Model:
    """Save a model with initial weights."""
    config = tiny.config(tiny.write_corpus(folder), *overrides)
    tokenizers = train_tokenizers(
        config.tokenizer, (pair.sides for pair in read_corpora(config.data.train, config.data))
    )
    network = build_network(config, tokenizers)
    torch.nn.init.normal_(network.output.bias, generator=torch.Generator().manual_seed(5))
    save_model(folder / "model", unique_weights(network), tokenizers, config)
    return load_model(folder / "model")


def initialize(start: Model, tokenizers: Tokenizers, **model: Any) -> Seq2Seq:
    """A network with other initial weights into which the weights of `start` are copied."""
    training = dataclasses.replace(start.config.training, seed=7)
    config = dataclasses.replace(
        start.config, training=training, model=dataclasses.replace(start.config.model, **model)
    )
    network = build_network(config, tokenizers)
    adopt_weights(network, tokenizers, start)
    return network


@pytest.mark.parametrize("joint", [True, False])
def test_the_same_settings_reuse_the_vocabulary(tmp_path: Path, joint: bool) -> None:
    start = save(tmp_path, *SUBWORDS, f"tokenizer.joint={joint}", "model.tied_embeddings=two_way")
    config = dataclasses.replace(start.config.tokenizer, sampling=0.5)
    tokenizers = reuse_tokenizers(config, start)
    assert tokenizers
    assert (tokenizers.source is tokenizers.target) == joint
    assert tokenizers.target.encode("rot hund") == start.tokenizers.target.encode("rot hund")
    assert len({tuple(ids) for ids in tokenizers.target.sample(["rot hund"] * 20, range(20))}) > 1
    network = initialize(start, tokenizers)
    for name, weight in unique_weights(start.network).items():
        assert torch.equal(unique_weights(network)[name], weight)


@pytest.mark.parametrize("tied", TIES)
@pytest.mark.parametrize("joint", [True, False])
def test_new_symbols_get_new_rows(tmp_path: Path, tied: str, joint: bool) -> None:
    tied = tied if joint or tied != "three_way" else "two_way"
    start = save(tmp_path, *SUBWORDS, f"tokenizer.joint={joint}", f"model.tied_embeddings={tied}")
    config = dataclasses.replace(start.config.tokenizer, symbols=("<fr>", "<de>", "<nl>"))
    tokenizers = reuse_tokenizers(config, start)
    assert tokenizers
    sizes = [start.tokenizers.source.size, start.tokenizers.target.size]
    assert [tokenizers.source.size, tokenizers.target.size] == [size + 2 for size in sizes]
    assert sizes[0] in tokenizers.source.encode("<fr> dog")
    network, weights = initialize(start, tokenizers), unique_weights(start.network)
    for name, weight in unique_weights(network).items():
        assert torch.equal(weight[: len(weights[name])], weights[name])
    fresh = network.target_embedding.weight[sizes[1] :]
    assert fresh.std() > 0.1


def test_other_settings_need_another_vocabulary(tmp_path: Path) -> None:
    start = save(tmp_path, *SUBWORDS)
    for change in ({"vocabulary_size": 280}, {"symbols": ()}, {"symbols": ("<fr>",)}, {"training_lines": 5}):
        assert reuse_tokenizers(dataclasses.replace(start.config.tokenizer, **change), start) is None
    with pytest.raises(ConfigError, match="cannot be a symbol"):
        reuse_tokenizers(dataclasses.replace(start.config.tokenizer, symbols=("<de>", "")), start)


@pytest.mark.parametrize("tied", TIES)
def test_common_tokens_keep_their_rows(tmp_path: Path, tied: str) -> None:
    start = save(tmp_path, f"model.tied_embeddings={tied}")
    pairs = [("dog zebra red", "hund zebra rot"), ("lion red", "löwe rot")]
    tokenizers = train_tokenizers(TokenizerConfig(kind="words", vocabulary_size=60), pairs)
    network = initialize(start, tokenizers)
    own, others = unique_weights(network), unique_weights(start.network)
    names = ["target_embedding.weight", "output.bias"]
    names += {"none": ["source_embedding.weight", "output.weight"], "two_way": ["source_embedding.weight"]}.get(
        tied, []
    )
    for name in names:
        assert torch.equal(own[name][: EOS + 1], others[name][: EOS + 1])
        for word in ("dog", "hund", "red"):
            (here,), (there,) = tokenizers.target.encode(word), start.tokenizers.target.encode(word)
            assert here != there or word == "dog"
            assert torch.equal(own[name][here], others[name][there])
    new = tokenizers.target.encode("zebra")[0]
    assert not (others["target_embedding.weight"] == own["target_embedding.weight"][new]).all(dim=1).any()
    assert torch.equal(own["decoder.combine.weight"], others["decoder.combine.weight"])


def test_different_networks_are_refused(tmp_path: Path) -> None:
    start = save(tmp_path)
    with pytest.raises(ConfigError, match=r"differs \(decoder_size is 16 there and 18 here\); set the keys"):
        check_start(dataclasses.replace(start.config.model, decoder_size=18), start.name)
    with pytest.raises(ConfigError, match="tied_embeddings is three_way there and none here, decoder is parallel"):
        check_start(
            dataclasses.replace(start.config.model, tied_embeddings="none", decoder="input_feeding"), start.name
        )
    with pytest.raises(ConfigError, match=r"\(embedding_scale is 4.0 there and 1.0 here\)"):
        check_start(dataclasses.replace(start.config.model, embedding_scale=1.0), start.name)
    check_start(dataclasses.replace(start.config.model, dropout=0.5), start.name)


PARTS = {
    "embeddings": ("source_embedding.", "target_embedding."),
    "encoder": ("encoder.",),
    "decoder": ("decoder.",),
    "attention": ("decoder.attention.",),
    "softmax": ("output.", "project."),
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("part", PARTS)
def test_a_frozen_part_gets_no_gradient(part: str, decoder: str) -> None:
    whole, frozen = (tiny.network(tied_embeddings="none", decoder=decoder, decoder_layers=2) for _ in range(2))
    freeze(frozen, [part])
    for network in (whole, frozen):
        tiny.loss(network, tiny.batch(), tiny.randomness()).backward()
    for (name, weight), (_, reference) in zip(frozen.named_parameters(), whole.named_parameters(), strict=True):
        assert (weight.grad is None) == name.startswith(PARTS[part])
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, reference.grad)


def test_tied_weights_are_frozen_together() -> None:
    network = tiny.network(tied_embeddings="three_way")
    freeze(network, ["softmax"])
    assert not network.source_embedding.weight.requires_grad
    assert all(weight.requires_grad for weight in network.encoder.parameters())


def test_other_rules_of_normalization_keep_the_vocabulary(tmp_path: Path) -> None:
    start = save(tmp_path, *SUBWORDS, "tokenizer.normalization=none")
    assert start.tokenizers.normalizers == Normalizers()
    for choice in ("none", "standard"):
        tokenizers = reuse_tokenizers(dataclasses.replace(start.config.tokenizer, normalization=choice), start)
        assert tokenizers
        assert tokenizers.normalizers == build_normalizers(choice)
        assert tokenizers.source.vocabulary() == start.tokenizers.source.vocabulary()
