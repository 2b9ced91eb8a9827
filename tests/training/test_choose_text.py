"""The languages of a text, by the names of its columns, keys and files."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import ConfigError, DataError
from nmt.training.choose.text import Text, find_text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.tsv", "\n\nchr\ten\nᎣᏏᏲ\thello\n"),
        ("pairs.csv", "chr,en\nᎣᏏᏲ,hello\n"),
        ("pairs.csv", '"chr";"en"\nᎣᏏᏲ;hello\n'),
        ("pairs.jsonl", '{"chr": "ᎣᏏᏲ", "en": "hello"}\n'),
        ("pairs.jsonl", '{"translation": {"chr": "ᎣᏏᏲ", "en": "hello"}, "id": "1"}\n'),
        ("PAIRS.TSV.gz", "chr\ten\nᎣᏏᏲ\thello\n"),
    ],
)
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ("chr", "en")),
        ({"source_language": "en"}, ("en", "chr")),
        ({"target_language": "chr"}, ("en", "chr")),
        ({"source_language": "chr"}, ("chr", "en")),
        ({"target_language": "en"}, ("chr", "en")),
    ],
)
def test_a_heading_names_the_languages(
    tmp_path: Path, name: str, content: str, given: dict[str, Any], found: tuple[str, str]
) -> None:
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    text = find_text(str(tmp_path / name), **given)
    assert (text.source_language, text.target_language) == found
    assert text.train == str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.tsv", "source\ttarget\nᎣᏏᏲ\thello\n"),
        ("pairs.tsv", "src\ttgt\nᎣᏏᏲ\thello\n"),
        ("pairs.tsv", "chr\ten\tde\nᎣᏏᏲ\thello\thallo\n"),
        ("pairs.tsv", "ᎣᏏᏲ\thello\n"),
        ("pairs.tsv", ""),
        ("pairs.jsonl", "[1, 2]\n"),
        ("pairs.jsonl", "no JSON\n"),
        ("pairs.txt", "chr\ten\n"),
    ],
)
def test_without_names_the_languages_must_be_given(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="does not tell its languages"):
        find_text(str(tmp_path / name))
    with pytest.raises(ConfigError, match="does not tell its languages"):
        find_text(str(tmp_path / name), source_language="chr")
    text = find_text(str(tmp_path / name), source_language="chr", target_language="en")
    assert (text.source_language, text.target_language) == ("chr", "en")


def test_two_files_are_named_after_their_languages() -> None:
    text = find_text(("bible.chr", "bible.en.gz"))
    train = {"source": "bible.chr", "target": "bible.en.gz"}
    assert text == Text(source_language="chr", target_language="en", train=train)
    assert find_text(("bible.txt", "bible.en"), source_language="chr").source_language == "chr"
    with pytest.raises(ConfigError, match=r"bible\.txt and bible\.en: does not tell its languages"):
        find_text(("bible.txt", "bible.en"))


def test_a_text_has_any_number_of_parts(tmp_path: Path) -> None:
    (tmp_path / "plain.tsv").write_text("ᎣᏏᏲ\thello\n", encoding="utf-8")
    text = find_text(str(tmp_path / "plain.tsv"), ("bible.chr", "bible.en"))
    assert text.train == [str(tmp_path / "plain.tsv"), {"source": "bible.chr", "target": "bible.en"}]
    assert (text.source_language, text.target_language) == ("chr", "en")


def test_sets_are_a_file_or_two_files(tmp_path: Path) -> None:
    (tmp_path / "a,b.tsv").write_text("", encoding="utf-8")
    text = find_text(("x.chr", "x.en"), valid="dev.chr,dev.en", test=str(tmp_path / "a,b.tsv"))
    assert text.valid == {"source": "dev.chr", "target": "dev.en"}
    assert text.test == str(tmp_path / "a,b.tsv")


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tsv: no such file; check the path"):
        find_text(str(tmp_path / "none.tsv"))
    with pytest.raises(ConfigError, match="--to: 'e n' is not a language"):
        find_text("text", source_language="chr", target_language="e n")
    with pytest.raises(ConfigError, match="are both en; give the sides different names"):
        find_text("text", source_language="en", target_language="en")
