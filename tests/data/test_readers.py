"""nmt/data/readers.py: files of every kind, in order, nothing dropped, and errors that name file and line."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig
from nmt.corpus.inputs import find_inputs
from nmt.data.pair import Pair
from nmt.data.readers import corpus_files, describe_corpus, read_corpora, read_pairs, read_round_robin
from nmt.data.text_files import import_zstd
from nmt.errors import DataError

DATA = DataConfig(source_language="en", target_language="de")
PAIRS = [("one", "eins"), ("", ""), (" two ", "zwei\x0c"), ("three", "")]


def compressed(text: str, ending: str) -> bytes:
    content = text.encode()
    if ending == ".gz":
        return gzip.compress(content)
    if ending == ".zst":
        return import_zstd("t.zst").compress(content)  # type: ignore[no-any-return]
    return lzma.compress(content) if ending == ".xz" else content


def lines(side: int) -> str:
    return "".join(pair[side] + "\n" for pair in PAIRS)


def read(data: DataConfig = DATA, **corpus: Any) -> list[tuple[str, str]]:
    return [pair.sides for pair in read_pairs(CorpusConfig(**corpus), data)]


def fault(**corpus: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(**corpus)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("source", ["", ".gz", ".zst", ".xz"])
@pytest.mark.parametrize("target", ["", ".gz", ".zst", ".xz"])
def test_prefix_with_any_compression(source: str, target: str, tmp_path: Path) -> None:
    (tmp_path / f"train.en{source}").write_bytes(compressed(lines(0), source))
    (tmp_path / f"train.de{target}").write_bytes(compressed(lines(1), target))
    assert read(path=str(tmp_path / "train")) == PAIRS


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".xz"])
def test_source_and_target_files(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"left.txt{ending}").write_bytes(compressed(lines(0), ending))
    (tmp_path / "right").write_text(lines(1))
    for source in (f"left.txt{ending}", "left.txt"):  # the ending may be left out
        assert read(source=str(tmp_path / source), target=str(tmp_path / "right")) == PAIRS


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".xz"])
def test_tsv(ending: str, tmp_path: Path) -> None:
    text = "".join(f"{source}\t{target}\n" for source, target in PAIRS) + "four\tvier\tignored\tcolumns\n"
    (tmp_path / f"train.tsv{ending}").write_bytes(compressed(text, ending))
    assert read(path=str(tmp_path / f"train.tsv{ending}")) == [*PAIRS, ("four", "vier")]
    assert read(path=str(tmp_path / "train.tsv")) == [*PAIRS, ("four", "vier")]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".xz"])
def test_jsonl(ending: str, tmp_path: Path) -> None:
    rows = [{"en": source, "de": target, "id": 3} for source, target in PAIRS]
    rows.append({"translation": {"en": "five", "de": "fünf", "fr": "cinq"}})
    rows.append({"en": "a\nb\r\nc\u2028d", "de": None})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / f"train.jsonl{ending}").write_bytes(compressed(text, ending))
    expected = [*PAIRS, ("five", "fünf"), ("a b c\u2028d", "")]
    assert read(path=str(tmp_path / f"train.jsonl{ending}")) == expected


def test_languages_and_columns_choose_the_sides(tmp_path: Path) -> None:
    row = {"en": "e", "de": "d", "fr": "f", "translation": {"cs": "c"}}
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n")
    path = str(tmp_path / "t.jsonl")
    assert read(path=path) == [("e", "d")]
    assert read(DataConfig(source_language="fr", target_language="en"), path=path) == [("f", "e")]
    assert read(path=path, source_column="fr", target_column="cs") == [("f", "c")]
    for language in ("en", "de", "fr"):
        (tmp_path / f"p.{language}").write_text(f"{language}\n")
    reverse = DataConfig(source_language="de", target_language="fr")
    assert read(reverse, path=str(tmp_path / "p")) == [("de", "fr")]
    assert read(reverse, path=str(tmp_path / "p"), target_language="en") == [("de", "en")]
    assert read(path=path, source_language="fr", target_language="en") == [("f", "e")]


def test_pairs_have_the_tags_of_their_corpus(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\tb\n")

    def marked(tag: str | None, **settings: Any) -> list[Pair]:
        corpus, data = CorpusConfig(path=str(tmp_path / "t.tsv"), tag=tag), DataConfig(**settings)
        return list(read_pairs(corpus, data))

    assert marked(None) == [Pair("a", "b")]
    assert marked("<bt>") == [Pair("a", "b", ("<bt>",))]
    assert marked("<bt>", target_tags=True, target_language="fr") == [Pair("a", "b", ("<2fr>", "<bt>"))]


def test_surrogates_in_json_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"en": "\\ud800", "de": "\\ud83d\\ude00"}\n')
    assert read(path=str(tmp_path / "t.jsonl")) == [("\ufffd", "😀")]


TRICKY = ["a\u2028b", "a\u2029b", "a\x0cb", "a\x0bb", "a\rb", "a\x85b", "a\x1cb", "\ufeff", "\x00", " "]


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    (tmp_path / "t.en").write_bytes("".join(line + "\n" for line in TRICKY).encode())
    (tmp_path / "t.de").write_bytes("".join(f"{number}\r\n" for number in range(len(TRICKY))).encode())
    assert read(path=str(tmp_path / "t")) == [(line, str(number)) for number, line in enumerate(TRICKY)]


# Text with many zero bytes is taken for UTF-16.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\n\0")
LINE = st.text(CHARACTERS).filter(lambda text: not text.endswith("\r"))


@settings(max_examples=50)
@given(pairs=st.lists(st.tuples(LINE, LINE)))
def test_any_pairs_come_back_from_files_and_json(
    pairs: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    for side, language in enumerate(("en", "de")):
        (folder / f"t.{language}").write_bytes("".join(pair[side] + "\n" for pair in pairs).encode())
    rows = [json.dumps({"en": source, "de": target}, ensure_ascii=False) + "\n" for source, target in pairs]
    (folder / "t.jsonl").write_bytes("".join(rows).encode())
    assert read(path=str(folder / "t")) == pairs
    assert read(path=str(folder / "t.jsonl")) == pairs


def test_last_line_without_line_feed_counts(tmp_path: Path) -> None:
    (tmp_path / "t.en").write_text("a\nb")
    (tmp_path / "t.de").write_text("c\nd\n")
    assert read(path=str(tmp_path / "t")) == [("a", "c"), ("b", "d")]


def test_bytes_that_are_not_utf8_become_the_replacement_character(tmp_path: Path) -> None:
    (tmp_path / "t.en").write_bytes(b"a\xff\n")
    (tmp_path / "t.de").write_bytes(b"\xc3\xa4\n")
    assert read(path=str(tmp_path / "t")) == [("a\ufffd", "ä")]


@pytest.mark.parametrize(("source", "target"), [(2, 5), (5, 2), (0, 1), (3, 4)])
def test_unequal_line_counts_are_both_named(source: int, target: int, tmp_path: Path) -> None:
    (tmp_path / "t.en").write_text("x\n" * source)
    (tmp_path / "t.de").write_text("y\n" * target)
    message = fault(path=str(tmp_path / "t"))
    assert f"{tmp_path}/t.en has {source} lines but {tmp_path}/t.de has {target}" in message


@pytest.mark.parametrize("present", [(), ("en",), ("de",)])
def test_missing_prefix_names_what_was_looked_for(present: tuple[str, ...], tmp_path: Path) -> None:
    for language in present:
        (tmp_path / f"t.{language}").write_text("x\n")
    message = fault(path=str(tmp_path / "t"))
    for language in ("en", "de"):
        assert (f"{tmp_path}/t.{language}" in message) == (language not in present)
    assert ".gz" in message
    assert ".jsonl" in message


def test_missing_file_is_named() -> None:
    for corpus in ({"path": "no.tsv"}, {"path": "no.jsonl.gz"}, {"source": "no.en", "target": "no.de"}):
        assert fault(**corpus).startswith(f"{next(iter(corpus.values()))}: no such file")


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.de").write_text("x\n" * 1000)
    for ending in (".gz", ".zst", ".xz"):
        whole = compressed("".join(f"{number}\n" for number in range(1000)), ending)
        for content in (whole[: len(whole) // 2], b"not compressed at all\n"):
            (tmp_path / f"t.en{ending}").write_bytes(content)
            assert fault(source=str(tmp_path / f"t.en{ending}"), target=str(tmp_path / "t.de")).startswith(
                f"{tmp_path}/t.en{ending}: cannot be read ("
            )


def test_tsv_line_without_tab_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\tb\nc\td\nno tab\n")
    assert fault(path=str(tmp_path / "t.tsv")).startswith(f"{tmp_path}/t.tsv:3: has no tab")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("1" * 5000, "not valid JSON"),
        ('"a"', 'must hold an object, not "a"'),
        ('{"en": "a", "fr": "b"}', "has no 'de', only 'en', 'fr'"),
        ('{"en": "a", "de": 3}', "'de' must be text, not 3; correct it"),
        ('{"translation": {"en": "a"}}', "has no 'de', only 'en'"),
    ],
)
def test_jsonl_line_that_is_no_pair_is_named(bad: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"translation": null}\n' + bad + "\n")
    message = fault(path=str(tmp_path / "t.jsonl"))
    assert message.startswith(f"{tmp_path}/t.jsonl:2: ")
    assert says in message


def test_corpora_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\t2\n")
    (tmp_path / "b.tsv").write_text("3\t4\n1\t2\n")
    corpora = [CorpusConfig(path=str(tmp_path / name)) for name in ("a.tsv", "b.tsv")]
    assert list(read_corpora(corpora, DATA)) == [Pair("1", "2"), Pair("3", "4"), Pair("1", "2")]
    assert list(read_corpora([], DATA)) == []


def test_corpora_round_robin(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\t2\n")
    (tmp_path / "b.tsv").write_text("3\t4\n5\t6\n")
    (tmp_path / "c.tsv").write_text("7\t8\n9\t0\n")
    corpora = [CorpusConfig(path=str(tmp_path / f"{name}.tsv")) for name in "abc"]
    assert [pair.source for pair in read_round_robin(corpora, DATA)] == ["1", "3", "7", "5", "9"]


def test_reading_is_lazy(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\tb\nbroken\n")
    assert next(read_pairs(CorpusConfig(path=str(tmp_path / "t.tsv")), DATA)) == Pair("a", "b")


def test_files_and_description(tmp_path: Path) -> None:
    (tmp_path / "t.en.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "t.de").write_text("")
    prefix = CorpusConfig(path=str(tmp_path / "t"))
    assert corpus_files(prefix, DATA) == [tmp_path / "t.en.gz", tmp_path / "t.de"]
    assert describe_corpus(prefix) == str(tmp_path / "t")
    assert describe_corpus(CorpusConfig(source="a", target="b")) == "a with b"
    assert describe_corpus(CorpusConfig(dataset="x/y", name="de-en", split="test")) == "x/y de-en test"
    assert describe_corpus(CorpusConfig(path="a", source_language="fr")) == "a from fr"
    assert describe_corpus(CorpusConfig(path="a", target_language="fr", tag="<bt>")) == "a to fr with tag <bt>"


def write_shards(folder: Path) -> None:
    (folder / "b.tsv").write_text("c\tz\n")
    (folder / "a.tsv.gz").write_bytes(gzip.compress(b"a\tx\nb\ty\n"))
    for name, text in {"part-2.en": "f\n", "part-2.de": "w\n", "part-1.en": "d\ne\n", "part-1.de": "u\nv\n"}.items():
        (folder / name).write_text(text)


def test_a_star_matches_files(tmp_path: Path) -> None:
    write_shards(tmp_path)
    assert read(path=str(tmp_path / "*.tsv")) == [("a", "x"), ("b", "y"), ("c", "z")]
    assert read(path=str(tmp_path / "part-*")) == [("d", "u"), ("e", "v"), ("f", "w")]
    (tmp_path / "part-2.de").rename(tmp_path / "part-3.de")
    assert fault(path=str(tmp_path / "part-*")).startswith(f"{tmp_path}/part-2: found no {tmp_path}/part-2.de")
    assert fault(path=str(tmp_path / "*.csv")) == f"{tmp_path}/*.csv: matches no file; check the path and the languages"
    assert fault(path=str(tmp_path / "x*")) == f"{tmp_path}/x*: matches no file; check the path and the languages"


def test_a_star_in_a_url_matches_files(tmp_path: Path) -> None:
    write_shards(tmp_path)
    files = fsspec.filesystem("memory")
    files.pipe({f"/s/{file.name}": file.read_bytes() for file in tmp_path.iterdir()})
    assert read(path="memory://s/*.tsv") == [("a", "x"), ("b", "y"), ("c", "z")]
    assert read(path="memory://s/part-*") == [("d", "u"), ("e", "v"), ("f", "w")]
    assert corpus_files(CorpusConfig(path="memory://s/*.tsv"), DATA) == ["memory:///s/a.tsv.gz", "memory:///s/b.tsv"]
    assert fault(path="memory://s/*.csv") == "memory://s/*.csv: matches no file; check the path and the languages"
    files.rm("/", recursive=True)


@given(names=st.sets(st.text("ab1*", min_size=1, max_size=4), min_size=1, max_size=5))
def test_all_matches_are_read_in_order(names: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("shards")
    for name in names:
        (folder / f"{name}.tsv").write_text(f"{name}\tx\n")
    assert read(path=str(folder / "?*.tsv")) == [(name, "x") for name in sorted(names, key="{}.tsv".format)]


@pytest.mark.parametrize("remote", [False, True])
def test_patterns_of_corpora_and_jobs_are_the_same(tmp_path: Path, remote: bool) -> None:
    names = ["a1.tsv", "a2.tsv", "a[1].tsv", "b10.tsv", "c/d/a3.tsv"]
    (tmp_path / "c" / "d").mkdir(parents=True)
    for name in names:
        (tmp_path / name).write_text(f"{name}\tx\n")
    base = str(tmp_path)
    if remote:
        base = "memory://patterns"
        fsspec.filesystem("memory").pipe({f"/patterns/{name}": (tmp_path / name).read_bytes() for name in names})
    for pattern, matches in {
        "a?.tsv": ["a1.tsv", "a2.tsv"],
        "[ab][0-9]*.tsv": ["a1.tsv", "a2.tsv", "b10.tsv"],
        "[!a]*.tsv": ["b10.tsv"],
        "**/a3.tsv": ["c/d/a3.tsv"],
        "a[1].tsv": ["a[1].tsv"],  # a name that exists
    }.items():
        assert [source for source, _ in read(path=f"{base}/{pattern}")] == matches
        assert [
            file.path[-len(name) :] for file, name in zip(find_inputs([f"{base}/{pattern}"]), matches, strict=True)
        ] == matches


def test_a_name_that_exists_with_a_compression_is_not_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].tsv.gz").write_bytes(gzip.compress(b"a\tx\n"))
    (tmp_path / "a1.tsv").write_text("b\ty\n")
    assert read(path=str(tmp_path / "a[1].tsv")) == [("a", "x")]


def test_remote_corpora(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe({"/c/t.en": b"a\nb\n", "/c/t.de.gz": gzip.compress(b"x\ny\n"), "/c/t.tsv": b"c\tz\n"})
    assert read(path="memory://c/t") == [("a", "x"), ("b", "y")]
    assert read(path="memory://c/t.tsv") == [("c", "z")]
    assert read(source="memory://c/t.en", target="memory://c/t.de") == [("a", "x"), ("b", "y")]
    prefix = CorpusConfig(path="memory://c/t")
    assert corpus_files(prefix, DATA) == ["memory://c/t.en", "memory://c/t.de.gz"]
    assert describe_corpus(prefix) == "memory://c/t"
    assert fault(path="memory://c/none").startswith("memory://c/none: found no memory://c/none.en and no")
    assert fault(path="memory://none.tsv").startswith(
        "memory://none.tsv: no such file (nor with .gz, .zst, .xz or .bz2"
    )
    files.rm("/", recursive=True)
