"""Functions that read the tokenizers of a model folder, and write them. They need neither numpy nor YAML."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from nmt.config.schema import TokenizerConfig
from nmt.errors import ModelError
from nmt.system.files import reason, saving
from nmt.system.opening import read_file
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.case import Truecaser
from nmt.tokenizers.normalization import Normalizers
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.tokenizers.tags import TaggedTokenizer
from nmt.tokenizers.vocabulary import CharacterTokenizer, WordTokenizer

T = TypeVar("T")

CLASSES: dict[str, type[SubwordTokenizer | WordTokenizer | CharacterTokenizer]] = {
    "unigram": SubwordTokenizer,
    "bpe": SubwordTokenizer,
    "words": WordTokenizer,
    "characters": CharacterTokenizer,
}
"""The class of each kind of tokenizer (`tokenizer.kind`)."""
NORMALIZATION, TRUECASE = "normalization.json", "truecase.json"
MAX_NORMALIZATION_BYTES, MAX_TRUECASE_BYTES = 1 << 20, 1 << 24


def save_tokenizers(tokenizers: Tokenizers, folder: Path) -> None:
    """Write the tokenizers into a folder.

    A joint tokenizer is written to tokenizer.ENDING. Otherwise, the files are source.ENDING and target.ENDING. If there
    are rules of normalization or a truecaser, they are written to normalization.json and truecase.json.

    Raises:
        MachineError: the folder cannot be written.
    """
    with saving(folder):
        if tokenizers.source is tokenizers.target:
            tokenizers.source.save(folder / f"tokenizer{tokenizers.source.ending}")
        else:
            tokenizers.source.save(folder / f"source{tokenizers.source.ending}")
            tokenizers.target.save(folder / f"target{tokenizers.target.ending}")
        if tokenizers.normalizers != Normalizers():
            (folder / NORMALIZATION).write_text(tokenizers.normalizers.dump(), encoding="utf-8")
        if tokenizers.truecaser:
            (folder / TRUECASE).write_text(tokenizers.truecaser.dump(), encoding="utf-8")


def load_tokenizers(config: TokenizerConfig, folder: Path, tags: Sequence[str] = ()) -> Tokenizers:
    """Read the files that `save_tokenizers` wrote, and add tags. Raises ModelError: a file is missing or damaged."""
    tokenizers = _load(config, folder)
    if config.normalization != "none":
        tokenizers = dataclasses.replace(
            tokenizers,
            normalizers=_load_table(
                folder / NORMALIZATION, MAX_NORMALIZATION_BYTES, Normalizers.parse, "rules of normalization"
            ),
        )
    if config.truecase and (folder / TRUECASE).exists():  # text without case has no tables
        tokenizers = dataclasses.replace(
            tokenizers,
            truecaser=_load_table(folder / TRUECASE, MAX_TRUECASE_BYTES, Truecaser.parse, "tables of a truecaser"),
        )
    return add_tags(tokenizers, tags)


def _load(config: TokenizerConfig, folder: Path) -> Tokenizers:
    kind = CLASSES[config.kind]
    loaded = [kind.load(folder / name, config.sampling) for name in _model_files(config)]
    return Tokenizers(source=loaded[0], target=loaded[-1])


def tokenizer_files(config: TokenizerConfig) -> list[str]:
    """Return the names of the files that `save_tokenizers` always writes. The file truecase.json is not included."""
    return [*_model_files(config), *([] if config.normalization == "none" else [NORMALIZATION])]


def _model_files(config: TokenizerConfig) -> list[str]:
    """Return the file name of the joint tokenizer, or the file names of the source and the target tokenizer."""
    ending = CLASSES[config.kind].ending
    return [f"{name}{ending}" for name in (["tokenizer"] if config.joint else ["source", "target"])]


def _load_table(path: Path, max_bytes: int, parse: Callable[[str], T], what: str) -> T:
    """Read a table of a model folder. `what` names the content of the table in error messages."""
    try:
        return parse(read_file(path, max_bytes).decode())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable {what} ({reason(error)}); copy the model folder again") from error


def add_tags(tokenizers: Tokenizers, tags: Sequence[str]) -> Tokenizers:
    """Append tags to the source vocabulary.

    With a joint vocabulary, both sides get the tags, so that they can share embeddings.
    """
    if not tags:
        return tokenizers
    source = TaggedTokenizer(tokenizers.source, tags)
    joint = tokenizers.source is tokenizers.target
    return dataclasses.replace(tokenizers, source=source, target=source if joint else tokenizers.target)
