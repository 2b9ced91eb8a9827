"""Functions that build tokenizers from a configuration, save them and load them."""

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from nmt.config.schema import TokenizerConfig
from nmt.errors import ModelError
from nmt.system.files import reason, saving
from nmt.system.opening import read_file
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.tokenizers.case import TruecaseLearner, Truecaser
from nmt.tokenizers.normalization import Normalizers
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.tokenizers.tags import TaggedTokenizer
from nmt.tokenizers.vocabulary import CharacterTokenizer, WordTokenizer

T = TypeVar("T")

logger = logging.getLogger(__name__)

_CLASSES: dict[str, type[SubwordTokenizer | WordTokenizer | CharacterTokenizer]] = {
    "unigram": SubwordTokenizer,
    "bpe": SubwordTokenizer,
    "words": WordTokenizer,
    "characters": CharacterTokenizer,
}
NORMALIZATION, TRUECASE = "normalization.json", "truecase.json"
MAX_NORMALIZATION_BYTES, MAX_TRUECASE_BYTES = 1 << 20, 1 << 24


def train_tokenizers(config: TokenizerConfig, pairs: Iterable[tuple[str, str]], tags: Sequence[str] = ()) -> Tokenizers:
    """Train tokenizers on the first `training_lines` pairs, or load the SentencePiece models that `config` names.

    If the text yields fewer than `vocabulary_size` tokens, the vocabulary is smaller, and a warning gives its size.

    Args:
        config: the kind and size of the vocabulary.
        pairs: pairs of source and target texts. This function normalizes them.
        tags: all tags of source sentences, in the order of their ids.

    Raises:
        ConfigError: the vocabulary size is too small for the text, or a file that `config` names cannot be used.
        DataError: the pairs cannot be read or contain no text.
    """
    normalizers = build_normalizers(config.normalization)
    learner = TruecaseLearner() if config.truecase else None
    pairs = _read(itertools.islice(pairs, config.training_lines), normalizers, learner)
    if config.source_model:
        source = target = SubwordTokenizer.adopt(Path(config.source_model), "tokenizer.source_model", config)
        if config.target_model:
            target = SubwordTokenizer.adopt(Path(config.target_model), "tokenizer.target_model", config)
        tokenizers = Tokenizers(source=source, target=target)
        for _ in pairs if learner else ():
            pass  # only the learner reads the pairs
    else:
        tokenizers = _train(config, pairs)
    truecaser = learner.finish() if learner else None
    return _add_tags(dataclasses.replace(tokenizers, normalizers=normalizers, truecaser=truecaser), tags)


def _read(
    pairs: Iterable[tuple[str, str]], normalizers: Normalizers, learner: TruecaseLearner | None
) -> Iterator[tuple[str, str]]:
    """Yield normalized pairs, and add each source text to the learner."""
    for source, target in pairs:
        source = normalizers.source.normalize(source)
        if learner:
            learner.add(source)
        yield source, normalizers.target.normalize(target)


def _train(config: TokenizerConfig, pairs: Iterable[tuple[str, str]]) -> Tokenizers:
    if config.joint:
        joint = _train_one(config, itertools.chain.from_iterable(pairs), "the training text")
        return Tokenizers(source=joint, target=joint)
    sides = list(pairs)  # a list, because both sides read the pairs
    return Tokenizers(
        source=_train_one(config, [source for source, _ in sides], "the source side of the training text"),
        target=_train_one(config, [target for _, target in sides], "the target side of the training text"),
    )


def _train_one(config: TokenizerConfig, lines: Iterable[str], what: str) -> Tokenizer:
    tokenizer = _CLASSES[config.kind].train(config, lines, what)
    if tokenizer.size < config.vocabulary_size and config.kind != "characters":  # a text has few different characters
        logger.warning(
            "tokenizer.vocabulary_size: %s is more than %s yields; the vocabulary has %s tokens",
            f"{config.vocabulary_size:,}",
            what,
            f"{tokenizer.size:,}",
        )
    return tokenizer


def _add_tags(tokenizers: Tokenizers, tags: Sequence[str]) -> Tokenizers:
    """Append tags to the source vocabulary.

    With a joint vocabulary, both sides get the tags, so that they can share embeddings.
    """
    if not tags:
        return tokenizers
    source = TaggedTokenizer(tokenizers.source, tags)
    joint = tokenizers.source is tokenizers.target
    return dataclasses.replace(tokenizers, source=source, target=source if joint else tokenizers.target)


def add_symbols(tokenizers: Tokenizers, symbols: tuple[str, ...]) -> Tokenizers:
    """Append symbols to the vocabularies of SentencePiece tokenizers.

    Raises:
        ConfigError: a symbol is a token already, or cannot be a token.
    """
    source, target = tokenizers.source, tokenizers.target
    assert isinstance(source, SubwordTokenizer)
    assert isinstance(target, SubwordTokenizer)
    longer = source.add_symbols(symbols)
    other = longer if target is source else target.add_symbols(symbols)
    return dataclasses.replace(tokenizers, source=longer, target=other)


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
    return _add_tags(tokenizers, tags)


def _load(config: TokenizerConfig, folder: Path) -> Tokenizers:
    kind = _CLASSES[config.kind]
    loaded = [kind.load(folder / name, config.sampling) for name in _model_files(config)]
    return Tokenizers(source=loaded[0], target=loaded[-1])


def tokenizer_files(config: TokenizerConfig) -> list[str]:
    """Return the names of the files that `save_tokenizers` always writes. The file truecase.json is not included."""
    return [*_model_files(config), *([] if config.normalization == "none" else [NORMALIZATION])]


def _model_files(config: TokenizerConfig) -> list[str]:
    """Return the file name of the joint tokenizer, or the file names of the source and the target tokenizer."""
    ending = _CLASSES[config.kind].ending
    return [f"{name}{ending}" for name in (["tokenizer"] if config.joint else ["source", "target"])]


def _load_table(path: Path, max_bytes: int, parse: Callable[[str], T], what: str) -> T:
    """Read a table of a model folder. `what` names the content of the table in error messages."""
    try:
        return parse(read_file(path, max_bytes).decode())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable {what} ({reason(error)}); copy the model folder again") from error
