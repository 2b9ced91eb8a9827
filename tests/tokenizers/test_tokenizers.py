"""tokenizers/build.py: the tokenizer of a configuration, how it is saved, and that the folder shadows no package."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from nmt.config.schema import TokenizerConfig
from nmt.errors import ConfigError, DataError, MachineError, ModelError
from nmt.tokenizers.base import replace_surrogates
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.files import load_tokenizers, save_tokenizers

ROOT = Path(__file__).resolve().parents[2]
DICE = random.Random(1)
NAMES = ["".join(DICE.choices(["ka", "lo", "mi", "ne", "ru", "sa", "to", "vi"], k=3)) for _ in range(60)]
ENGLISH = ["the cat sat on the mat", "a dog ran in the park", "the old man reads a book", "two cats and a dog"] * 5
GERMAN = [
    "die Katze saß auf der Matte",
    "ein Hund lief im Park",
    "der alte Mann liest ein Buch",
    "zwei Katzen, ein Hund",
] * 5
PAIRS = [
    *zip(ENGLISH, GERMAN, strict=True),
    *((" ".join(DICE.choices(NAMES, k=6)), " ".join(DICE.choices(NAMES, k=6))) for _ in range(60)),
]
SIZES = {"unigram": 310, "bpe": 330, "words": 100, "characters": 40}
KINDS = sorted(SIZES)


def settings(kind: str, **changes: Any) -> TokenizerConfig:
    return TokenizerConfig(**{"kind": kind, "vocabulary_size": SIZES[kind], **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_joint_tokenizer_covers_both_sides(kind: str) -> None:
    tokenizers = train_tokenizers(settings(kind), PAIRS)
    assert tokenizers.source is tokenizers.target
    for text in (ENGLISH[0], GERMAN[0]):
        assert tokenizers.source.decode(tokenizers.source.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_separate_tokenizers_are_learned_separately(kind: str) -> None:
    tokenizers = train_tokenizers(settings(kind, joint=False, byte_fallback=True), PAIRS)
    assert tokenizers.source is not tokenizers.target
    pieces = [set(one.tokens(range(4, one.size))) for one in (tokenizers.source, tokenizers.target)]
    assert not any("ß" in piece for piece in pieces[0])
    assert any("ß" in piece for piece in pieces[1])


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same(kind: str, joint: bool, tmp_path: Path) -> None:
    config = settings(kind, joint=joint)
    before = train_tokenizers(config, PAIRS)
    save_tokenizers(before, tmp_path)
    after = load_tokenizers(config, tmp_path)
    assert (after.source is after.target) == joint
    for old, new, lines in ((before.source, after.source, ENGLISH), (before.target, after.target, GERMAN)):
        assert new.size == old.size
        assert new.tokens(range(new.size)) == old.tokens(range(old.size))
        assert new.encode_lines(lines) == old.encode_lines(lines)
    assert (after.normalizers, after.truecaser) == (before.normalizers, before.truecaser)
    assert len(list(tmp_path.iterdir())) == (3 if joint else 4)


def test_names_of_saved_files(tmp_path: Path) -> None:
    def saved(kind: str, joint: bool) -> list[str]:
        folder = tmp_path / f"{kind}{joint}"
        folder.mkdir()
        save_tokenizers(train_tokenizers(settings(kind, joint=joint), PAIRS), folder)
        return sorted(file.name for file in folder.iterdir())

    assert saved("unigram", True) == ["normalization.json", "tokenizer.model", "truecase.json"]
    assert saved("bpe", False) == ["normalization.json", "source.model", "target.model", "truecase.json"]
    assert saved("words", True) == ["normalization.json", "tokenizer.json", "truecase.json"]
    assert saved("characters", False) == ["normalization.json", "source.json", "target.json", "truecase.json"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_loaded_tokenizer_samples_as_configured(kind: str, tmp_path: Path) -> None:
    save_tokenizers(train_tokenizers(settings(kind), PAIRS), tmp_path)
    plain = load_tokenizers(settings(kind), tmp_path).source
    sampling = load_tokenizers(settings(kind, sampling=0.3), tmp_path).source
    assert plain.sample(ENGLISH, range(len(ENGLISH))) == plain.encode_lines(ENGLISH)
    assert sampling.sample(ENGLISH, range(len(ENGLISH))) != plain.encode_lines(ENGLISH)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_or_damaged_file_is_a_model_error(kind: str, tmp_path: Path) -> None:
    config = settings(kind)
    with pytest.raises(ModelError, match="tokenizer"):
        load_tokenizers(config, tmp_path)
    save_tokenizers(train_tokenizers(config, PAIRS), tmp_path)
    for file in tmp_path.iterdir():
        whole = file.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2], b"\xff" * 100):
            file.write_bytes(damaged)
            with pytest.raises(ModelError, match=file.name) as caught:
                load_tokenizers(config, tmp_path)
            assert "\n" not in str(caught.value)
        file.write_bytes(whole)


def test_saved_words_do_not_load_as_characters(tmp_path: Path) -> None:
    save_tokenizers(train_tokenizers(settings("words"), PAIRS), tmp_path)
    with pytest.raises(ModelError, match="does not contain characters"):
        load_tokenizers(settings("characters"), tmp_path)


def test_training_lines_limits_what_is_learned_from() -> None:
    few = train_tokenizers(settings("words", training_lines=1), PAIRS).source
    assert set(few.tokens(range(4, few.size))) == set(f"{ENGLISH[0]} {GERMAN[0]}".split())
    seen = []

    def read() -> Iterator[tuple[str, str]]:
        for pair in PAIRS:
            seen.append(pair)
            yield pair

    train_tokenizers(settings("words", training_lines=3), read())
    assert len(seen) == 3


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_larger_than_the_text_allows_is_capped(
    kind: str, joint: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(kind, vocabulary_size=5000, joint=joint)
    tokenizers = train_tokenizers(config, PAIRS)
    sizes = {tokenizers.source.size, tokenizers.target.size}
    assert max(sizes) < 5000
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == (0 if kind == "characters" else 1 if joint else 2)
    assert all(message.startswith("tokenizer.vocabulary_size: 5,000 is more than") for message in warnings)
    assert {int(message.split()[-2]) for message in warnings} == (set() if kind == "characters" else sizes)
    save_tokenizers(tokenizers, tmp_path)
    loaded = load_tokenizers(config, tmp_path)
    assert {loaded.source.size, loaded.target.size} == sizes


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_a_data_error(kind: str) -> None:
    for pairs in ([], [("", "")]):
        with pytest.raises(DataError, match="no text"):
            train_tokenizers(settings(kind), pairs)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_error_of_the_reader_comes_through(kind: str, joint: bool) -> None:
    def broken() -> Iterator[tuple[str, str]]:
        yield PAIRS[0]
        raise DataError("train.en has 3 lines but train.de has 4")

    with pytest.raises(DataError, match=r"^train\.en has 3 lines but train\.de has 4$"):
        train_tokenizers(settings(kind, joint=joint), broken())


def existing_model(path: Path, **ids: Any) -> str:
    with path.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text for pair in PAIRS for text in pair),
            model_writer=stream,
            vocab_size=60,
            minloglevel=2,
            **ids,
        )
    return str(path)


OUR_IDS = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}


def test_existing_model_is_adopted_for_both_sides(tmp_path: Path) -> None:
    config = TokenizerConfig(source_model=existing_model(tmp_path / "other.model", **OUR_IDS))
    tokenizers = train_tokenizers(config, iter(()))
    assert tokenizers.source is tokenizers.target
    assert tokenizers.source.size == 60
    (tmp_path / "saved").mkdir()
    save_tokenizers(tokenizers, tmp_path / "saved")
    (tmp_path / "other.model").unlink()  # the model folder does not depend on it
    loaded = load_tokenizers(config, tmp_path / "saved").source
    assert loaded.decode(loaded.encode(GERMAN[0])) == GERMAN[0]


def test_existing_models_for_each_side(tmp_path: Path) -> None:
    source = existing_model(tmp_path / "one.model", **OUR_IDS)
    target = existing_model(tmp_path / "two.model", **OUR_IDS)
    tokenizers = train_tokenizers(TokenizerConfig(joint=False, source_model=source, target_model=target), iter(()))
    assert tokenizers.source is not tokenizers.target


def test_existing_model_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.source_model: .*none\.model.*No such file"):
        train_tokenizers(TokenizerConfig(source_model=str(tmp_path / "none.model")), iter(()))
    other_ids = existing_model(tmp_path / "ids.model")  # SentencePiece's defaults: unk 0, bos 1, eos 2, no padding
    with pytest.raises(ConfigError, match=r"ids are -1, 0, 1, 2 but must be 0, 1, 2, 3: train it with --pad_id=0"):
        train_tokenizers(TokenizerConfig(source_model=other_ids), iter(()))
    good = existing_model(tmp_path / "good.model", **OUR_IDS)
    with pytest.raises(ConfigError, match=r"tokenizer\.target_model: .*ids\.model"):
        train_tokenizers(TokenizerConfig(joint=False, source_model=good, target_model=other_ids), iter(()))
    with pytest.raises(ConfigError, match=r"good\.model: .*its kind is unigram but tokenizer\.kind is bpe"):
        train_tokenizers(TokenizerConfig(kind="bpe", source_model=good), iter(()))
    (tmp_path / "damaged.model").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="damaged"):
        train_tokenizers(TokenizerConfig(source_model=str(tmp_path / "damaged.model")), iter(()))


def test_unwritable_folder_is_a_machine_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be written"):
        save_tokenizers(train_tokenizers(settings("words"), PAIRS), tmp_path / "missing")


def test_lone_surrogates_are_replaced() -> None:
    assert replace_surrogates("a\ud800b\udfffc") == "a\ufffdb\ufffdc"
    assert replace_surrogates("naïve 😀") == "naïve 😀"


def test_folder_does_not_shadow_another_package_named_tokenizers() -> None:
    """Code run from the repository's root finds Hugging Face's `tokenizers`, or none, but not our folder."""
    assert not (ROOT / "tokenizers" / "__init__.py").exists()
    code = "import importlib.util as i; spec = i.find_spec('tokenizers'); print(spec.origin if spec else None)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not result.stdout.startswith(str(ROOT))


def test_another_package_named_tokenizers_wins_from_the_root(tmp_path: Path) -> None:
    other = tmp_path / "tokenizers"
    other.mkdir()
    (other / "__init__.py").write_text("")
    code = (
        f"import sys; sys.path.append({str(tmp_path)!r}); import tokenizers, nmt.tokenizers.base;"
        "print(tokenizers.__file__)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(other / "__init__.py")
