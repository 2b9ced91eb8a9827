"""The choices of `tokenizer.normalization`, users' own rules, and the file in a model folder."""

import unicodedata
from pathlib import Path

import pytest

from nmt.config.schema import TokenizerConfig
from nmt.errors import ConfigError, ModelError
from nmt.tokenizers.build import add_symbols, train_tokenizers
from nmt.tokenizers.files import NORMALIZATION, load_tokenizers, save_tokenizers
from nmt.tokenizers.normalization import Normalizers
from nmt.tokenizers.standard_rules import build_normalizers, source_rules, target_rules

WORDS = [("one", "eins"), ("two", "zwei"), ("three", "drei")]


def write_rules(folder: Path, text: str) -> str:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_replacements_need_no_second_look() -> None:
    """No replacement contains what other rules change, so that normalizing twice changes nothing."""
    for rules in (source_rules(), target_rules()):
        for value in rules.replace.values():
            assert not any(character in rules.replace for character in value)
            assert unicodedata.is_normalized("NFC", value)


def test_rules_of_a_user_are_added(tmp_path: Path) -> None:
    """Six kinds of apostrophe of a Guarani corpus become the letter of its orthography, on both sides."""
    kinds = "'’‘`´ʹ"
    lines = "".join(f'  "{kind}": "ʼ"\n' for kind in kinds)
    normalizers = build_normalizers(write_rules(tmp_path, f"replace:\n{lines}"))
    for kind in kinds + "ʼ":
        assert normalizers.source.normalize(f"mba{kind}e\u00a0porã") == "mbaʼe porã"
        assert normalizers.target.normalize(f"mba{kind}e porã\u200b") == "mbaʼe porã"
    assert normalizers.source.normalize("“a”") == '"a"'  # the other standard rules stay
    assert normalizers.target.normalize("“a”") == "“a”"


def test_rules_of_a_user_for_one_side(tmp_path: Path) -> None:
    rules = write_rules(
        tmp_path,
        'form: NFKC\nsource: {keep: "“”", remove: "¶", replace: {ck: k, sch: x, "g\u0303": ĝ}}\n'
        "target: {replace: {ß: ss}}",
    )
    normalizers = build_normalizers(rules)
    assert normalizers.source.normalize("“Schuh”¶ ock schschck g\u0303 ‘x² ß’") == "“Schuh” ok xxk ĝ 'x2 ß'"
    assert normalizers.source.align("a¶ sch b") == ("a x b", [(0, 1), (2, 3), (3, 6), (6, 7), (7, 8)])
    assert normalizers.target.normalize("sch² ß") == "sch2 ss"
    assert Normalizers.parse(normalizers.dump()) == normalizers


@pytest.mark.parametrize("key", ["keep", "replace"])
def test_a_user_may_keep_any_character(key: str, tmp_path: Path) -> None:
    content = {"keep": 'keep: "\u00ad\u3000ﬁ"', "replace": 'replace: {x: "\u00ad\u3000ﬁ"}'}[key]
    normalizers = build_normalizers(write_rules(tmp_path, content))
    assert normalizers.source.normalize("a\u00adb\u3000cﬁ\u200b") == "a\u00adb\u3000cﬁ"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a", "must hold the keys"),
        ("", "must hold the keys"),
        ("a: b", "allowed keys"),
        ("source: [a]", "allowed keys"),
        ("target: {replac: {a: b}}", "allowed keys"),
        ("form: NFD", "form must be NFC or NFKC"),
        ("replace: [a]", "replace must map"),
        ("replace: {1: a}", "replace must map"),
        ("replace: {a: 1}", "replace must map"),
        ('replace: {"": a}', "replace must map"),
        ("replace: {a: b, b: c}", "another text to replace"),
        ("replace: {a: xax}", "another text to replace"),
        ("remove: [a]", "remove must be"),
        ("keep: 1", "keep must be"),
        ("a: b: c", "not valid YAML"),
        ("a: 1\na: 1", "given twice"),
    ],
)
def test_faulty_rules_of_a_user_are_one_line(content: str, message: str, tmp_path: Path) -> None:
    path = write_rules(tmp_path, content)
    with pytest.raises(ConfigError, match=message) as caught:
        build_normalizers(path)
    assert str(caught.value).startswith(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("choice", ["NFC", "nothere.yaml", "", "."])
def test_an_unknown_choice_lists_the_others(choice: str) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.normalization: .*choose standard, none, nfc or nfkc"):
        build_normalizers(choice)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("choice", ["standard", "nfc", "nfkc", "none"])
def test_the_rules_are_saved_with_the_tokenizers(choice: str, joint: bool, tmp_path: Path) -> None:
    config = TokenizerConfig(kind="words", vocabulary_size=20, joint=joint, normalization=choice)
    save_tokenizers(train_tokenizers(config, WORDS), tmp_path)
    loaded = load_tokenizers(config, tmp_path, ["<x>"])
    assert loaded.normalizers == build_normalizers(choice)
    assert (tmp_path / NORMALIZATION).is_file() == (choice != "none")


def test_the_rules_in_the_folder_count(tmp_path: Path) -> None:
    """Neither the installed version nor a rules file that has changed matters to a trained model."""
    path = write_rules(tmp_path, "replace: {a: b}")
    config = TokenizerConfig(kind="words", vocabulary_size=20, normalization=path)
    (tmp_path / "model").mkdir()
    save_tokenizers(train_tokenizers(config, WORDS), tmp_path / "model")
    Path(path).unlink()
    assert load_tokenizers(config, tmp_path / "model").normalizers.source.normalize("aha") == "bhb"


@pytest.mark.parametrize("content", [None, "", "{}", "\ud800"])
def test_damaged_rules_are_reported(content: str | None, tmp_path: Path) -> None:
    config = TokenizerConfig(kind="words", vocabulary_size=20)
    save_tokenizers(train_tokenizers(config, WORDS), tmp_path)
    (tmp_path / NORMALIZATION).unlink()
    if content is not None:
        (tmp_path / NORMALIZATION).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"normalization\.json"):
        load_tokenizers(config, tmp_path)


def test_the_vocabulary_is_learned_from_normalized_text() -> None:
    pairs = [("cafe\u0301\u00a0“x”", "cafe\u0301\u00a0“x”")]
    tokenizers = train_tokenizers(TokenizerConfig(kind="words", vocabulary_size=20, joint=False), pairs)
    assert tokenizers.source.vocabulary()[4:] == ["café", '"x"']
    assert tokenizers.target.vocabulary()[4:] == ["café\u00a0“x”"]


def test_symbols_are_added_without_loss_of_the_rules() -> None:
    config = TokenizerConfig(kind="bpe", vocabulary_size=280)
    tokenizers = train_tokenizers(config, WORDS)
    assert add_symbols(tokenizers, ("<x>",)).normalizers == build_normalizers("standard")
