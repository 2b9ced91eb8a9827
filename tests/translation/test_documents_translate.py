"""Documents translated by a real model, and what is refused."""

import contextlib
import os
import random
from pathlib import Path

import pytest
from documents import open_document
from lxml import etree
from sample_documents import SAMPLES

from nmt import ConfigError, DataError, Request, SearchOptions, Translation, Translator, translate_file
from nmt.commands.translate import main
from nmt.system.files import DRAFT
from nmt.translation.documents.formats import READERS
from nmt.translation.documents.translate import translate_texts
from nmt.translation.tagged import TaggedText

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
PAGE = "<html><body><p>ein <b>mann</b></p><p>zwei hunde. ein mann.</p><p>zwei hunde</p></body></html>"


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(MODEL)


def test_texts_are_translated_as_the_translator_does(translator: Translator, tmp_path: Path) -> None:
    source, output = tmp_path / "a.html", tmp_path / "b.html"
    source.write_text(PAGE, encoding="utf-8")
    assert translate_file(translator, source, output) == 3
    man, both, dogs = translator.translate(["ein mann", "zwei hunde. ein mann.", "zwei hunde"], split=True)
    paragraphs = ["".join(node.itertext()) for node in etree.HTML(output.read_text(encoding="utf-8")).iter("p")]
    assert paragraphs == [man, both, dogs]
    assert output.read_text(encoding="utf-8").count("<b>") == 1


def test_equal_texts_are_translated_once(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []
    nbest = translator.nbest

    def watch(requests: list[Request]) -> list[list[Translation]]:
        asked.extend(requests)
        return nbest(requests)

    monkeypatch.setattr(translator, "nbest", watch)
    bold = TaggedText(text="ein mann", stacks=[(1,)] * 8)
    plain = [TaggedText(text=text, stacks=[()] * len(text)) for text in ("ein mann", "zwei hunde", "ein mann", "12")]
    translated = translate_texts(translator, [*plain, bold], Request("", options=SearchOptions(beam=1)))
    assert [request.text for request in asked] == ["ein mann", "zwei hunde"]
    assert translated[0].text == translated[2].text == translated[4].text
    assert set(translated[4].stacks) == {(1,)}
    assert translated[3].text == "12"


def test_things_are_copied(translator: Translator) -> None:
    text = "ein mann https://example.org/x"
    tagged = TaggedText(text=text, stacks=[()] * len(text))
    (translated,) = translate_texts(translator, [tagged], Request(""))
    assert "https://example.org/x" in "".join(str(item) for _, item in translated.runs())
    (translated,) = translate_texts(translator, [tagged], Request("", protect=False))
    assert translated.text == translator.translate([Request(text, protect=False)])[0]


def run(*arguments: str | Path) -> int:
    try:
        return main([str(MODEL), *map(str, arguments)])
    except SystemExit as error:  # of argparse
        return int(error.code or 0)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "a.MD", tmp_path / "b.md"
    source.write_text("# ein mann\n\n```\nzwei hunde\n```\n", encoding="utf-8")
    assert run("--file", source, "--output", output) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 texts translated" in captured.err
    written = output.read_text(encoding="utf-8")
    assert written.startswith("# ")
    assert written.endswith("\n\n```\nzwei hunde\n```\n")
    assert os.listdir(tmp_path) == ["a.MD", "b.md"] or os.listdir(tmp_path) == ["b.md", "a.MD"]


@pytest.mark.parametrize(
    ("file", "output", "message"),
    [
        ("a.doc", "b.doc", "documents that end in .doc are not known; choose one of .docx"),
        ("a", "b", "documents without an ending are not known"),
        ("a.html", "a.html", "is the document itself"),
        ("a.html", "link.html", "is the document itself"),
        ("a.html", "b.md", "the output has the format of"),
        ("a.html", "missing/b.html", "does not exist"),
        ("a.html", "folder.html", "is a folder"),
        ("missing.html", "b.html", "cannot be read (No such file"),
        ("bad.xhtml", "b.xhtml", "not well-formed XML"),
    ],
)
def test_faults_are_one_line_and_nothing_is_written(
    file: str, output: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.doc", "a", "a.html"):
        (tmp_path / name).write_text(PAGE, encoding="utf-8")
    (tmp_path / "bad.xhtml").write_text("<html>", encoding="utf-8")
    (tmp_path / "link.html").symlink_to(tmp_path / "a.html")
    (tmp_path / "folder.html").mkdir()
    before = sorted(os.listdir(tmp_path))
    assert run("--file", tmp_path / file, "--output", tmp_path / output) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ("--file", "a.html"),
        ("--output", "a.html"),
        ("--keys", "a"),
        ("--file", "a.html", "--output", "b.html", "--json"),
    ],
)
def test_arguments_that_do_not_fit(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_output_replaces_an_older_one(translator: Translator, tmp_path: Path) -> None:
    source, output = tmp_path / "a.txt", tmp_path / "b.txt"
    source.write_text("12\n", encoding="utf-8")
    output.write_text("older", encoding="utf-8")
    translate_file(translator, source, output)
    assert output.read_text(encoding="utf-8") == "12\n"
    assert not list(tmp_path.glob(f"{DRAFT}*"))


def test_large_files_are_refused(translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.translation.documents.translate.MAX_BYTES", 10)
    (tmp_path / "a.txt").write_text("x" * 11, encoding="utf-8")
    with pytest.raises(DataError, match="larger than"):
        translate_file(translator, tmp_path / "a.txt", tmp_path / "b.txt")


def test_progress_is_reported(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nmt.translation.documents.translate.WINDOW", 1)
    monkeypatch.setattr("nmt.translation.documents.translate._PROGRESS", 0.0)
    caplog.set_level("INFO", logger="nmt")
    (tmp_path / "a.txt").write_text("".join(f"{'ein mann ' * i}\n" for i in range(1, 5)), encoding="utf-8")
    monkeypatch.setattr(translator, "max_segments", lambda _: 1)
    assert translate_file(translator, tmp_path / "a.txt", tmp_path / "b.txt") == 4
    assert any("of 4 texts translated" in message for message in caplog.messages)


@pytest.mark.parametrize("ending", sorted(READERS))
def test_random_bytes_are_refused_or_read(ending: str) -> None:
    for data in (b"", b"\0", b"\xff\xfe\xff", b"PK\x03\x04" + bytes(40), bytes(range(256)) * 8):
        with contextlib.suppress(DataError):
            document = open_document(ending, data)
            document.write(document.texts)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "markdown_it", None)
    with pytest.raises(ConfigError, match=r"pip install 'nmt\[documents\]'"):
        open_document(".md", "text")


@pytest.mark.parametrize("ending", sorted(SAMPLES))
def test_pages_keep_their_structure(ending: str, translator: Translator, tmp_path: Path) -> None:
    """A file of a few pages, translated by a model and opened by the reader of its format, has the same structure."""
    sample = SAMPLES[ending]
    source, output = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    source.write_bytes(sample.make())
    assert translate_file(translator, source, output, Request("", options=SearchOptions(beam=1))) >= 10
    before, old = sample.read(source.read_bytes())
    after, new = sample.read(output.read_bytes())
    assert after == before
    if ending in (".po", ".xlf", ".xliff", ".tmx"):  # these get translations beside their texts
        assert len(new) >= 20
        assert all(new)
    else:
        assert len(new) == len(old)
        assert sum(one != other for one, other in zip(old, new, strict=True)) >= len(old) / 2


def test_every_format_has_a_sample() -> None:
    same = {".htm": ".html", ".markdown": ".md"}
    assert {same.get(ending, ending) for ending in READERS} == set(SAMPLES)


@pytest.mark.parametrize("ending", sorted(SAMPLES))
def test_damaged_documents_are_refused_in_one_line_or_read(ending: str) -> None:
    generator = random.Random(ending)
    whole = SAMPLES[ending].make()
    for _ in range(12):
        data = bytearray(whole)
        first, last = sorted(generator.choices(range(len(data)), k=2))
        kind = generator.randrange(4)
        if kind == 0:
            del data[first:]
        elif kind == 1:
            del data[first : min(last, first + 200)]
        elif kind == 2:
            data[first] = generator.randrange(256)
        else:
            data[first:first] = generator.choice(
                [b"<b>", b"</p>", b'"', b"{", b"\0", b"-->\n", b"msgid", b"&x;", b"\xff"]
            )
        try:
            document = open_document(ending, bytes(data))
            document.write(document.texts)
        except DataError as error:
            message = str(error)
            assert "\n" not in message
