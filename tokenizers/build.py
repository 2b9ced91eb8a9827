"""Functions that learn tokenizers from text, and add symbols to tokenizers."""

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nmt.config.schema import TokenizerConfig
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.tokenizers.case import TruecaseLearner
from nmt.tokenizers.files import CLASSES, add_tags
from nmt.tokenizers.normalization import Normalizers
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.tokenizers.subword import SubwordTokenizer

logger = logging.getLogger(__name__)


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
    return add_tags(dataclasses.replace(tokenizers, normalizers=normalizers, truecaser=truecaser), tags)


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
    tokenizer = CLASSES[config.kind].train(config, lines, what)
    if tokenizer.size < config.vocabulary_size and config.kind != "characters":  # a text has few different characters
        logger.warning(
            "tokenizer.vocabulary_size: %s is more than %s yields; the vocabulary has %s tokens",
            f"{config.vocabulary_size:,}",
            what,
            f"{tokenizer.size:,}",
        )
    return tokenizer


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
