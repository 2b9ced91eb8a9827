"""nmt/data/stream.py: every pair once an epoch, the same updates from any place, mixing, cleaning, and faults."""

import dataclasses
import json
import logging
import os
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # read when `datasets` is first imported

import datasets
import pytest
import tiny

from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.commands.train import main
from nmt.config.corpus import CorpusConfig
from nmt.config.load import parse_config
from nmt.config.schema import Config, DataConfig, TokenizerConfig
from nmt.data import readers
from nmt.data.cursor import Cursor, Update, UpdateSize, World
from nmt.data.loader import Loader
from nmt.data.stream import Stream
from nmt.data.updates import UpdateOptions
from nmt.errors import ConfigError, DataError
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.training.run import train

NUMBERS = [f"{number:03}" for number in range(300)]
WORDS = train_tokenizers(TokenizerConfig(kind="words"), [(" ".join(NUMBERS), "x y")])


def rows(numbers: range) -> list[dict[str, str]]:
    """Pairs that can be told apart, of many lengths."""
    return [{"en": f"{number:03}" + " 000" * (number % 7), "de": "x" + " y" * (number % 5)} for number in numbers]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of four files, and the same pairs in other forms."""
    (tmp_path / "parts").mkdir()
    for part in range(4):
        datasets.Dataset.from_list(rows(range(30 * part, 30 * part + 30))).to_parquet(
            str(tmp_path / "parts" / f"train-{part}.parquet")
        )
        shard = rows(range(30 * part, 30 * part + 30))
        (tmp_path / f"shard-{part}.tsv").write_text("".join(f"{row['en']}\t{row['de']}\n" for row in shard))
        for language in ("en", "de"):
            (tmp_path / f"shard-{part}.{language}").write_text("".join(row[language] + "\n" for row in shard))
    everything = rows(range(120))
    datasets.Dataset.from_list(everything).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "all.tsv").write_text("".join(f"{row['en']}\t{row['de']}\n" for row in everything))
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in everything))
    for language in ("en", "de"):
        (tmp_path / f"all.{language}").write_text("".join(row[language] + "\n" for row in everything))
    return tmp_path


FORMS = {
    "dataset": {"dataset": "parts"},
    "one file": {"dataset": "parts/train-0.parquet"},
    "json dataset": {"dataset": "all.jsonl"},
    "saved dataset": {"dataset": "saved"},
    "tsv": {"path": "all.tsv"},
    "jsonl": {"path": "all.jsonl"},
    "prefix": {"path": "all"},
    "shards": {"path": "shard-*.tsv"},
    "shards of two files": {"path": "shard-*"},
}


def settings(folder: Path, *corpora: dict[str, Any], **data: Any) -> Config:
    places = ("path", "dataset")
    train = [
        {"streaming": True, **{key: str(folder / value) if key in places else value for key, value in corpus.items()}}
        for corpus in corpora
    ]
    content = {
        "data": {"train": train, "shuffle_buffer": 50, "max_ratio": 100, **data},
        "tokenizer": {"kind": "words"},
        "training": {"schedule": "constant"},
    }
    return parse_config(content)


def stream(config: Config, tokenizers: Tokenizers = WORDS, *, tokens: int = 40, **changes: Any) -> Stream:
    options = UpdateOptions(size=UpdateSize(tokens=tokens), **{"sampling": False, "seed": 1, **changes})
    return Stream(config.data, tokenizers=tokenizers, options=options)


def epoch_of(source: Stream, epoch: int = 0, start: Cursor | None = None) -> list[Update]:
    """The updates from a place up to the end of an epoch."""
    made = []
    for update in source.updates(start or Cursor(epoch=epoch)):
        made.append(update)
        if update.after.epoch > epoch:
            return made
    raise AssertionError


def names(updates: list[Update]) -> list[str]:
    """The first word of each pair, which names it."""
    ids = [int(first) for update in updates for batch in update.batches for first in batch.source[:, 0]]
    return WORDS.source.tokens(ids)


def same(update: Update) -> object:
    parts = [(part.source.tolist(), part.target.tolist(), part.first, part.update_sentences) for part in update.batches]
    return parts, update.after, update.progress


def test_tags_of_corpora(folder: Path) -> None:
    corpora = [{"path": "all.tsv", "tag": "<a>"}, {"dataset": "parts", "tag": "<b>"}]
    config = settings(folder, *corpora)
    tokenizers = train_tokenizers(TokenizerConfig(kind="words"), [(" ".join(NUMBERS), "x y")], config.data.tags)
    source = stream(config, tokenizers)
    updates = epoch_of(source)
    heads = [row for update in updates for batch in update.batches for row in batch.source[:, :2].tolist()]
    shown = [tuple(tokenizers.source.tokens(head)) for head in heads]
    assert Counter(shown) == Counter((tag, number) for tag in ("<a>", "<b>") for number in NUMBERS[:120])
    middle = updates[len(updates) // 2].after
    assert list(map(same, epoch_of(source, start=middle))) == list(map(same, updates[len(updates) // 2 + 1 :]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("buffer", [7, 50, 60, 1000])
def test_each_pair_once_an_epoch(form: str, buffer: int, folder: Path) -> None:
    source = stream(settings(folder, FORMS[form], shuffle_buffer=buffer))
    count = 30 if form == "one file" else 120
    made = epoch_of(source)
    assert sorted(names(made)) == NUMBERS[:count]
    assert [update.progress for update in made] == [None] * len(made)
    assert made[-1].after.starts_epoch
    again = epoch_of(source, 1, made[-1].after)
    assert sorted(names(again)) == NUMBERS[:count]
    assert names(again) != names(made)


@pytest.mark.parametrize("form", ["dataset", "json dataset", "saved dataset", "tsv", "prefix"])
def test_the_same_updates_from_every_place(form: str, folder: Path) -> None:
    config = settings(folder, FORMS[form])
    made = epoch_of(stream(config)) + epoch_of(stream(config), 1, epoch_of(stream(config))[-1].after)
    assert {update.after.window for update in made} == {0, 1, 2}
    for index in range(len(made) - 1):
        place = Cursor(**json.loads(json.dumps(dataclasses.asdict(made[index].after))))
        again = list(islice(stream(config).updates(place), 8))[: len(made) - index - 1]
        assert [same(update) for update in again] == [same(update) for update in made[index + 1 : index + 9]]


def test_windows_are_of_the_buffer_size_and_shuffled(folder: Path) -> None:
    made = epoch_of(stream(settings(folder, FORMS["tsv"])))
    first = names(made)[:50]
    assert sorted(first) == NUMBERS[:50]
    assert first != NUMBERS[:50]
    for update in made:
        for batch in update.batches:
            longest = max(batch.source.size(1), batch.target.size(1))
            assert batch.sentences == 1 or batch.sentences * longest <= 40


@pytest.mark.parametrize("form", ["dataset", "shards"])
def test_files_come_in_another_order_in_each_epoch(form: str, folder: Path) -> None:
    config = settings(folder, FORMS[form], shuffle_buffer=30)
    place, orders = Cursor(), []
    for epoch in range(3):
        made = epoch_of(stream(config), epoch, place)
        place = made[-1].after
        orders.append(list(dict.fromkeys(int(name) // 30 for name in names(made))))
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(set(map(tuple, orders))) > 1
    assert names(epoch_of(stream(config, seed=2))) != names(epoch_of(stream(config)))


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_an_update_is_the_same_however_it_is_cut(sampling: float, folder: Path) -> None:
    config = settings(folder, FORMS["dataset"])
    text = [(row["en"], row["de"]) for row in rows(range(120))]
    tokenizers = train_tokenizers(TokenizerConfig(kind="bpe", vocabulary_size=276, sampling=sampling), text)
    options: dict[str, Any] = {"tokenizers": tokenizers, "sampling": sampling > 0, "tokens": 60}
    whole = epoch_of(stream(config, **options))
    ranks = [
        epoch_of(stream(config, **options, shares_per_process=2, world=World(rank=rank, size=2))) for rank in range(2)
    ]
    assert len(whole) > 10
    for one, *parts in zip(whole, *ranks, strict=True):
        assert all(part.after == one.after for part in parts)
        batches = [batch for part in parts for batch in part.batches]
        assert [row for batch in batches for row in pairs(batch)] == pairs(one.batches[0])
        assert {batch.update_sentences for batch in batches} == {one.batches[0].sentences}


def pairs(batch: Any) -> list[tuple[list[int], list[int]]]:
    sides = zip(batch.source, batch.source_lengths, batch.target, batch.target_lengths, strict=True)
    return [(source[:long].tolist(), target[:length].tolist()) for source, long, target, length in sides]


def write(path: Path, numbers: range) -> dict[str, str]:
    path.write_text("".join(f"{row['en']}\t{row['de']}\n" for row in rows(numbers)))
    return {"path": path.name}


class TestSeveralCorpora:
    def test_in_turn_without_weights(self, tmp_path: Path) -> None:
        corpora = write(tmp_path / "a.tsv", range(100)), write(tmp_path / "b.tsv", range(200, 220))
        made = epoch_of(stream(settings(tmp_path, *corpora, shuffle_buffer=40)))
        assert sorted(names(made)) == [*NUMBERS[:100], *NUMBERS[200:220]]
        first = [name for update in made if update.after.window == 0 for name in names([update])]
        assert 15 < sum(name >= "200" for name in first) <= 20

    def test_by_weight(self, tmp_path: Path) -> None:
        """Three pairs of the one for each of the other, which begins again, until both have come to their end."""
        large, small = write(tmp_path / "a.tsv", range(90)), write(tmp_path / "b.tsv", range(200, 210))
        config = settings(tmp_path, {**large, "weight": 3}, {**small, "weight": 1}, drop_duplicates=False)
        place, seen = Cursor(), Counter[str]()
        for epoch in range(3):
            made = epoch_of(stream(config), epoch, place)
            place = made[-1].after
            counts = Counter(names(made))
            seen += counts
            shares = [sum(counts[name] for name in part) for part in (NUMBERS[:90], NUMBERS[200:210])]
            assert shares[0] == 90
            assert abs(shares[1] - 30) <= 1
        turns = [seen[name] for name in NUMBERS[200:210]]
        assert max(turns) - min(turns) <= 1  # over the epochs' borders none is skipped

    def test_in_turn_in_the_second_epoch_too(self, tmp_path: Path) -> None:
        corpora = write(tmp_path / "a.tsv", range(100)), write(tmp_path / "b.tsv", range(200, 220))
        source = stream(settings(tmp_path, *corpora, shuffle_buffer=20))
        start = epoch_of(source)[-1].after
        made = epoch_of(source, 1, start)
        assert sorted(names(made)) == [*NUMBERS[:100], *NUMBERS[200:220]]
        first = [name for update in made if update.after.window == 0 for name in names([update])]
        assert 5 < sum(name >= "200" for name in first) <= 10

    def test_places_of_mixtures(self, folder: Path) -> None:
        small = write(folder / "b.tsv", range(200, 213))
        for weights in ((None, None), (5.0, 2.0)):
            config = settings(
                folder, {**FORMS["dataset"], "weight": weights[0]}, {**small, "streaming": False, "weight": weights[1]}
            )
            made = list(islice(stream(config).updates(Cursor()), 60))
            assert made[-1].after.epoch > 0
            for index in range(0, 50, 3):
                again = list(islice(stream(config).updates(made[index].after), 5))
                assert [same(update) for update in again] == [same(update) for update in made[index + 1 : index + 6]]


def test_cleaning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    lines = ["001\tx", "001\tx", "002\t", "003\tx", "004\tx", "005" + " 000" * 20 + "\tx", "006\tx x x x x"]
    lines += ["007\tx", "008\tx", "001\tx"]  # the last one is not known any more
    (tmp_path / "t.tsv").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "valid.tsv").write_text("004\tx\n")
    limits = {"max_length": 10, "max_ratio": 4, "shuffle_buffer": 8, "valid": str(tmp_path / "valid.tsv")}
    config = settings(tmp_path, {"path": "t.tsv"}, **limits)
    made = epoch_of(stream(config))
    assert sorted(names(made)) == ["001", "001", "003", "007", "008"]
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "first pairs: 3 of 8 pairs kept; left out: 1 with an empty side, 1 duplicates, 1 also in valid or held_out, "
        "1 too long (data.max_length), 1 with too different lengths (data.max_ratio)",
        "end of epoch 1: 5 of 10 pairs kept; left out: 1 with an empty side, 1 duplicates, "
        "1 also in valid or held_out, 1 too long (data.max_length), 1 with too different lengths (data.max_ratio)",
    ]


def test_an_epoch_whose_first_window_is_cleaned_away_begins_with_the_second(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("\tx\n" * 5 + "001\tx\n002\tx\n003\tx\n")
    updates = islice(stream(settings(tmp_path, {"path": "t.tsv"}, shuffle_buffer=5)).updates(Cursor()), 4)
    assert [update.after.epoch for update in updates if update.after.starts_epoch]


def test_faults(tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_text("001\tx\n" * 60 + "no tab\n")
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "useless.tsv").write_text("001\t\n" * 60)
    for name, says in (
        ("bad", r"bad\.tsv:61: has no tab"),
        ("empty", "contains no pair"),
        ("useless", "no pair to learn"),
    ):
        with pytest.raises(DataError, match=says):
            epoch_of(stream(settings(tmp_path, {"path": f"{name}.tsv"}, drop_duplicates=False)))
    with pytest.raises(DataError, match="no such file"):
        next(stream(settings(tmp_path, {"path": "none.tsv"})).updates(Cursor()))
    with pytest.raises(DataError, match="no such file or folder"):
        next(stream(settings(tmp_path, {"dataset": "none.parquet"})).updates(Cursor()))


def test_a_fault_after_resuming_names_the_row_of_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"translation": {"en": f"{number:03}"} | ({"de": "x"} if number < 39 else {"fr": "x"})} for number in range(40)
    ]
    monkeypatch.setattr(readers, "dataset_parts", lambda *_: [lambda skip: iter(rows[skip:])])
    corpus = CorpusConfig(dataset="some", streaming=True)
    [part] = readers.read_parts(corpus, DataConfig(source_language="en", target_language="de"))
    for skip in (0, 35):
        pairs = part(skip)
        assert next(pairs).source == f"{skip:03}"
        with pytest.raises(DataError, match="row 40 of a part: has no 'de'"):
            list(pairs)


def test_a_fault_in_the_background_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prefix = tiny.write_corpus(tmp_path)
    with prefix.with_suffix(".en").open("a") as file:
        file.write("one line too many\n")
    (tmp_path / "c.yaml").write_text("{training: {schedule: constant}, tokenizer: {kind: words, training_lines: 99}}")
    train_ = f"data.train={{path: {prefix}, streaming: true}}"
    valid = f"data.valid={{source: {prefix}.de, target: {prefix}.de}}"
    status = main(
        [str(tmp_path / "c.yaml"), train_, valid, "validation.sentences=2", "--output", str(tmp_path / "run")]
    )
    assert status == 2
    (fault,) = [line for line in capfd.readouterr().err.splitlines() if "error" in line or "Traceback" in line]
    assert fault.startswith(f"nmt-train: error: {prefix}.en has 145 lines but {prefix}.de has 144")


def test_configuration() -> None:
    corpus = {"path": "a", "streaming": True}
    with pytest.raises(ConfigError, match=r"training\.schedule: cosine needs training\.max_updates"):
        parse_config({"data": {"train": corpus}})
    assert parse_config({"data": {"train": corpus}, "training": {"max_updates": 9}}).data.streams
    with pytest.raises(ConfigError, match=r"data\.valid\[0\]\.streaming: only for data\.train"):
        parse_config({"data": {"valid": corpus}})
    streamed = {"dataset": "a", "streaming": True}
    assert not parse_config({"data": {"train": "a", "valid": streamed}}).data.streams


def test_a_dataset_in_the_background(folder: Path) -> None:
    source = stream(settings(folder, FORMS["dataset"]))
    updates = Loader(source).updates(Cursor())
    made = list(islice(updates, 40))
    updates.close()
    assert [same(update) for update in made] == [same(update) for update in islice(source.updates(Cursor()), 40)]


def test_training(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    prefix = tiny.write_corpus(tmp_path)
    overrides = [f"data.train={{path: {prefix}, streaming: true}}", "data.shuffle_buffer=50", "training.epochs=2"]
    plain = [*overrides, "training.schedule=constant"]
    train(tiny.config(prefix, *plain), tmp_path / "whole")
    assert "first pairs: 50 of 50 pairs kept" in caplog.text  # said in the background
    assert caplog.text.count("validation after update") == 2
    assert not (tmp_path / "whole" / "prepared").exists()
    train(tiny.config(prefix, *plain, "training.max_updates=12"), tmp_path / "parts")
    train(tiny.config(prefix, *plain), tmp_path / "parts", resume=True)
    newest = [CheckpointFolder(tmp_path / name).all()[-1] for name in ("whole", "parts")]
    assert newest[0].name == newest[1].name
    for file in ("model.safetensors", "training.safetensors"):
        assert (newest[0] / file).read_bytes() == (newest[1] / file).read_bytes()
    train(tiny.config(prefix, *overrides, "training.max_updates=6"), tmp_path / "cosine")
    records = [json.loads(line) for line in (tmp_path / "cosine" / "metrics.jsonl").read_text().splitlines()]
    assert max(record["update"] for record in records) == 6


def test_a_place_among_updates_of_another_size_is_the_beginning_of_its_window(folder: Path) -> None:
    config = settings(folder, FORMS["tsv"])
    place = next(
        update.after for update in stream(config).updates(Cursor()) if update.after.window and update.after.update
    )
    larger = stream(config, tokens=90)
    converted = larger.convert(place, 0.0)
    assert (converted.window, converted.update) == (place.window, 0)
    whole, rest = (names(epoch_of(larger, start=start)) for start in (Cursor(), converted))
    assert whole[-len(rest) :] == rest
    assert len(whole) > len(rest)
