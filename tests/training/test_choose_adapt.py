"""Training on a text that continues from another model."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from nmt.config.load import load_config, parse_config
from nmt.errors import DataError, ModelError
from nmt.tokenizers.files import load_tokenizers
from nmt.training.choose.adapt import Start, adapt_settings, find_gap, find_old_sets, measure_gap, mix_in
from nmt.training.choose.run import train_on_text
from nmt.training.choose.text import find_text
from nmt.training.run import train

QUICK = ("training.max_updates=2", "training.shortlist=false", "training.threads=1", "training.device=cpu")


def write_table(path: Path, pairs: list[tuple[str, str]]) -> str:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a model of two layers, with a test set."""
    folder = tmp_path_factory.mktemp("parent")
    table = write_table(folder / "test.tsv", [("a red cat", "eine rote Katze"), ("two dogs", "zwei Hunde")])
    settings = (
        "tokenizer.kind=unigram",
        "tokenizer.vocabulary_size=300",
        f"data.held_out={table}",
        "model.dropout=0.2",
    )
    train(tiny.config(tiny.write_corpus(folder), *settings, *QUICK), folder / "run")
    return folder / "run"


@pytest.mark.slow
def test_adaptation_keeps_the_model_and_reports_both_sets(
    parent: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    new = write_table(tmp_path / "new.tsv", [(f"{a} house {x}", f"haus {x} {a}") for a, x in tiny.PAIRS * 12])
    text = find_text(
        new,
        source_language="en",
        target_language="de",
        valid=new,
        test=new,
        start_from=str(parent),
        mix=str(tiny.write_corpus(tmp_path)),
    )
    output = tmp_path / "run"
    train_on_text(text, output, overrides=(*QUICK, "data.drop_overlap=false", "validation.sentences=2"))
    config, before = load_config(output / "recipe.yaml"), load_config(parent / "best" / "config.yaml")
    assert (config.tokenizer, config.training.start_from) == (before.tokenizer, str(parent))
    assert not config.model.list_differences(before.model)
    assert (config.model.dropout, config.model.output_dropout) == (0.2, 0.5)
    assert (config.training.learning_rate, config.training.epochs) == (0.0006, 15)
    assert (output / "best" / "tokenizer.model").read_bytes() == (parent / "best" / "tokenizer.model").read_bytes()
    assert [corpus.path for corpus in config.data.train] == [new, str(output / "mixed" / "text")]
    assert len((output / "mixed" / "text.en").read_text(encoding="utf-8").splitlines()) == 144
    tests = [line for line in caplog.messages if line.startswith("test set")]
    assert [line.split(":")[0] for line in tests] == [
        f"test set {new}, 144 pairs", f"test set {parent.parent / 'test.tsv'}, 2 pairs",
    ]  # fmt: skip
    assert all(line.count(" -> ") == 2 for line in tests)
    network = next(line for line in caplog.messages if line.startswith("network: "))
    assert f"continued from {parent}, with its vocabulary; one vocabulary of 300 tokens" in network


@pytest.mark.slow
def test_other_languages_get_a_new_vocabulary(parent: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    table = write_table(tmp_path / "text.tsv", [(f"{a} {b}", f"{y} {x}") for a, x in tiny.PAIRS for b, y in tiny.PAIRS])
    text = find_text(table, source_language="en", target_language="nl", start_from=str(parent))
    train_on_text(text, tmp_path / "run", overrides=(*QUICK, "tokenizer.vocabulary_size=290"))
    assert any("a new vocabulary, because it translates en to de" in line for line in caplog.messages)
    assert any(f"starting from {parent}, which has " in line for line in caplog.messages)
    config, before = load_config(tmp_path / "run" / "recipe.yaml"), load_config(parent / "best" / "config.yaml")
    assert config.tokenizer.joint == before.tokenizer.joint
    assert not config.model.list_differences(before.model)
    assert config.training.learning_rate == 0.003
    old, new = (
        load_tokenizers(one.tokenizer, folder / "best").target.vocabulary()
        for one, folder in ((before, parent), (config, tmp_path / "run"))
    )
    assert (len(old), len(new)) == (300, 290)


@pytest.mark.slow
def test_gaps_of_a_vocabulary(parent: Path, tmp_path: Path) -> None:
    start = Start.load(str(parent))
    same = parse_config({"data": {"train": str(tiny.write_corpus(tmp_path))}}).data
    assert find_gap(start, same) == ""
    cyrillic = [("red cat", "рыжая кошка")] * 3
    table = parse_config({"data": {"train": write_table(tmp_path / "ru.tsv", cyrillic)}}).data
    assert find_gap(start, table).endswith("of the tokens of de would be bytes or unknown")
    assert find_gap(start, replace(same, source_language="fr")) == "it translates en to de"
    tokenizer = load_tokenizers(start.config.tokenizer, parent / "best").source
    ids = tokenizer.encode("red ж")
    assert measure_gap(tokenizer, ["red ж"]) == 2 / len(ids)  # ж has two bytes
    with pytest.raises(ModelError):
        Start.load(str(tmp_path / "none"))


@pytest.mark.slow
def test_equal_settings_of_a_new_vocabulary(parent: Path) -> None:
    start = Start.load(str(parent))
    settings: dict[str, dict[str, Any]] = {
        "tokenizer": {"vocabulary_size": 300},
        "model": {},
        "training": {"learning_rate": 0.1, "epochs": 9},
    }
    adapt_settings(settings, replace(start, gap="other languages"))
    assert settings["tokenizer"] == {"vocabulary_size": 301}
    assert (settings["training"]["learning_rate"], settings["training"]["epochs"]) == (0.1, 9)


def test_old_pairs_are_chosen_at_random(tmp_path: Path) -> None:
    data = parse_config({}).data
    table = write_table(tmp_path / "old.tsv", [(f"s{number}", f"t{number}") for number in range(1000)])
    assert mix_in(table, data, tmp_path / "mixed", 200) == str(tmp_path / "mixed" / "text")
    sides = [(tmp_path / "mixed" / f"text.{side}").read_text(encoding="utf-8").split() for side in ("en", "de")]
    numbers = [int(word[1:]) for word in sides[0]]
    assert [f"t{number}" for number in numbers] == sides[1]
    assert len(set(numbers)) == 200
    assert 400 < sum(numbers) / 200 < 600
    with pytest.raises(DataError, match="contains no pairs"):
        mix_in(write_table(tmp_path / "empty.tsv", [("", "")]), data, tmp_path / "mixed", 5)


@pytest.mark.slow
def test_old_sets_that_can_be_read(parent: Path) -> None:
    start = Start.load(str(parent))
    data = start.config.data
    test = str(parent.parent / "test.tsv")
    assert find_old_sets(start, data) == [{"path": test}]
    moved = replace(data, held_out=(replace(data.held_out[0], path="gone.tsv"),))
    valid = find_old_sets(replace(start, config=replace(start.config, data=moved)), data)
    assert valid == [{"path": data.valid[0].path}]
    assert find_old_sets(start, replace(data, target_language="fr")) == []
