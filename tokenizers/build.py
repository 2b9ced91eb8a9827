"""From the configuration to tokenizers: trained, adopted, saved, loaded."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nmt.config.schema import TokenizerConfig
from nmt.system.files import saving
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.subword import SubwordTokenizer
from nmt.tokenizers.tags import TaggedTokenizer
from nmt.tokenizers.vocabulary import CharacterTokenizer, WordTokenizer

_CLASSES: dict[str, type[SubwordTokenizer | WordTokenizer | CharacterTokenizer]] = {
    "unigram": SubwordTokenizer,
    "bpe": SubwordTokenizer,
    "words": WordTokenizer,
    "characters": CharacterTokenizer,
}


def train_tokenizers(config: TokenizerConfig, pairs: Iterable[tuple[str, str]], tags: Sequence[str] = ()) -> Tokenizers:
    """Tokenizers learned from the first `training_lines` pairs, or the SentencePiece models named in the configuration.

    `tags`: those that may stand before source sentences. Pairs have none.

    Raises:
        ConfigError: the vocabulary size does not suit the text, or a named .model cannot be used.
        DataError: the pairs cannot be read, or hold no text.
    """
    if config.source_model:
        return _with_tags(_adopt(config, Path(config.source_model)), tags)
    return _with_tags(_train(config, pairs), tags)


def _train(config: TokenizerConfig, pairs: Iterable[tuple[str, str]]) -> Tokenizers:
    train = _CLASSES[config.kind].train
    pairs = itertools.islice(pairs, config.training_lines)
    if config.joint:
        joint = train(config, itertools.chain.from_iterable(pairs), "the training text")
        return Tokenizers(source=joint, target=joint)
    lines = list(pairs)  # read twice
    return Tokenizers(
        source=train(config, _side(lines, 0), "the source side of the training text"),
        target=train(config, _side(lines, 1), "the target side of the training text"),
    )


def _with_tags(tokenizers: Tokenizers, tags: Sequence[str]) -> Tokenizers:
    """With tags behind the source side's ids: on both sides where they are joint, so that the sides may share embeddings."""
    if not tags:
        return tokenizers
    source = TaggedTokenizer(tokenizers.source, tags)
    joint = tokenizers.source is tokenizers.target
    return Tokenizers(source=source, target=source if joint else tokenizers.target)


def _side(pairs: Iterable[tuple[str, str]], side: int) -> Iterator[str]:
    return (pair[side] for pair in pairs)


def _adopt(config: TokenizerConfig, source_model: Path) -> Tokenizers:
    source = SubwordTokenizer.adopt(source_model, "tokenizer.source_model", config)
    if not config.target_model:
        return Tokenizers(source=source, target=source)
    target = SubwordTokenizer.adopt(Path(config.target_model), "tokenizer.target_model", config)
    return Tokenizers(source=source, target=target)


def extended(tokenizers: Tokenizers, symbols: tuple[str, ...]) -> Tokenizers:
    """SentencePiece tokenizers with further symbols. Raises ConfigError: one is a piece already, or cannot be one."""
    source, target = tokenizers.source, tokenizers.target
    assert isinstance(source, SubwordTokenizer)
    assert isinstance(target, SubwordTokenizer)
    longer = source.extended(symbols)
    return Tokenizers(source=longer, target=longer if target is source else target.extended(symbols))


def save_tokenizers(tokenizers: Tokenizers, folder: Path) -> None:
    """Write tokenizer.ENDING into a folder, or source.ENDING and target.ENDING when they differ.

    Raises:
        MachineError: the folder cannot be written.
    """
    with saving(folder):
        if tokenizers.source is tokenizers.target:
            tokenizers.source.save(folder / f"tokenizer{tokenizers.source.ending}")
        else:
            tokenizers.source.save(folder / f"source{tokenizers.source.ending}")
            tokenizers.target.save(folder / f"target{tokenizers.target.ending}")


def load_tokenizers(config: TokenizerConfig, folder: Path, tags: Sequence[str] = ()) -> Tokenizers:
    """What `save_tokenizers` wrote, with the same tags. Raises ModelError: a file is missing or damaged."""
    return _with_tags(_load(config, folder), tags)


def _load(config: TokenizerConfig, folder: Path) -> Tokenizers:
    kind = _CLASSES[config.kind]
    if config.joint:
        joint = kind.load(folder / f"tokenizer{kind.ending}", config.sampling)
        return Tokenizers(source=joint, target=joint)
    return Tokenizers(
        source=kind.load(folder / f"source{kind.ending}", config.sampling),
        target=kind.load(folder / f"target{kind.ending}", config.sampling),
    )
