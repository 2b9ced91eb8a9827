"""Terms: where they apply, their tokens, and translations that use them."""

import json
from pathlib import Path

import pytest
import warm

from nmt import ConfigError, DataError, Request, SampleOptions, SearchOptions, Term, Translator, read_glossary
from nmt.commands.translate import main
from nmt.translation.terms import TermFinder, find_uses

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
SOURCE = (MODELS / "source.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog and a hot dog.", ["dog", "hot dog"]),
        ("DOG", ["dog"]),
        ("dogs", []),
        ("The WHO, and who?", ["WHO"]),
        ("(dog)-dog", ["dog", "dog"]),
        ("C++ is fun", ["C++"]),
        ("Straße", ["straße"]),
        ("", []),
    ],
)
def test_the_longest_term_applies_where_whole_words_are_in_the_text(text: str, expected: list[str]) -> None:
    terms = [Term(source, "x") for source in ("dog", "hot dog", "WHO", "C++", "straße")]
    assert [term.source for _, _, term in TermFinder(terms).find(text)] == expected


def test_the_first_of_several_terms_with_the_same_source() -> None:
    assert TermFinder([Term("dog", "Hund"), Term("Dog", "Köter")]).find("a dog") == [(2, 5, Term("dog", "Hund"))]


def test_languages_without_spaces() -> None:
    assert [term.source for _, _, term in TermFinder([Term("北京", "Peking")], spaces=False).find("我在北京住")] == [
        "北京"
    ]
    assert find_uses([Term("a", "北京")], "我在北京住", spaces=False, capitals=False)[0].used


@pytest.mark.parametrize(
    ("translation", "used"),
    [
        ("Ein Hund.", [True, False]),
        ("Hunde", [False, False]),
        ("Ein Hund und ein Hund", [True, True]),
        ("ein hund", [False, False]),
    ],
)
def test_a_target_is_used_as_whole_words(translation: str, used: list[bool]) -> None:
    found = find_uses([Term("dog", "Hund")] * 2, translation, spaces=True, capitals=False)
    assert [use.used for use in found] == used


def test_a_term_without_text_is_refused() -> None:
    with pytest.raises(ValueError, match="must be text"):
        Term("dog", " ")


@pytest.mark.parametrize("beam", [1, 5, 16])
def test_translations_use_terms(beam: int, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator.load(MODELS / "input_feeding", precision="fp32")
    options = SearchOptions(beam=beam, nbest=min(beam, 3))
    words = [word for line in SOURCE for word in line.rstrip(".").split() if word.isalpha()]
    outputs = {word for line in translator.translate(SOURCE) for word in line.rstrip(".?!").split() if word.isalpha()}
    terms = [Term(word, target) for word, target in zip(dict.fromkeys(words), sorted(outputs), strict=False)][::3]
    found = translator.nbest(SOURCE, options, terms=terms)
    uses = [use for line in found for translation in line for use in translation.terms]
    assert len(uses) > 5
    assert all(use.used for use in uses)
    from nmt.translation import load as choice

    monkeypatch.setattr(choice, "load", lambda: None)
    python = Translator.load(MODELS / "input_feeding", precision="fp32").nbest(SOURCE[:6], options, terms=terms)
    assert [[one.text for one in line] for line in python] == [[one.text for one in line] for line in found[:6]]


def test_terms_of_a_request_and_of_the_call() -> None:
    translator, terms = Translator.load(MODELS / "input_feeding"), [Term("house", "Haus")]
    given = translator.nbest([Request("the house", terms=()), Request("the house"), "the tree"], terms=terms)
    assert [len(found[0].terms) for found in given] == [0, 1, 0]
    assert translator.nbest("the house")[0][0].terms == []
    with pytest.raises(ConfigError, match="only for search"):
        translator.translate("the house", SampleOptions(), terms=terms)


def test_a_term_that_the_vocabulary_cannot_spell_is_not_used() -> None:
    [[found, *_]] = Translator.load(MODELS / "input_feeding").nbest("the house", terms=[Term("house", "日本")])
    assert [use.used for use in found.terms] == [False]


TBX = """<martif><text><body><termEntry>
<langSet xml:lang="en-GB"><tig><term>dog</term></tig></langSet>
<langSet xml:lang="de"><ntig><termGrp><term>Hund</term></termGrp></ntig>
<ntig><termGrp><term>Köter</term></termGrp></ntig></langSet>
</termEntry><termEntry><langSet xml:lang="fr"><tig><term>chat</term></tig></langSet></termEntry>
</body></text></martif>"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "dog\tHund\n\n"),
        ("a.tsv", "\ufeffdog \t Hund\tnoun\tanything\r\n"),
        ("a.tsv", "source\ttarget\tnote\ndog\tHund\t\n"),
        ("a.tsv", "note\tDE\tEN\nx\tHund\tdog\n"),
        ("a.csv", 'target,source\n"Hund","dog"\n'),
        ("a.CSV", "dog;Hund\n"),
        ("a.tbx", TBX),
    ],
)
def test_glossaries(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_glossary(path, "en", "de") == (Term("dog", "Hund"),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "dog\tHund\ncat\n", r"a\.tsv:2: has no target"),
        ("a.csv", "dog,Hund\n,Katze\n", r"a\.csv:2: has no source.*comma"),
        ("a.tsv", "\n", "has no terms"),
        ("a.tbx", "<martif", "not valid XML"),
        ("a.docx", "x", "not a glossary"),
        ("a.tsv", None, "a.tsv"),
    ],
)
def test_faults_of_glossaries(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as raised:
        read_glossary(tmp_path / name, "en", "de")
    assert "\n" not in str(raised.value)


def test_command(tmp_path: Path) -> None:
    glossary = tmp_path / "terms.tsv"
    glossary.write_text("house\tHaus\nsource\tnothing\n", encoding="utf-8")
    command = [str(MODELS / "input_feeding"), "--terms", str(glossary)]
    ran = warm.run_command(main, *command, "--json", content=b"the house\nthe tree\n")
    first, second = map(json.loads, ran.stdout.splitlines())
    assert first["translations"][0]["terms"] == [{"source": "house", "target": "Haus", "used": True}]
    assert "terms" not in second["translations"][0]
    assert b"terms: 1 of 1 used" in ran.stderr
    refused = warm.run_command(main, *command, "--sample")
    assert refused.status == 2
    assert b"--terms is for search" in refused.stderr
