"""scripts/score-forms: a table of the scores of a model on text in other forms."""

import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from experiments.forms import FORMS, main

TESTS = Path(__file__).parents[1]
MODEL = TESTS / "models" / "0.1.0" / "input_feeding"
LINE = "Die Straße führt 3 km nach Köln"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", LINE),
        ("no-break spaces", "Die\xa0Straße\xa0führt\xa03\xa0km\xa0nach\xa0Köln"),
        ("double spaces", "Die  Straße  führt  3  km  nach  Köln"),
        ("a tab", "Die\tStraße führt 3 km nach Köln"),
        ("byte order mark", "\ufeff" + LINE),
        ("zero-width space", "Die Str\u200baße führt 3 km nach Köln"),
        ("soft hyphen", "Die Str\xadaße führt 3 km nach Köln"),
        ("decomposed (NFD)", "Die Straße fu\u0308hrt 3 km nach Ko\u0308ln"),
        ("full-width", "\uff24\uff49\uff45 \uff33\uff54\uff52\uff41ß\uff45"),
        ("capitals", "DIE STRASSE FÜHRT 3 KM NACH KÖLN"),
        ("title case", "Die Straße Führt 3 Km Nach Köln"),
        ("lower case", "die straße führt 3 km nach köln"),
    ],
)
def test_forms(name: str, expected: str) -> None:
    assert FORMS[name](LINE).startswith(expected)


def test_every_form_but_plain_changes_the_text() -> None:
    assert [name for name, change in FORMS.items() if change(LINE) == LINE] == ["plain"]
    for name, change in FORMS.items():
        if name not in ("capitals", "title case", "lower case"):
            assert unicodedata.normalize("NFKC", re.sub("\\W", "", change(LINE))).startswith("DieStr"), name


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sources = (TESTS / "models" / "0.1.0" / "source.txt").read_text(encoding="utf-8").splitlines()[:6]
    (tmp_path / "source").write_text("\n".join(sources) + "\n", encoding="utf-8")
    (tmp_path / "reference").write_text("Die berühmte Schwester wird weinen.\n" * 6, encoding="utf-8")
    files = ["--source", str(tmp_path / "source"), "--reference", str(tmp_path / "reference")]
    model = shutil.copytree(MODEL, tmp_path / "model")  # translation may add a packed network to the folder
    monkeypatch.setattr("sys.argv", ["score-forms", str(model), *files, "--only", "plain", "capitals", "--beam", "1"])
    main()
    heading, _, plain, capitals, _, signature = capsys.readouterr().out.splitlines()
    assert heading == "| form | BLEU | difference |"
    score = float(re.fullmatch(r"\| plain \| ([\d.]+) \| \+0\.00 \|", plain)[1])  # type: ignore[index]
    other, difference = map(float, re.fullmatch(r"\| capitals \| ([\d.]+) \| ([-+][\d.]+) \|", capitals).groups())  # type: ignore[union-attr]
    assert other - score == pytest.approx(difference, abs=0.011)
    assert signature.startswith("nrefs:1|case:mixed")
