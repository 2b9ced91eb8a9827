"""Shortlists: learned from pairs whose translations are known, and added to the models of trainings."""

import contextlib
import functools
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import tiny

from nmt.checkpoint.folder import load_model
from nmt.config.schema import TokenizerConfig
from nmt.data import lexicon
from nmt.data.batch import Batch
from nmt.data.batching import make_text_batches
from nmt.data.pair import Pair
from nmt.errors import MachineError
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.training.run import train
from nmt.training.shortlist import add_shortlist, learn_shortlist
from nmt.training.validation import ValidationSet
from nmt.types import EOS

DICTIONARY = dict(tiny.PAIRS)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Sentences of one to five words, translated word for word, in reverse."""
    random = np.random.default_rng(1)
    sentences = [random.choice(list(DICTIONARY), random.integers(1, 6)).tolist() for _ in range(300)]
    return [Pair(" ".join(words), " ".join(DICTIONARY[word] for word in reversed(words))) for words in sentences]


def tokenizers_of(pairs: list[Pair], **settings: Any) -> Tokenizers:
    return train_tokenizers(
        TokenizerConfig(kind="words", vocabulary_size=60, **settings), [pair.sides for pair in pairs]
    )


@pytest.mark.parametrize("joint", [True, False])
def test_the_best_token_is_the_translation(pairs: list[Pair], joint: bool) -> None:
    tokenizers = tokenizers_of(pairs, joint=joint)
    learned = learn_shortlist(make_text_batches(pairs, tokenizers, 200), tokenizers, frequent=0, best=2)
    assert learned.best.shape == (tokenizers.source.size, 2)
    for word, translation in DICTIONARY.items():
        (source,), (target,) = tokenizers.source.encode(word), tokenizers.target.encode(translation)
        assert learned.best[source, 0] == target


def test_frequent_tokens(pairs: list[Pair]) -> None:
    pairs = [Pair(pair.source, f"{pair.target} ja ja ja nein nein") for pair in pairs]
    tokenizers = tokenizers_of(pairs, joint=False)
    learned = learn_shortlist(make_text_batches(pairs, tokenizers, 200), tokenizers, frequent=2, best=50)
    assert learned.frequent.tolist() == tokenizers.target.encode("ja nein")
    assert not np.isin(learned.best, learned.frequent).any()


def test_a_rare_token_may_be_copied(pairs: list[Pair]) -> None:
    tokenizers = tokenizers_of([*pairs, Pair("amy ben", "amy otto")], joint=False)
    learned = learn_shortlist(make_text_batches(pairs, tokenizers, 200), tokenizers)
    amy, ben = tokenizers.source.encode("amy ben")
    assert learned.best[amy, 0] == tokenizers.target.encode("amy")[0]
    assert (learned.best[amy, 1:] == EOS).all()
    assert (learned.best[ben] == EOS).all()  # it has no namesake


def test_only_the_first_pairs_are_read(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizers = tokenizers_of(pairs)
    read = 0

    def batches() -> Iterator[Batch]:
        nonlocal read
        for batch in make_text_batches(pairs, tokenizers, 200):
            read += 1
            yield batch

    learn_shortlist(batches(), tokenizers)
    whole, read = read, 0
    monkeypatch.setattr(lexicon, "_POSITION_PAIRS", 1000)
    learn_shortlist(batches(), tokenizers)
    assert read < whole / 2


def test_tags_are_never_candidates(pairs: list[Pair]) -> None:
    config = TokenizerConfig(kind="words", vocabulary_size=60)
    tokenizers = train_tokenizers(config, [pair.sides for pair in pairs], ["<2de>", "<rare>"])
    tagged = [replace(pair, tags=("<2de>",)) for pair in pairs]
    learned = learn_shortlist(make_text_batches(tagged, tokenizers, 200), tokenizers, frequent=5, best=9)
    assert learned.best.shape[0] == tokenizers.source.size
    assert max(learned.best.max(), learned.frequent.max()) < tokenizers.target.size - 2
    assert (learned.best[tokenizers.source.size - 2] != EOS).any()  # it goes with the pieces of its language


SAMPLED = ("tokenizer.kind=bpe", "tokenizer.vocabulary_size=290", "tokenizer.sampling=0.2", "training.epochs=1")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tiny.write_corpus(tmp_path)


def weights(output: Path) -> bytes:
    return (output / "best" / "model.safetensors").read_bytes()


@pytest.fixture
def _short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that are short beside a tiny vocabulary too, and no loss to networks that have learned next to nothing."""
    monkeypatch.setattr(
        "nmt.training.shortlist.learn_shortlist", functools.partial(learn_shortlist, frequent=2, best=2)
    )
    monkeypatch.setattr(ValidationSet, "score", lambda *_: 50.0)


@pytest.mark.usefixtures("_short_lists")
@pytest.mark.parametrize("kind", ["stored", "sampled", "streamed"])
def test_the_best_checkpoint_gets_a_shortlist(
    prefix: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    streamed = (f"data.train=[{{path: {prefix}, streaming: true}}]", "training.schedule=constant")
    config = tiny.config(prefix, *{"stored": (), "sampled": SAMPLED, "streamed": streamed}[kind])
    train(config, tmp_path / "run")
    shortlist = load_model(tmp_path / "run").shortlist
    assert shortlist
    assert (len(shortlist.frequent), shortlist.best.shape[1]) == (2, 2)
    assert re.search(
        r"shortlist: \d+ of \d+ tokens for a sentence, \d+ for 64, chrF2 [\d.]+ with it, [\d.]+ without, "
        r"BLEU [\d.]+ with it, [\d.]+ without, kept;",
        caplog.text,
    )
    assert not (tmp_path / "run" / "prepared").exists()
    train(config, tmp_path / "run", resume=True)
    assert caplog.text.count("shortlist: ") == 1


@pytest.mark.usefixtures("_short_lists")
def test_shortlist_for_a_finished_training(prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tiny.config(prefix, "training.shortlist=false"), tmp_path / "run")
    assert load_model(tmp_path / "run").shortlist is None
    (tmp_path / "text.de").rename(tmp_path / "gone")
    train(tiny.config(prefix), tmp_path / "run", resume=True)
    assert "no shortlist: " in caplog.text
    (tmp_path / "gone").rename(tmp_path / "text.de")
    before = weights(tmp_path / "run")
    train(tiny.config(prefix), tmp_path / "run", resume=True)
    assert load_model(tmp_path / "run").shortlist
    assert weights(tmp_path / "run") == before


@pytest.mark.usefixtures("_short_lists")
def test_a_model_folder_gets_a_shortlist_from_a_corpus_elsewhere(prefix: Path, tmp_path: Path) -> None:
    train(tiny.config(prefix, "training.shortlist=false"), tmp_path / "run")
    folder = shutil.copytree((tmp_path / "run" / "best").resolve(), tmp_path / "model")
    names = {path.name for path in folder.iterdir()}
    (tmp_path / "moved").mkdir()
    for ending in ("en", "de"):
        (tmp_path / f"text.{ending}").rename(tmp_path / "moved" / f"text.{ending}")
    assert add_shortlist(folder, tiny.config(tmp_path / "moved" / "text"))
    assert load_model(folder).shortlist
    assert {path.name for path in folder.iterdir()} - names == {"shortlist.safetensors"}


@pytest.mark.usefixtures("_short_lists")
@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ZeroDivisionError])
def test_shortlist_changes_no_other_file(
    prefix: Path, tmp_path: Path, error: type[BaseException] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny.config(prefix, "training.shortlist=false"), tmp_path / "run")
    (tmp_path / "run" / "prepared" / "corpus-0").mkdir(parents=True)  # of a training that is running
    model = shutil.copytree((tmp_path / "run" / "best").resolve(), tmp_path / "models" / "model")
    before = sorted(tmp_path.rglob("*"))
    if error:
        monkeypatch.setattr("nmt.training.shortlist.learn_shortlist", Mock(side_effect=error))
    for folder in (tmp_path / "run", model):
        with pytest.raises(error) if error else contextlib.nullcontext():
            add_shortlist(folder)
    after = sorted(tmp_path.rglob("*"))
    assert [path.name for path in after if path not in before] == ([] if error else ["shortlist.safetensors"] * 2)
    assert not set(before) - set(after)


def test_training_ends_well_without_its_shortlist(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.shortlist.learn_shortlist", Mock(side_effect=MachineError("the disk is full")))
    train(tiny.config(prefix), tmp_path / "run")
    assert "no shortlist: the disk is full" in caplog.text
    assert not (tmp_path / "run" / "prepared").exists()


def test_a_shortlist_that_costs_too_much_is_not_kept(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    prefix.with_suffix(".de").rename(prefix.with_suffix(".ja"))  # whose BLEU is that of characters: the lines are short
    sizes = ["model.embedding_size=32", "model.encoder_size=64", "model.decoder_size=64", "data.target_language=ja"]
    config = tiny.config(
        prefix, "training.epochs=30", "training.learning_rate=0.01", "training.batch_tokens=200", *sizes
    )
    monkeypatch.setattr(
        "nmt.training.shortlist.learn_shortlist", functools.partial(learn_shortlist, frequent=1, best=0)
    )
    train(config, tmp_path / "run")
    assert "not kept: it costs more than 0.1 chrF2" in caplog.text
    assert load_model(tmp_path / "run").shortlist is None
    monkeypatch.setattr(
        "nmt.training.shortlist.learn_shortlist", functools.partial(learn_shortlist, frequent=1, best=2)
    )
    assert add_shortlist(tmp_path / "run")
    assert load_model(tmp_path / "run").shortlist


@pytest.mark.parametrize(("metric", "loss", "kept"), [("chrf", 0.09, True), ("chrf", 0.11, False), ("bleu", 5.0, True)])
def test_a_shortlist_is_kept_if_chrf_falls_by_at_most_a_tenth(
    prefix: Path, tmp_path: Path, metric: str, loss: float, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny.config(prefix, "training.shortlist=false"), tmp_path / "run")
    before = {"chrf": 50.0, "bleu": 30.0}
    scores = iter([before, {**before, metric: before[metric] - loss}])
    monkeypatch.setattr("nmt.training.shortlist.score_sets", lambda *_: next(scores))
    monkeypatch.setattr(
        "nmt.training.shortlist.learn_shortlist", functools.partial(learn_shortlist, frequent=2, best=2)
    )
    assert add_shortlist(tmp_path / "run") == kept


def test_a_shortlist_that_is_not_short_is_not_kept(
    prefix: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    train(tiny.config(prefix, "tokenizer.joint=false", "model.tied_embeddings=two_way"), tmp_path / "run")
    assert "not kept: too many to save time" in caplog.text
    assert load_model(tmp_path / "run").shortlist is None
