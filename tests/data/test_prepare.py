"""nmt/data/prepare.py: cleaning by each setting, reuse, and errors."""

import gzip
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.config.load import parse_config
from nmt.config.schema import Config
from nmt.data.cleaning import CleaningReport
from nmt.data.pair import Pair
from nmt.data.prepare import prepare
from nmt.data.store import PairStore
from nmt.errors import DataError
from nmt.system.files import DRAFT
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers

PAIRS = [
    ("a b c", "x y"),
    ("", "y"),
    ("a b c", "x y"),  # a duplicate
    ("a b c", "x z"),  # only one side is the same
    ("b", "  "),
    ("a " * 11, "x " * 11),
    ("a", "x y z z"),
    ("held out", "x"),
    ("valid", "x"),
    ("valid", "y"),
    ("c", "z"),
]


Corpora = dict[str, str]


def write(path: Path, pairs: list[tuple[str, str]]) -> str:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
    return str(path)


@pytest.fixture
def corpora(tmp_path: Path) -> Corpora:
    return {
        "train": write(tmp_path / "train.tsv", PAIRS),
        "valid": write(tmp_path / "valid.tsv", [("valid", "x")]),
        "held_out": write(tmp_path / "test.tsv", [("held out", "x"), ("nowhere", "y")]),
    }


def settings(corpora: Mapping[str, object], *overrides: str) -> Config:
    data = {**corpora, "max_length": 10, "max_ratio": 3.0}
    return parse_config({"data": data, "tokenizer": {"kind": "words"}}, overrides)


@pytest.fixture
def tokenizers() -> Tokenizers:
    return train_tokenizers(settings({}).tokenizer, PAIRS)


def kept(store: PairStore, tokenizers: Tokenizers) -> list[tuple[str, str]]:
    sides = ((store.source(index), store.target(index)) for index in range(len(store)))
    return [
        (tokenizers.source.decode(source.tolist()), tokenizers.target.decode(target.tolist()))
        for source, target in sides
    ]


CLEAN = [("a b c", "x y"), ("a b c", "x z"), ("valid", "y"), ("c", "z")]
REPORT = {"read": 11, "kept": 4, "empty": 2, "duplicates": 1, "overlap": 2, "long": 1, "ratio": 1}


def test_cleaning_leaves_the_good_pairs_in_order(corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path) -> None:
    (store,) = prepare(settings(corpora), tokenizers, tmp_path / "stores")
    assert kept(store, tokenizers) == CLEAN
    assert store.report == CleaningReport(**REPORT)


@pytest.mark.parametrize(
    ("override", "back", "changes"),
    [
        ("data.drop_duplicates=false", ("a b c", "x y"), {"kept": 5, "duplicates": 0}),
        ("data.drop_overlap=false", ("held out", "x"), {"kept": 6, "overlap": 0}),
        ("data.max_length=11", ("a " * 10 + "a", "x " * 10 + "x"), {"kept": 5, "long": 0}),
        ("data.max_ratio=4", ("a", "x y z z"), {"kept": 5, "ratio": 0}),
    ],
)
def test_each_setting_changes_what_is_left_out(
    override: str,
    back: tuple[str, str],
    changes: dict[str, Any],
    corpora: Corpora,
    tokenizers: Tokenizers,
    tmp_path: Path,
) -> None:
    (store,) = prepare(settings(corpora, override), tokenizers, tmp_path / "stores")
    assert store.report == CleaningReport(**{**REPORT, **changes})
    pairs = kept(store, tokenizers)
    assert pairs.count(back) == CLEAN.count(back) + 1


def test_what_is_not_utf_8_is_left_out(tokenizers: Tokenizers, tmp_path: Path) -> None:
    text = "a\tx\nb\tgrün\nc\ty\n"
    (tmp_path / "train.tsv").write_bytes(text.encode("latin-1"))
    config = settings(
        {"train": str(tmp_path / "train.tsv"), "valid": str(tmp_path / "train.tsv")}, "data.drop_overlap=false"
    )
    (store,) = prepare(config, tokenizers, tmp_path / "out")
    assert kept(store, tokenizers) == [("a", "x"), ("c", "y")]
    assert str(store.report) == "2 of 3 pairs kept; left out: 1 not in UTF-8"


def test_limits_are_inclusive_and_count_no_end_of_sentence(tokenizers: Tokenizers, tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", [("a " * 10, "b " * 10), ("a b", "a b c x y z")])
    (store,) = prepare(settings({"train": path}), tokenizers, tmp_path / "stores")
    assert store.report.kept == 2


def test_duplicates_are_found_across_chunks_but_not_across_corpora(
    tokenizers: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.data.prepare._CHUNK", 2)
    paths = [write(tmp_path / name, PAIRS) for name in ("a.tsv", "b.tsv")]
    stores = prepare(settings({"train": paths}), tokenizers, tmp_path / "stores")
    assert [store.report.duplicates for store in stores] == [1, 1]
    assert kept(stores[0], tokenizers) == kept(stores[1], tokenizers)


def test_tags_are_stored_and_hide_no_overlap(corpora: Corpora, tmp_path: Path) -> None:
    """Back-translated text into two languages; the same pairs are left out as without tags, for the same reasons."""
    train = [
        {"path": corpora["train"], "tag": "<bt>"},
        {"path": corpora["train"], "target_language": "fr"},
    ]
    config = settings({**corpora, "train": train}, "data.target_tags=true", "data.max_ratio=4")
    tokenizers = train_tokenizers(config.tokenizer, PAIRS, config.data.tags)
    stores = prepare(config, tokenizers, tmp_path / "stores")
    assert [(store.report.empty, store.report.overlap, store.report.duplicates) for store in stores] == [(2, 2, 1)] * 2
    first, second = ({tuple(store.source(index)[:2].tolist()) for index in range(len(store))} for store in stores)
    de, fr, bt = range(tokenizers.source.size - 3, tokenizers.source.size)
    assert first == {(de, bt)}
    assert {tag for tag, _ in second} == {fr}
    assert kept(stores[0], tokenizers)[0] == ("a b c", "x y")


def test_limits_do_not_count_tags(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", [("a " * 10, "x " * 10), ("a", "x y z"), ("a", "x y z z")])
    train = [{"path": path, "tag": "<bt>", "target_language": "fr"}]
    config = settings({"train": train}, "data.target_tags=true")
    (store,) = prepare(config, train_tokenizers(config.tokenizer, PAIRS, config.data.tags), tmp_path / "stores")
    assert (store.report.kept, store.report.ratio, store.report.long) == (2, 1, 0)


def test_large_corpus_in_chunks(tokenizers: Tokenizers, tmp_path: Path) -> None:
    pairs = [(f"a {'b ' * (number % 7)}{number}", "x y") for number in range(25_000)]
    (store,) = prepare(
        settings({"train": write(tmp_path / "t.tsv", pairs)}, "data.max_ratio=100"), tokenizers, tmp_path / "stores"
    )
    assert store.report == CleaningReport(read=25_000, kept=25_000)
    lengths = [2 + number % 7 for number in range(25_000)]
    assert store.lengths(np.arange(len(store)))[0].tolist() == lengths


def test_report_is_logged_in_one_line_a_corpus(
    corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):  # when reused too
        caplog.clear()
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        assert [record.getMessage() for record in caplog.records] == [
            f"{corpora['train']}: 4 of 11 pairs kept; left out: 2 with an empty side, 1 duplicates, "
            "2 also in valid or held_out, 1 too long (data.max_length), 1 with too different lengths (data.max_ratio)"
        ]


def test_text_is_stored_for_sampling(corpora: Corpora, tmp_path: Path) -> None:
    for sampling in (0.0, 0.1):
        tokenizer = {"vocabulary_size": 278, "sampling": sampling, "kind": "bpe"}
        config = parse_config({"data": {**corpora, "max_length": 99}, "tokenizer": tokenizer})
        (store,) = prepare(config, train_tokenizers(config.tokenizer, PAIRS), tmp_path / "stores")
        assert store.has_text == (sampling > 0)
    assert store.pair(0) == Pair("a b c", "x y")


def marks(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_ino for file in (folder / "corpus-0").iterdir()}


class TestReuse:
    def test_second_call_writes_nothing(self, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path) -> None:
        first = prepare(settings(corpora), tokenizers, tmp_path / "stores")
        before = marks(tmp_path / "stores")
        again = prepare(settings(corpora), tokenizers, tmp_path / "stores")
        assert marks(tmp_path / "stores") == before
        assert kept(again[0], tokenizers) == kept(first[0], tokenizers)

    @pytest.mark.parametrize(
        "override", ["data.max_length=9", "data.max_ratio=9", "data.drop_duplicates=false", "data.drop_overlap=false"]
    )
    def test_other_settings_are_prepared_again(
        self, override: str, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path
    ) -> None:
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        before = marks(tmp_path / "stores")
        prepare(settings(corpora, override), tokenizers, tmp_path / "stores")
        assert marks(tmp_path / "stores") != before

    @pytest.mark.parametrize("changes", [{"tag": "<a>"}, {"tag": "<b>"}, {"target_language": "fr"}])
    def test_other_tags_are_prepared_again(self, changes: dict[str, str], corpora: Corpora, tmp_path: Path) -> None:
        before: dict[str, int] = {}
        for corpus in ({"tag": "<c>"}, changes):
            train = {"path": corpora["train"], **corpus}
            config = settings({"train": train, "target_tags": True})
            tokenizers = train_tokenizers(config.tokenizer, PAIRS, config.data.tags)
            prepare(config, tokenizers, tmp_path / "stores")
            assert marks(tmp_path / "stores") != before
            before = marks(tmp_path / "stores")

    @pytest.mark.parametrize("name", ["train", "valid", "held_out"])
    def test_changed_files_are_prepared_again(
        self, name: str, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path
    ) -> None:
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        with open(corpora[name], "a") as stream:
            stream.write("c\tx\n")
        (store,) = prepare(settings(corpora), tokenizers, tmp_path / "stores")
        assert store.report.read == (12 if name == "train" else 11)

    def test_file_with_another_time_is_prepared_again(
        self, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path
    ) -> None:
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        before = marks(tmp_path / "stores")
        os.utime(corpora["train"], (1, 1))
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        assert marks(tmp_path / "stores") != before

    def test_other_tokenizers_are_prepared_again(
        self, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path
    ) -> None:
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        other = train_tokenizers(settings({}).tokenizer, [("c b a", "z y x valid")])
        (store,) = prepare(settings(corpora), other, tmp_path / "stores")
        assert kept(store, other) == CLEAN

    def test_weights_change_nothing_in_a_store(self, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path) -> None:
        weighted = {**corpora, "train": [{"path": corpora["train"], "weight": 2.0}]}
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        before = marks(tmp_path / "stores")
        prepare(settings(weighted), tokenizers, tmp_path / "stores")
        assert marks(tmp_path / "stores") == before

    def test_damaged_store_is_prepared_again(self, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path) -> None:
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        (tmp_path / "stores" / "corpus-0" / "source.ids").write_bytes(b"")
        (store,) = prepare(settings(corpora), tokenizers, tmp_path / "stores")
        assert kept(store, tokenizers) == CLEAN

    @pytest.mark.parametrize("name", ["source.ids", "target.offsets", "store.json", "checksums.sha256"])
    def test_edited_store_is_prepared_anew(
        self,
        name: str,
        corpora: Corpora,
        tokenizers: Tokenizers,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        path = tmp_path / "stores" / "corpus-0" / name
        content = bytearray(path.read_bytes())
        content[-1 if name == "store.json" else 0] ^= 1
        for damaged in (bytes(content), b"" if name == "checksums.sha256" else bytes(content)):
            path.write_bytes(damaged)
            caplog.clear()
            (store,) = prepare(settings(corpora), tokenizers, tmp_path / "stores")
            assert kept(store, tokenizers) == CLEAN
            assert "prepared again" in caplog.text
        caplog.clear()
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        assert "prepared again" not in caplog.text

    def test_drafts_of_a_killed_run_are_removed(self, corpora: Corpora, tokenizers: Tokenizers, tmp_path: Path) -> None:
        (tmp_path / "stores" / f"{DRAFT}abc").mkdir(parents=True)
        prepare(settings(corpora), tokenizers, tmp_path / "stores")
        assert [file.name for file in (tmp_path / "stores").iterdir()] == ["corpus-0"]


def test_nothing_left_is_an_error_with_the_counts(tokenizers: Tokenizers, tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", [("a", ""), ("b " * 20, "c")])
    with pytest.raises(
        DataError, match=r"t\.tsv: no pair to learn from \(0 of 2 pairs kept; left out: 1 with an empty"
    ):
        prepare(settings({"train": path}), tokenizers, tmp_path / "stores")
    assert not list((tmp_path / "stores").iterdir())


def test_empty_corpus_and_no_corpus_are_errors(tokenizers: Tokenizers, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 of 0 pairs"):
        prepare(settings({"train": write(tmp_path / "t.tsv", [])}), tokenizers, tmp_path / "stores")
    with pytest.raises(DataError, match=r"data\.train: names no corpus"):
        prepare(settings({}), tokenizers, tmp_path / "stores")


def test_error_in_the_corpus_leaves_nothing_behind(tokenizers: Tokenizers, tmp_path: Path) -> None:
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(b"a\tx\n" * 1000)[:-9])
    with pytest.raises(DataError, match=r"t\.tsv\.gz: cannot be read"):
        prepare(settings({"train": str(tmp_path / "t.tsv")}), tokenizers, tmp_path / "stores")
    assert not list((tmp_path / "stores").iterdir())
