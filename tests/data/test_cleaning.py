"""nmt/data/cleaning.py: hashes, the set of those seen, and the report."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig, TokenizerConfig
from nmt.data.cleaning import (
    Cleaner,
    CleaningReport,
    CleanPairs,
    SeenHashes,
    contains_hashes,
    hash_pairs,
    read_vocabulary_text,
    split_chunks,
)
from nmt.data.pair import Pair
from nmt.errors import DataError
from nmt.tokenizers.build import train_tokenizers


@given(chunks=st.lists(st.lists(st.integers(0, 60)), max_size=12))
def test_seen_is_a_set_with_first_occurrences(chunks: list[list[int]]) -> None:
    seen = SeenHashes()
    expected: set[int] = set()
    for chunk in chunks:
        fresh = []
        for number in chunk:
            fresh.append(number not in expected)
            expected.add(number)
        assert seen.add(np.array(chunk, dtype=np.uint64)).tolist() == fresh


def test_memory_of_seen_hashes() -> None:
    seen = SeenHashes()
    generator = np.random.default_rng(1)
    for _ in range(200):
        seen.add(generator.integers(0, 2**63, size=100, dtype=np.uint64))
    assert len(seen._runs) < 12
    assert sum(run.nbytes for run in seen._runs) == 200 * 100 * 8


@settings(max_examples=50)
@given(run=st.sets(st.integers(0, 30)), hashes=st.lists(st.integers(0, 30)))
def test_contains_is_membership(run: set[int], hashes: list[int]) -> None:
    found = contains_hashes(np.array(sorted(run), dtype=np.uint64), np.array(hashes, dtype=np.uint64))
    assert found.tolist() == [number in run for number in hashes]


def test_hashes_distinguish_the_sides() -> None:
    sides = [("a b", "c"), ("a", "b c"), ("a b c", ""), ("", "a b c"), ("c", "a b"), ("a b", "c")]
    hashes = hash_pairs([Pair(*each) for each in sides]).tolist()
    assert hashes[0] == hashes[5]
    assert len(set(hashes)) == 5
    assert len(hash_pairs([])) == 0


def test_hashes_distinguish_tags_by_default() -> None:
    pairs = [Pair("a", "b"), Pair("a", "b", ("<x>",)), Pair("a", "b", ("<x>", "<y>")), Pair("a", "b", ("<y>", "<x>"))]
    assert len(set(hash_pairs(pairs).tolist())) == 4
    assert set(hash_pairs(pairs, tags=False).tolist()) == {int(hash_pairs(pairs[:1])[0])}


def test_hashes_are_the_same_in_every_process() -> None:
    code = "from nmt.data.cleaning import Pair, hash_pairs; print(hash_pairs([Pair('one', 'zwölf')])[0])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) == hash_pairs([Pair("one", "zwölf")])[0]


def test_reports_are_added_and_formatted() -> None:
    report = CleaningReport(read=5, kept=2, empty=1, long=2) + CleaningReport(read=4, kept=3, duplicates=1)
    assert report == CleaningReport(read=9, kept=5, empty=1, long=2, duplicates=1)
    assert str(report) == (
        "5 of 9 pairs kept; left out: 1 with an empty side, 1 duplicates, 2 too long (data.max_length)"
    )
    assert str(CleaningReport(read=3, kept=3)) == "3 of 3 pairs kept"


def clean(pairs: list[Pair], **data: Any) -> CleanPairs:
    config = DataConfig(**data)
    tags = sorted({tag for pair in pairs for tag in pair.tags})
    tokenizers = train_tokenizers(TokenizerConfig(kind="words"), [("a b c", "x y z")], tags)
    return Cleaner(config, tokenizers).clean(pairs, SeenHashes())


def test_a_pair_of_spaces_is_empty_with_tags_too() -> None:
    found = clean([Pair("  ", "x", ("<t>",)), Pair("a", "\u3000", ("<t>",)), Pair("a", "x", ("<t>",))])
    assert (found.report.read, found.report.empty, found.report.kept) == (3, 2, 1)
    assert found.pairs == [Pair("a", "x", ("<t>",))]


def test_a_side_without_tokens_is_empty(tmp_path: Path) -> None:
    """A SentencePiece model of the user can delete characters, such as zero-width spaces, in its normalization."""
    ids: dict[str, Any] = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["one two three"] * 9),
        model_prefix=str(tmp_path / "user"),
        vocab_size=12,
        minloglevel=2,
        **ids,
    )
    config = TokenizerConfig(source_model=str(tmp_path / "user.model"), normalization="none")
    pairs = [Pair("\u200b", "\u200b"), Pair("\u200b", "one"), Pair("one", "one")]
    clean = Cleaner(DataConfig(drop_overlap=False), train_tokenizers(config, ())).clean(pairs, SeenHashes())
    assert (clean.report.kept, clean.report.empty, clean.report.ratio) == (1, 2, 0)


def test_a_side_that_is_not_utf8_is_left_out() -> None:
    found = clean([Pair("a\ufffd", "x"), Pair("a", "\ufffdx"), Pair("a", "x")])
    assert (found.report.unreadable, found.report.kept) == (2, 1)


def test_lengths_are_without_tags_and_ids_with_them() -> None:
    tags = ("<t>", "<u>")
    found = clean([Pair("a b", "x y", tags), Pair("a b c", "x y z", tags)], max_length=2)
    assert (found.report.long, found.report.kept) == (1, 1)
    assert [len(ids) for ids in found.sources + found.targets] == [4, 2]


def test_the_ratio_counts_both_directions_and_its_limit_is_allowed() -> None:
    pairs = [Pair("a", "x y"), Pair("a b", "x"), Pair("a", "x y z"), Pair("a b c", "x")]
    found = clean(pairs, max_ratio=2.0)
    assert (found.report.ratio, [pair.sides for pair in found.pairs]) == (2, [("a", "x y"), ("a b", "x")])


def test_the_first_reason_counts() -> None:
    found = clean([Pair("a", "x"), Pair("a", "x"), Pair("a b c", "x"), Pair("", "\ufffd")], max_length=2, max_ratio=2.0)
    assert found.report == CleaningReport(read=4, kept=1, empty=1, duplicates=1, long=1)


def test_pairs_that_are_too_long_to_be_read_are_counted() -> None:
    found = clean([Pair("", "", oversized=True), Pair("a", "x"), Pair("", "x")])
    assert found.report == CleaningReport(read=3, kept=1, oversized=1, empty=1)
    assert str(found.report).endswith("left out: 1 with more than 131,072 characters on a side, 1 with an empty side")


def test_chunks_end_early_where_pairs_are_long() -> None:
    long = Pair("x" * 20_000_000, "y" * 20_000_000)
    assert [len(chunk) for chunk in split_chunks([long, long, Pair("a", "b")], 10)] == [1, 1, 1]


JUNK = ["z q " * 300, "short", "\ufffd", "", "z" * 50_000]


def write_corpora(folder: Path, junk: list[str]) -> DataConfig:
    """Write a corpus with good pairs and junk, a part of the good pairs again, and a validation set."""
    good = [f"sentence number {number}\tSatz Nummer {number}" for number in range(50)]
    bad = [f"{text}\t{'w ' * 150 if text == 'short' else text}" for text in junk]
    for name, lines in {"train": [*bad, *good, *good[:10]], "valid": good[:5]}.items():
        (folder / f"{name}.tsv").write_text("".join(f"{line}\n" for line in lines))
    names = (CorpusConfig(path=str(folder / f"{name}.tsv")) for name in ("train", "valid"))
    train, valid = names
    return DataConfig(train=(train, train), valid=(valid,))


@pytest.mark.parametrize("kind", ["unigram", "bpe", "words", "characters"])
def test_vocabularies_are_learned_from_cleaned_text(kind: Any, tmp_path: Path) -> None:
    junk = JUNK[:-1] if kind == "words" else JUNK  # the last is a single word
    found = [pair.sides for pair in read_vocabulary_text(write_corpora(tmp_path, junk), TokenizerConfig(kind=kind))]
    clean_pairs = [(f"sentence number {number}", f"Satz Nummer {number}") for number in range(5, 50)]
    assert found == [pair for pair in clean_pairs for _ in range(2)]  # duplicates within a corpus only


def test_no_text_for_a_vocabulary_is_an_error_with_counts(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\t\n" + "b " * 500 + "\tc\n")
    with pytest.raises(
        DataError, match=r"no pair to learn from \(0 of 2 pairs kept; left out: 1 with an empty side, 1 too"
    ):
        list(read_vocabulary_text(DataConfig(train=(CorpusConfig(path=str(tmp_path / "t.tsv")),)), TokenizerConfig()))


def test_pairs_with_other_tags_are_not_duplicates() -> None:
    pairs = [Pair("a", "x", ("<t>",)), Pair("a", "x", ("<u>",)), Pair("a", "x", ("<t>",))]
    assert clean(pairs).pairs == pairs[:2]
    assert clean(pairs, drop_duplicates=False).pairs == pairs


def test_chunks_are_consecutive() -> None:
    pairs = [Pair(str(number), "x") for number in range(5)]
    assert list(split_chunks(iter(pairs), 2)) == [pairs[:2], pairs[2:4], pairs[4:]]
    assert list(split_chunks(iter(pairs[:4]), 2)) == [pairs[:2], pairs[2:4]]


def test_pairs_are_normalized_before_they_are_compared() -> None:
    tokenizers = train_tokenizers(TokenizerConfig(kind="words", vocabulary_size=50), [("a “b”", "é “b”")])
    pairs = [
        Pair("a “b”", "é “b”"),
        Pair('a\u00a0"b"\u200b', "e\u0301 “b” "),  # the same text
        Pair("a “b”", 'é "b"'),  # other quotes on the target side
        Pair("\u200b", "é"),  # nothing visible
    ]
    clean = Cleaner(DataConfig(), tokenizers).clean(pairs, SeenHashes())
    assert clean.pairs == [Pair('a "b"', "é “b”"), Pair('a "b"', 'é "b"')]
    assert (clean.report.duplicates, clean.report.empty) == (1, 1)


def test_leaked_pairs_are_found_in_any_form(tmp_path: Path) -> None:
    (tmp_path / "held_out.tsv").write_text("cafe\u0301 “x”\ty\u00a0!\n", encoding="utf-8")
    data = DataConfig(held_out=(CorpusConfig(path=str(tmp_path / "held_out.tsv")),))
    tokenizers = train_tokenizers(TokenizerConfig(kind="words", vocabulary_size=50), [("a", "b")])
    pairs = [Pair("café\u202f'x'", "y\u00a0!"), Pair('\ufeffcafé "x"', "y\u00a0!\u200b")]
    clean = Cleaner(data, tokenizers).clean(pairs, SeenHashes())
    assert clean.report.overlap == 1
    assert clean.pairs == [Pair("café 'x'", "y\u00a0!")]
