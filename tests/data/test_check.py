"""nmt/data/check: faults that are planted in a toy corpus are named, and the corpus itself has none."""

import dataclasses
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from grammar_corpus.main import write
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.corpus import CorpusConfig
from nmt.config.load import parse_config
from nmt.config.schema import DataConfig
from nmt.data.check.alignment import find_breaks
from nmt.data.check.findings import Finding, Severity
from nmt.data.check.run import CheckReport, check_corpora
from nmt.data.check.screen import write_json, write_screen

TRAIN = 3000

Texts = dict[str, list[str]]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    folder = tmp_path_factory.mktemp("clean")
    write(folder, {"test": 300, "valid": 300, "train": TRAIN}, seed=1)
    return {file.name: file.read_text(encoding="utf-8").splitlines() for file in folder.iterdir()}


@pytest.fixture
def texts(clean: Texts) -> Texts:
    return {name: list(lines) for name, lines in clean.items()}


def read_config(folder: Path, source: str = "en", target: str = "de") -> DataConfig:
    paths = {"train": str(folder / "train"), "valid": str(folder / "valid"), "held_out": str(folder / "test")}
    return parse_config({"data": {"source_language": source, "target_language": target, **paths}}).data


def check(texts: Texts, folder: Path, **languages: str) -> CheckReport:
    for name, lines in texts.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return check_corpora(read_config(folder, **languages))


def only(report: CheckReport, name: str) -> Finding:
    """Return the finding of a check, of which there must be exactly one."""
    (finding,) = [finding for finding in report.findings if finding.check == name]
    return finding


def names(report: CheckReport) -> set[str]:
    return {finding.check for finding in report.findings}


def test_nothing_is_found_in_clean_text(texts: Texts, tmp_path: Path) -> None:
    report = check(texts, tmp_path)
    assert report.findings == ()
    assert report.worst is None
    assert sorted(report.pairs.values()) == [300, 300, TRAIN]
    assert "nothing found" in write_screen(report)


def test_each_file_of_a_path_with_a_star_is_a_place(texts: Texts, tmp_path: Path) -> None:
    check(texts, tmp_path)  # writes the files
    data = dataclasses.replace(read_config(tmp_path), train=(CorpusConfig(path=str(tmp_path / "t*")),), held_out=())
    (tmp_path / "test.en").rename(tmp_path / "tail.en")
    (tmp_path / "test.de").rename(tmp_path / "tail.de")
    counts = {Path(place.name).name: count for place, count in check_corpora(data, quick=True).pairs.items()}
    assert counts == {"tail": 300, "train": TRAIN, "valid": 300}


@pytest.mark.parametrize("side", ["en", "de"])
def test_a_dropped_line(texts: Texts, tmp_path: Path, side: str) -> None:
    del texts[f"train.{side}"][1000]
    texts[f"train.{'de' if side == 'en' else 'en'}"].pop()
    finding = only(check(texts, tmp_path), "alignment")
    assert finding.severity == Severity.SEVERE
    assert finding.line is not None
    assert abs(finding.line - 1001) < 200
    assert f"train.{side} lacks 1 line" in finding.advice


def test_files_of_different_lengths(texts: Texts, tmp_path: Path) -> None:
    del texts["train.de"][1000]
    report = check(texts, tmp_path)
    assert abs((only(report, "alignment").line or 0) - 1001) < 200
    assert "has 3000 lines but" in only(report, "unreadable-end").message


def test_a_shuffled_side(texts: Texts, tmp_path: Path) -> None:
    texts["train.de"] = [texts["train.de"][i] for i in np.random.default_rng(1).permutation(TRAIN)]
    assert "no translations of each other" in only(check(texts, tmp_path), "alignment").message


@settings(max_examples=25)
@given(st.integers(200, 1800), st.sampled_from([-3, -1, 1, 2]), st.integers(0, 1000))
def test_breaks_are_found_where_they_are(place: int, shift: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    source = generator.lognormal(3.5, 0.5, 2000)
    target = source * generator.lognormal(0.1, 0.25, 2000)
    assert find_breaks(source.astype(np.uint16), target.astype(np.uint16)) == []
    if shift > 0:
        target = np.insert(target, place, generator.lognormal(3.5, 0.5, shift))[:2000]
    else:
        target = np.delete(target, np.arange(place, place - shift))
        source = source[: len(target)]
    (found,) = find_breaks(source.astype(np.uint16), target.astype(np.uint16))
    assert abs(found.start - place) < 60
    assert found.shift == shift


def test_all_sides_swapped(texts: Texts, tmp_path: Path) -> None:
    texts["train.en"], texts["train.de"] = texts["train.de"], texts["train.en"]
    report = check(texts, tmp_path)
    messages = [finding.message for finding in report.findings if finding.check == "wrong-language"]
    assert sorted(messages) == [
        "the source side reads like German, not English",
        "the target side reads like English, not German",
    ]
    assert report.worst == Severity.SEVERE


def test_some_sides_swapped(texts: Texts, tmp_path: Path) -> None:
    for i in range(100, 200):
        texts["train.en"][i], texts["train.de"][i] = texts["train.de"][i], texts["train.en"][i]
    report = check(texts, tmp_path)
    finding = only(report, "swapped")
    assert finding.line == 101
    assert 85 <= (finding.count or 0) <= 100  # short lines do not tell their language
    assert names(report) == {"swapped"}


def test_untranslated_pairs(texts: Texts, tmp_path: Path) -> None:
    texts["train.de"][500:600] = texts["train.en"][500:600]
    report = check(texts, tmp_path)
    finding = only(report, "untranslated")
    assert (finding.line, finding.severity) == (501, Severity.WARNING)
    assert 90 <= (finding.count or 0) <= 100  # short lines may be names
    assert only(report, "untranslated-lines").severity == Severity.WARNING


def test_a_side_that_is_not_translated_at_all(texts: Texts, tmp_path: Path) -> None:
    texts["train.de"] = list(texts["train.en"])
    assert only(check(texts, tmp_path), "untranslated").severity == Severity.SEVERE


def test_english_lines_in_german_text(texts: Texts, tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    chosen = sorted(generator.choice(TRAIN, 150, replace=False).tolist())
    others = generator.permutation(texts["train.en"]).tolist()
    for i in chosen:
        texts["train.de"][i] = others[i]
    finding = only(check(texts, tmp_path), "untranslated-lines")
    assert "are in English, not in German" in finding.message
    assert 125 <= (finding.count or 0) <= 150
    assert (finding.line or 0) in [i + 1 for i in chosen[:3]]


def test_a_third_language(texts: Texts, tmp_path: Path) -> None:
    """A language that is on neither side is recognized as strange, and named by its frequent words."""
    french = "la vieille dame et le chat sont dans la maison avec un enfant qui ne parle pas au voisin du village"
    generator = np.random.default_rng(1)
    for i in range(0, TRAIN, 20):
        texts["train.de"][i] = " ".join(generator.permutation(french.split(" ")))
    finding = only(check(texts, tmp_path), "foreign-lines")
    assert "are in French, not in German" in finding.message
    assert finding.count == pytest.approx(150, abs=3)


def test_a_file_in_the_wrong_language_or_script(texts: Texts, tmp_path: Path) -> None:
    report = check(texts | {"train.fr": texts["train.de"], "valid.fr": texts["valid.de"], "test.fr": texts["test.de"]},
                   tmp_path, target="fr")  # fmt: skip
    messages = [finding.message for finding in report.findings if finding.check == "wrong-language"]
    assert messages == ["the target side reads like German, not French"] * 3
    report = check(texts | {"train.ru": texts["train.de"], "valid.ru": texts["valid.de"], "test.ru": texts["test.de"]},
                   tmp_path, target="ru")  # fmt: skip
    messages = [finding.message for finding in report.findings if finding.check == "wrong-language"]
    assert messages == ["the target side is written in Latin letters, but Russian text in Cyrillic"] * 3


def test_leaked_pairs(texts: Texts, tmp_path: Path) -> None:
    for i in range(100):  # half of them exactly, the others in capitals and with other punctuation
        for side in ("en", "de"):
            line = texts[f"test.{side}"][i]
            texts[f"train.{side}"][20 * i] = line if i % 2 else f"- {line.upper()} !"
    finding = only(check(texts, tmp_path), "leakage")
    assert finding.count == 100
    assert "50 exactly and 50 with other case" in finding.message
    assert finding.severity == Severity.WARNING
    assert any(re.search(r"train\.en:\d+", example.text) for example in finding.examples)


def test_decomposed_accents(texts: Texts, tmp_path: Path) -> None:
    texts["train.de"] = [unicodedata.normalize("NFD", line) for line in texts["train.de"]]
    report = check(texts, tmp_path)
    finding = only(report, "decomposed")
    assert finding.count == sum(unicodedata.normalize("NFC", line) != line for line in texts["train.de"])
    assert "unseen-characters" in names(report)  # the composed ones of the validation text


def test_mixed_apostrophes(texts: Texts, tmp_path: Path) -> None:
    texts["train.en"] = [line.replace("'", "") for line in texts["train.en"]]
    for i, apostrophe in enumerate("'’ʼ" * 100):
        texts["train.en"][i] += f" It isn{apostrophe}t."
    finding = only(check(texts, tmp_path), "mixed-apostrophes")
    assert "3 ways: ' 33%, U+2019(’) 33%, U+02BC(ʼ) 33%" in finding.message


def test_other_apostrophes_in_validation_text(texts: Texts, tmp_path: Path) -> None:
    texts["valid.en"] = [line.replace("'", "’") for line in texts["valid.en"]]
    for i in range(100):
        texts["train.en"][i] += " It isn't."
        texts["valid.en"][i] += " It isn’t."
    report = check(texts, tmp_path)
    assert "U+2019(’) 100%, but in training text ' 100%" in only(report, "unusual-apostrophes").message
    assert "1 character that training never has: U+2019(’) 1" in only(report, "unseen-characters").message


def test_other_quotes_in_validation_text(texts: Texts, tmp_path: Path) -> None:
    texts["train.de"] = [f'"{line}"' for line in texts["train.de"]]
    texts["valid.de"] = [f"„{line}“" for line in texts["valid.de"]]
    assert "curly 100%, but in training text straight 100%" in only(check(texts, tmp_path), "unusual-quotes").message


def test_lower_case_validation_text(texts: Texts, tmp_path: Path) -> None:
    texts["valid.en"] = [line.lower() for line in texts["valid.en"]]
    finding = only(check(texts, tmp_path), "case")
    assert finding.place.endswith("valid.en")
    assert "0% of the lines begin with a capital letter, in the training text 100%" in finding.message


def test_words_of_another_domain(texts: Texts, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    texts["test.en"] = [" ".join(f"word{n}x" for n in generator.integers(0, 500, 8)) for _ in texts["test.en"]]
    finding = next(each for each in check(texts, tmp_path).findings if each.check == "unseen-words")
    assert finding.message.startswith("100% of the words are not in the training text")


def test_duplicates_and_boilerplate(texts: Texts, tmp_path: Path) -> None:
    for side, line in (("en", "All rights are reserved by the publisher."), ("de", "Alle Rechte liegen beim Verlag.")):
        texts[f"train.{side}"][::30] = [line] * 100
    report = check(texts, tmp_path)
    assert only(report, "duplicates").count == 99
    boilerplate = [finding for finding in report.findings if finding.check == "boilerplate"]
    assert [finding.examples[0].where for finding in boilerplate] == ["100 times"] * 2
    assert all(finding.severity == Severity.NOTE for finding in report.findings)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("empty", "   "),
        ("spaces", "  Das ist ein  Satz. "),
        ("spaces", "Das ist\u00a0ein Satz."),
        ("invisible", "Das ist ein Sa\u00adtz."),
        ("unreadable", "Das ist ein Satz\ufffd."),
        ("mojibake", "Das ist fÃ¼r uns ein Satz."),
        ("lopsided", "Das ist ein Satz, der immer weiter geht. " * 12 + "."),
        ("long", "Das ist ein Satz, der immer weiter geht. " * 40 + "."),
    ],
)
def test_faults_of_lines(texts: Texts, tmp_path: Path, name: str, fault: str) -> None:
    for i in range(10, TRAIN, 20):
        texts["train.de"][i] = fault
    report = check(texts, tmp_path)
    finding = only(report, name)
    assert finding.line == 11
    assert (finding.count or 0) >= 100
    assert finding.examples[0].text.rstrip() in (fault.rstrip(), texts["train.en"][10])


def test_the_screen_is_short_and_safe(texts: Texts, tmp_path: Path) -> None:
    for i in range(10, TRAIN, 20):
        texts["train.de"][i] = f"\x1b[31m\u00a0\ufffd {texts['train.de'][i]} Ã¼ \u00ad " + "x" * 500
    report = check(texts, tmp_path)
    screen = write_screen(report)
    assert len(report.findings) >= 5
    assert len(screen.splitlines()) <= 45
    assert max(map(len, screen.splitlines())) <= 110
    assert "\x1b" not in screen
    assert r"\x1b[31m\xa0" in screen
    content = json.loads(write_json(report))
    assert [each["severity"] for each in content["findings"]] == [f.severity.name.lower() for f in report.findings]
    assert sum(corpus["pairs"] for corpus in content["corpora"]) == TRAIN + 600


def test_a_large_corpus_is_sampled(texts: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.data.check.run.SAMPLE_BYTES", 100_000)
    monkeypatch.setattr("nmt.data.check.run.MAX_CHUNK_PAIRS", 100)
    texts["train.de"][::2] = texts["train.en"][::2]
    report = check(texts, tmp_path)
    assert report.step > 1
    assert (only(report, "untranslated").count or 0) > 0.45 * TRAIN
    assert f"1 of {report.step} pairs" in write_screen(report)


def test_findings_are_sorted_worst_first(texts: Texts, tmp_path: Path) -> None:
    texts["train.de"] = [f" {line}" for line in texts["train.en"]]
    severities = [finding.severity for finding in check(texts, tmp_path).findings]
    assert len(set(severities)) > 1
    assert severities == sorted(severities, reverse=True)
