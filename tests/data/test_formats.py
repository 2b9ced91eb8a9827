"""nmt/data/formats: pairs that independent writers wrote come back from every format, and faults are named."""

import bz2
import csv
import gzip
import io
import json
import lzma
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig
from nmt.data.formats import FORMATS, find_format
from nmt.data.formats.selection import rank_variant
from nmt.data.pair import Pair
from nmt.data.readers import corpus_files, read_pairs
from nmt.data.text_files import MAX_ROW_CHARACTERS, MAX_SIDE_CHARACTERS, import_zstd
from nmt.errors import DataError

DATA = DataConfig(source_language="en", target_language="de")
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": lambda content: bytes(import_zstd("t").compress(content)),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
OVERSIZED = ("oversized", "oversized")

Sides = tuple[str, str]


def read(path: Path, data: DataConfig = DATA, **corpus: Any) -> list[Sides]:
    pairs = read_pairs(CorpusConfig(path=str(path), **corpus), data)
    return [OVERSIZED if pair.oversized else pair.sides for pair in pairs]


def fault(path: Path, **corpus: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **corpus)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def make_csv(pairs: list[Sides]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerows([("en", "de"), *pairs])
    return stream.getvalue().encode("utf-8-sig")


def make_parquet(pairs: list[Sides]) -> bytes:
    stream = io.BytesIO()
    columns = {"en": [source for source, _ in pairs], "de": [target for _, target in pairs]}
    types = pyarrow.schema([("en", pyarrow.string()), ("de", pyarrow.string())])
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=types), stream)
    return stream.getvalue()


def make_tmx(pairs: list[Sides]) -> bytes:
    root = ET.Element("tmx", version="1.4")
    ET.SubElement(root, "header", srclang="en")
    body = ET.SubElement(root, "body")
    for pair in pairs:
        unit = ET.SubElement(body, "tu")
        for language, text in zip(("en-US", "de-DE"), pair, strict=True):
            variant = ET.SubElement(unit, "tuv", {"xml:lang": language})
            ET.SubElement(variant, "seg").text = text
    return bytes(ET.tostring(root, encoding="utf-16"))


def make_xliff_1(pairs: list[Sides]) -> bytes:
    root = etree.Element("xliff", version="1.2", nsmap={None: "urn:oasis:names:tc:xliff:document:1.2"})
    file = etree.SubElement(root, "file", {"source-language": "en-GB", "target-language": "de"})
    group = etree.SubElement(etree.SubElement(file, "body"), "group")
    for source, target in pairs:
        unit = etree.SubElement(group, "trans-unit")
        etree.SubElement(unit, "source").text = source
        etree.SubElement(unit, "target").text = target
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def make_xliff_2(pairs: list[Sides]) -> bytes:
    root = etree.Element("xliff", {"version": "2.0", "srcLang": "de", "trgLang": "en"})
    unit = etree.SubElement(etree.SubElement(root, "file", id="f"), "unit", id="u")
    for source, target in pairs:
        segment = etree.SubElement(unit, "segment")
        etree.SubElement(segment, "source").text = target  # the opposite direction
        etree.SubElement(segment, "target").text = source
    return bytes(etree.tostring(root))


def make_lines(separator: str, heading: str = "") -> Callable[[list[Sides]], bytes]:
    return lambda pairs: (heading + "".join(f"{separator.join(pair)}\n" for pair in pairs)).encode()


def make_zip(pairs: list[Sides]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README", "about this corpus")
        archive.writestr("OpenSubtitles.de-en.de", "".join(f"{target}\n" for _, target in pairs))
        archive.writestr("OpenSubtitles.de-en.en", "".join(f"{source}\n" for source, _ in pairs))
        archive.writestr("OpenSubtitles.de-en.ids", "1 2\n" * len(pairs))
    return stream.getvalue()


WRITERS: dict[str, Callable[[list[Sides]], bytes]] = {
    "t.tsv": make_lines("\t", "en\tde\n"),
    "t.txt": make_lines(" ||| ", "en ||| de\n"),
    "t.csv": make_csv,
    "t.jsonl": lambda pairs: "".join(json.dumps({"de": t, "en": s}) + "\n" for s, t in pairs).encode(),
    "t.json": lambda pairs: json.dumps([{"id": 1, "translation": {"en": s, "de": t}} for s, t in pairs]).encode(),
    "t.parquet": make_parquet,
    "t.tmx": make_tmx,
    "t.xlf": make_xliff_1,
    "t.xliff": make_xliff_2,
    "t.zip": make_zip,
}

# XML cannot contain control characters, and its parsers replace carriage returns.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="|\ufffe\uffff\ufeff")
SIDE = st.text(CHARACTERS, max_size=30) | st.sampled_from(
    ["null", "NA", "None", "", '"', '"a" b', "<b>&amp;</b>", ";,"]
)


def test_each_format_has_a_writer_here() -> None:
    assert {Path(name).suffix for name in WRITERS} == set(FORMATS)


@settings(max_examples=25)
@given(pairs=st.lists(st.tuples(SIDE, SIDE), max_size=5), ending=st.sampled_from(list(COMPRESS)))
@pytest.mark.parametrize("name", WRITERS)
def test_pairs_of_independent_writers_come_back(
    name: str, pairs: list[Sides], ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ending = "" if name == "t.zip" else ending  # its members cannot be opened within another compression
    path = tmp_path_factory.mktemp("formats") / f"{name}{ending}"
    assert read(write(path, COMPRESS[ending](WRITERS[name](pairs)))) == pairs


@pytest.mark.parametrize("name", WRITERS)
def test_remote_files(name: str) -> None:
    files = fsspec.filesystem("memory")
    files.pipe(f"/formats/{name}.gz", gzip.compress(WRITERS[name]([("a", "b"), ("c", "")])))
    if name != "t.zip":
        corpus = CorpusConfig(path=f"memory://formats/{name}")
        assert [pair.sides for pair in read_pairs(corpus, DATA)] == [("a", "b"), ("c", "")]
    files.rm("/", recursive=True)


def test_remote_archive() -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/formats/t.zip", make_zip([("a", "b")]))
    assert [pair.sides for pair in read_pairs(CorpusConfig(path="memory://formats/t.zip"), DATA)] == [("a", "b")]
    files.rm("/", recursive=True)


class TestTables:
    @pytest.mark.parametrize("heading", ["de\ten\n", "x\tde-AT\tEN\n", "target\tsource\n", "TGT\tsrc\n"])
    def test_a_heading_decides_the_direction(self, heading: str, tmp_path: Path) -> None:
        first = "1\t" * heading.startswith("x")
        path = write(tmp_path / "t.tsv", f"{heading}{first}Haus\thouse\n")
        assert read(path) == [("house", "Haus")]

    def test_columns_by_name_and_number(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", "id,english,german\n7,house,Haus\n")
        assert read(path, source_column="english", target_column="german") == [("house", "Haus")]
        path = write(tmp_path / "u.tsv", "7\thouse\tHaus\n8\tcat\tKatze\n")
        assert read(path, source_column=2, target_column=3) == [("house", "Haus"), ("cat", "Katze")]
        assert read(path, source_column=3) == [("Haus", "house"), ("Katze", "cat")]
        path = write(tmp_path / "v.tsv", "id\ten\tde\tmy text\n7\thouse\tHaus\tcottage\n")
        assert read(path, source_column=2, target_column=3) == [("house", "Haus")]
        assert read(path, source_column=4) == read(path, source_column="my text") == [("cottage", "Haus")]

    def test_headings_that_contradict_the_corpus_are_faults(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.tsv", "fr\tde\nmaison\tHaus\n")
        assert ":1: has no 'en', only 'fr', 'de'; set source_column" in fault(path)
        path = write(tmp_path / "u.tsv", "de\ten\nHaus\thouse\n")
        message = fault(path, source_column=1, target_column=2)
        assert "column 1 is 'de', so it cannot be the source in 'en'; correct source_column" in message
        assert ":1: has no 'english'" in fault(path, source_column="english")
        assert ":1: has no 'de'" in fault(write(tmp_path / "v.tsv", "my text\tx y\na\tb\n"), source_column="my text")

    def test_quotes_are_text_in_tsv_and_blank_rows_are_empty_pairs(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.tsv", 'a "\tb\n\n"c\td"\n\t\n')
        assert read(path) == [('a "', "b"), ("", ""), ('"c', 'd"'), ("", "")]

    @pytest.mark.parametrize(
        ("name", "text"),
        [("t.tsv", "de\ten\nHaus\thouse"), ("t.csv", "de;en\nHaus;house"), ("t.txt", "de\ten\nHaus\thouse")],
    )
    def test_blank_lines_before_a_heading(self, name: str, text: str, tmp_path: Path) -> None:
        assert read(write(tmp_path / name, f"\n \n{text}\n")) == [("", ""), ("", ""), ("house", "Haus")]
        assert ":3: has no 'en'" in fault(write(tmp_path / name, "\n\n" + text.replace("en", "fr") + "\n"))

    def test_many_blank_lines_are_not_held_in_memory(self, tmp_path: Path) -> None:
        assert read(write(tmp_path / "t.csv", "\n" * 3000 + "a,b\n")) == [*[("", "")] * 3000, ("a", "b")]

    def test_csv(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.csv", 'de;en\n"ein ""Haus""; groß";"a\nhouse"\n')
        assert read(path) == [("a house", 'ein "Haus"; groß')]
        assert ":2: not valid CSV" in fault(write(tmp_path / "u.csv", 'en,de\n"a" b,c\n'))
        assert ":2: not valid CSV" in fault(write(tmp_path / "v.csv", 'en,de\n"a,b\nc,d\n'))
        long = f'en,de\n{"x" * (MAX_SIDE_CHARACTERS + 1)},y\n"{"x" * (MAX_ROW_CHARACTERS * 5)}",y\na,b\n'
        assert read(write(tmp_path / "w.csv", long)) == [OVERSIZED, OVERSIZED, ("a", "b")]

    def test_txt_with_bars_or_tabs(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.txt", "a | b ||| c\n||| d\ne |||\n\n")
        assert read(path) == [("a | b", "c"), ("", "d"), ("e", ""), ("", "")]
        assert read(write(tmp_path / "u.txt", "Hi.\tHallo!\tCC-BY\n")) == [("Hi.", "Hallo!")]
        assert ":1: has no |||" in fault(write(tmp_path / "v.txt", "one side\n"))

    def test_prefixes_may_end_in_txt(self, tmp_path: Path) -> None:
        write(tmp_path / "t.txt.en", "a\n")
        write(tmp_path / "t.txt.de", "b\n")
        assert read(tmp_path / "t.txt") == [("a", "b")]


class TestJson:
    def test_nothing_is_an_empty_side(self, tmp_path: Path) -> None:
        rows = [
            '{"en": "a", "de": null}',
            "",
            "null",
            '{"translation": null}',
            '["c", "d"]',
            '{"de_DE": "e", "EN": "f"}',
            "{}",
            '{"translation": {}}',
            '{"translation": {"en": "g"}}',
            '{"de": "h", "fr": "i"}',
        ]
        expected = [("a", ""), ("", ""), ("", ""), ("", ""), ("c", "d"), ("f", "e")]
        expected += [("", ""), ("", ""), ("g", ""), ("", "h")]
        assert read(write(tmp_path / "t.jsonl", "\n".join(rows))) == expected
        assert read(write(tmp_path / "t.json", f"[{', '.join(filter(None, rows))}]")) == [*expected[:1], *expected[2:]]

    def test_lists_have_numbers(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.jsonl", '["x", "b", "a"]\n')
        assert read(path, source_column=3, target_column=2) == [("a", "b")]
        assert "has 3 items, not 4 or more" in fault(path, source_column=4)
        assert "is a list, which has no 'en'" in fault(path, source_column="en")
        assert "whose keys have no number" in fault(write(tmp_path / "u.jsonl", '{"en": "a"}'), source_column=1)

    def test_long_items_are_skipped(self, tmp_path: Path) -> None:
        rows = [
            {"en": 'a"]}\\' * MAX_ROW_CHARACTERS, "de": ["x"]},
            {"en": "a" * (MAX_SIDE_CHARACTERS + 1), "de": "b"},
            {"en": "c", "de": "d"},
        ]
        expected = [OVERSIZED, OVERSIZED, ("c", "d")]
        assert read(write(tmp_path / "t.json", json.dumps(rows, indent=1))) == expected
        assert read(write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))) == expected

    @pytest.mark.parametrize(
        "content", ["[", '[{"en": "a", "de": "b"}', "[nonsense]", '[{"en": "a" "de"}]', "[[]", "[1 2]"]
    )
    def test_faults_are_named(self, content: str, tmp_path: Path) -> None:
        assert ", item " in fault(write(tmp_path / "t.json", content))

    def test_items_across_blocks(self, tmp_path: Path) -> None:
        pairs = [(f"ä😀\\ {number}", '"') for number in range(5000)]
        content = json.dumps([{"en": source, "de": target} for source, target in pairs], indent=2)
        assert read(write(tmp_path / "t.json", content)) == pairs


BOLD = '<bpt i="1">&lt;b&gt;</bpt>big<ept i="1">&lt;/b&gt;</ept>'
INLINE = f'A {BOLD} <hi>red</hi><ph type="lb"/><ph>{{1}}</ph>h<g id="2">ou</g>se'


def tmx(*units: str, doctype: str = "") -> str:
    body = "".join(f"<tu>{unit}</tu>" for unit in units)
    return f'<?xml version="1.0"?>{doctype}<tmx version="1.4"><header/><body>{body}</body></tmx>'


def tuv(language: str, text: str, attribute: str = "xml:lang") -> str:
    return f'<tuv {attribute}="{language}"><prop>x</prop><seg>{text}</seg></tuv>'


class TestXml:
    def test_inline_markup_is_dropped(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.tmx", tmx(tuv("en", INLINE) + tuv("de", "\n  Haus\n  groß\n")))
        assert read(path) == [("A big red house", "Haus groß")]
        unit = f"<trans-unit><source>{INLINE}</source><target>b</target></trans-unit>"
        path = write(tmp_path / "t.xlf", f'<xliff><file source-language="en">{unit}</file></xliff>')
        assert read(path) == [("A big red house", "b")]

    def test_variants_of_languages(self, tmp_path: Path) -> None:
        unit = tuv("fr", "x") + tuv("de-AT", "Jänner") + tuv("DE", "Januar") + tuv("EN_us", "January", "lang")
        path = write(tmp_path / "t.tmx", tmx(unit))
        assert read(path) == [("January", "Januar")]
        assert read(path, target_language="de-at") == [("January", "Jänner")]
        assert read(path, target_language="de-CH") == [("January", "Januar")]
        assert read(path, source_language="de", target_language="en") == [("Januar", "January")]

    def test_a_unit_without_a_language_is_an_empty_side(self, tmp_path: Path) -> None:
        path = write(tmp_path / "t.tmx", tmx(tuv("en", "a") + tuv("de", "b"), tuv("en", "c"), tuv("fr", "d")))
        assert read(path) == [("a", "b"), ("c", ""), ("", "")]
        assert "no segment in es, only in en, de, fr; set the languages" in fault(path, target_language="es")

    def test_alternative_translations_are_not_read(self, tmp_path: Path) -> None:
        other = "<source>x</source><target>y</target>"
        unit = f"<trans-unit><source>a</source><target>b</target><alt-trans>{other}</alt-trans></trans-unit>"
        path = write(tmp_path / "t.xlf", f'<file source-language="en" target-language="de">{unit}</file>')
        assert read(path) == [("a", "b")]
        assert "en to de, not fr to de; set the languages" in fault(path, source_language="fr")
        matches = f'<m:matches xmlns:m="m"><m:match>{other}</m:match></m:matches>'
        segment = "<segment><source>a</source></segment><ignorable><source> </source></ignorable>"
        path = write(tmp_path / "u.xlf", f'<xliff srcLang="en"><file><unit>{matches}{segment}</unit></file></xliff>')
        assert read(path) == [("a", "")]

    @pytest.mark.parametrize("name", ["t.tmx", "t.xlf"])
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ('<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>', "declares the entity 'a'"),
            ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "declares the entity 'a'"),
            ('<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/"> %a;]><x/>', "declares the entity 'a'"),
            ("<x><!--" + "-x" * 5_000_000 + "--></x>", "has a tag of more than"),
            (f'<x y="{"z" * 5_000_000}"/>', "has a tag of more than"),
            ("<x>" + "".join(f"<x{number}/>" for number in range(20_000)) + "</x>", "different names"),
            ("<x>" * 30_000, "open elements"),
            ("<x><y></x>", "not valid XML (mismatched tag)"),
            ("", "not valid XML (no element found)"),
            ("PK\x03\x04", "not valid XML"),
        ],
    )
    def test_hostile_and_damaged_files_are_refused(self, name: str, content: str, says: str, tmp_path: Path) -> None:
        assert says in fault(write(tmp_path / name, content))

    def test_a_doctype_is_not_read_but_allowed(self, tmp_path: Path) -> None:
        unit = tuv("en", "a&nbsp;b&unknown;") + tuv("de", "c")
        path = write(tmp_path / "t.tmx", tmx(unit, doctype='<!DOCTYPE tmx SYSTEM "tmx14.dtd">'))
        assert read(path) == [("a\xa0b&unknown;", "c")]

    def test_long_segments_are_skipped(self, tmp_path: Path) -> None:
        long = tuv("en", "x" * (5 * MAX_ROW_CHARACTERS)) + tuv("de", "y")
        path = write(tmp_path / "t.tmx", tmx(long, tuv("en", "a") + tuv("de", "b")))
        assert read(path) == [OVERSIZED, ("a", "b")]


class TestArchives:
    @pytest.mark.parametrize(
        "names", [("x.en", "x.de"), ("a/x.en-US", "a/x.de_AT"), ("en.txt", "de.txt"), ("x.en.txt", "x.de.txt")]
    )
    def test_names(self, names: Sides, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            for name, text in zip(names, ("a\n", "b\n"), strict=True):
                archive.writestr(name, text)
            archive.writestr("LICENSE.txt", "free")
            archive.writestr("__MACOSX/x.en", "hidden")
        assert read(tmp_path / "t.zip") == [("a", "b")]

    def test_one_file_of_another_format(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            archive.writestr("README.txt", "about")
            archive.writestr("data/memory.tmx.gz", gzip.compress(tmx(tuv("en", "a") + tuv("de", "b")).encode()))
        assert read(tmp_path / "t.zip") == [("a", "b")]

    def test_no_corpus_several_and_damage(self, tmp_path: Path) -> None:
        path = tmp_path / "t.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.en", "a\nb\n")
            archive.writestr("x.fr", "a\n")
        assert "has no files for en and de; unpack it" in fault(path)
        with zipfile.ZipFile(path, "a") as archive:
            for name in ("x.de", "y.en", "y.de"):
                archive.writestr(name, "a\n")
        assert "holds several corpora (x.en with x.de, y.en with y.de)" in fault(path)
        assert "not a zip file" in fault(write(path, b"PK"))
        content = bytearray(make_zip([("aaaaaaaa", "b"), ("c", "d")]))
        content[content.index(b"OpenSubtitles.de-en.de") + 24] ^= 255
        write(path, bytes(content))
        with pytest.raises(DataError):
            read(path)


def test_parquet_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2], "en": ["a", None], "de": ["b", "c"]}), path)
    assert read(path) == [("a", "b"), ("", "c")]
    assert read(path, source_column=3, target_column=2) == [("b", "a"), ("c", "")]
    assert "has no 9" in fault(path, source_column=9)
    assert "has no 'fr', only 'id', 'en', 'de'" in fault(path, target_language="fr")
    assert "'id' must be text, not 1" in fault(path, source_column="id")
    assert "cannot be read" in fault(write(path, b"PAR1"))


def test_long_lines_are_skipped_with_their_partners(tmp_path: Path) -> None:
    write(tmp_path / "t.en.gz", gzip.compress(b"x" * 50_000_000 + b"\nb\n" + b"c" * MAX_SIDE_CHARACTERS + b"\n"))
    write(tmp_path / "t.de", "y\nz\n" + "d" * (MAX_SIDE_CHARACTERS + 1))
    data = DataConfig(target_tags=True)
    pairs = list(read_pairs(CorpusConfig(path=str(tmp_path / "t")), data))
    skipped = Pair("", "", ("<2de>",), oversized=True)
    assert pairs == [skipped, Pair("b", "z", ("<2de>",)), skipped]


def test_columns_are_refused_where_there_are_none(tmp_path: Path) -> None:
    for name in ("t.tmx", "t.zip", "t"):
        assert "source_column and target_column are only for" in fault(tmp_path / name, source_column="x")


@pytest.mark.parametrize("name", ["T.TSV", "t.Csv", "t.TSV.GZ"])
def test_endings_in_capitals(name: str, tmp_path: Path) -> None:
    text = "house,Haus\n" if "Csv" in name else "house\tHaus\n"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("GZ") else text.encode())
    assert read(tmp_path / name) == [("house", "Haus")]


def test_endings() -> None:
    assert find_format("s3://b/t.tsv.zst") == FORMATS[".tsv"]
    assert find_format(Path("t.xlf.bz2")) == FORMATS[".xlf"]
    assert find_format("zip://t.tmx::c.zip") == FORMATS[".tmx"]
    assert find_format("t.doc") is None
    assert corpus_files(CorpusConfig(dataset="no/such"), DATA) == []


@pytest.mark.parametrize(
    ("tag", "language", "rank"),
    [("de", "de", 3), ("DE_de", "de", 2), ("de-Latn-AT", "de", 2), ("de", "de-AT", 1), ("des", "de", 0), ("", "de", 0)],
)
def test_variants(tag: str, language: str, rank: int) -> None:
    assert rank_variant(tag, language) == rank
