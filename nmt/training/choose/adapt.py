"""Training that continues from another model: adaptation to a domain, or transfer to another pair of languages."""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.run_folder import find_model_folder
from nmt.config.corpus import CorpusConfig
from nmt.config.fields import fields_of
from nmt.config.parsing import to_plain
from nmt.config.schema import Config, DataConfig, ModelConfig
from nmt.data.pair import Pair, normalize_pairs
from nmt.data.readers import read_corpora
from nmt.errors import DataError
from nmt.system.files import whole_folder
from nmt.tokenizers.base import Tokenizer
from nmt.tokenizers.files import load_tokenizers
from nmt.training.choose.rules import Content
from nmt.types import UNK

ADAPTED_RATE, ADAPTED_EPOCHS = 0.2, 0.25
"""The factors by which an adaptation multiplies the learning rate and the number of epochs of the rule."""
LARGEST_GAP = 0.01
"""A vocabulary is kept if at most this share of the tokens of the new text are bytes or unknown, on each side."""
_SAMPLE = 10_000  # the number of pairs on which the gap is measured
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True, kw_only=True)
class Start:
    """A model from which training continues."""

    folder: str
    config: Config
    gap: str = ""
    """Why its vocabulary does not cover the new text. If it does, this is an empty string."""

    @classmethod
    def load(cls, folder: str) -> "Start":
        """Load the configuration of a model. Raises ModelError: the model is missing or damaged."""
        return cls(folder=folder, config=load_folder_config(find_model_folder(folder)))


def find_gap(start: Start, data: DataConfig) -> str:
    """Return why the vocabulary of a model does not cover a text, or an empty string.

    A vocabulary that was learned from other languages covers a text at best with the letters of its words.

    Args:
        start: the model.
        data: the text, as the training corpora.

    Raises:
        DataError: the text cannot be read.
        ModelError: the vocabulary is missing or damaged.
    """
    before = start.config.data
    if data.source_language not in before.source_languages or data.target_language not in before.target_languages:
        return f"it translates {'/'.join(before.source_languages)} to {'/'.join(before.target_languages)}"
    tokenizers = load_tokenizers(start.config.tokenizer, find_model_folder(start.folder))
    text = normalize_pairs(read_corpora(data.train, data), tokenizers.normalizers)
    pairs = list(itertools.islice((pair for pair in text if not pair.oversized), _SAMPLE))
    for language, tokenizer, lines in (
        (data.source_language, tokenizers.source, [pair.source for pair in pairs]),
        (data.target_language, tokenizers.target, [pair.target for pair in pairs]),
    ):
        if (share := measure_gap(tokenizer, lines)) > LARGEST_GAP:
            return f"{share:.0%} of the tokens of {language} would be bytes or unknown"
    return ""


def measure_gap(tokenizer: Tokenizer, lines: Sequence[str]) -> float:
    """Return the share of the tokens of lines that are bytes or unknown."""
    unusual = {id_ for id_, name in enumerate(tokenizer.vocabulary()) if id_ == UNK or _BYTE.fullmatch(name)}
    tokens = list(itertools.chain.from_iterable(tokenizer.encode_lines(lines)))
    return sum(token in unusual for token in tokens) / max(1, len(tokens))


def keep_network(given: Content, start: Start) -> Content:
    """Return the settings of the user, and whether the sides share a vocabulary, which the network decides."""
    return {**given, "tokenizer": {"joint": start.config.tokenizer.joint, **given.get("tokenizer", {})}}


def adapt_settings(settings: Content, start: Start) -> None:
    """Change chosen settings, so that training continues from a model.

    The network is that of the model. If its vocabulary covers the text, the training is an adaptation: the vocabulary
    is kept, the learning rate is lower, and there are fewer epochs. Otherwise, a new vocabulary is learned. The weights
    of tokens that are in both vocabularies, and all other weights, are kept (Aji et al. 2020).

    Args:
        settings: the settings that `choose_settings` has chosen. They are changed.
        start: the model.
    """
    model, training = start.config.model, settings["training"]
    network = {name: getattr(model, name) for name, one in fields_of(ModelConfig).items() if not one.training_only}
    settings["model"] |= {**network, "dropout": model.dropout}
    training["start_from"] = start.folder
    before: dict[str, Any] = to_plain(dataclasses.asdict(start.config.tokenizer))
    if not start.gap:
        settings["tokenizer"] = before
        training["learning_rate"] = round(training["learning_rate"] * ADAPTED_RATE, 6)
        training["epochs"] = max(1, round(training["epochs"] * ADAPTED_EPOCHS))
    elif {**before, **settings["tokenizer"]} == before:
        settings["tokenizer"]["vocabulary_size"] += 1  # with equal settings, the old vocabulary would be kept


def mix_in(corpus: Any, data: DataConfig, folder: Path, most: int) -> str:
    """Write some pairs of an old text into a new folder. They are mixed in against forgetting.

    Args:
        corpus: the old text, as a configuration has it.
        data: the new text, with the languages.
        folder: the folder to write. An older folder is replaced.
        most: the largest number of pairs. They are chosen at random.

    Returns:
        The path of the corpus that was written.

    Raises:
        DataError: the old text cannot be read, or is empty.
    """
    keys = corpus if isinstance(corpus, dict) else {"path": corpus}
    chosen: list[Pair] = []
    random = np.random.default_rng(1)
    pairs = read_corpora((CorpusConfig(**keys),), data)
    for number, pair in enumerate(pair for pair in pairs if pair.source.strip() and pair.target.strip()):
        if number < most:
            chosen.append(pair)
        elif (place := int(random.integers(number + 1))) < most:  # algorithm R (Vitter 1985)
            chosen[place] = pair
    if not chosen:
        raise DataError(f"--mix {corpus}: contains no pairs; name a text in both languages")
    with whole_folder(folder) as draft:
        for index, language in enumerate((data.source_language, data.target_language)):
            text = "".join(f"{pair.sides[index]}\n" for pair in chosen)
            (draft / f"text.{language}").write_text(text, encoding="utf-8", newline="\n")
    return str(folder / "text")


def find_old_sets(start: Start, data: DataConfig) -> list[dict[str, Any]]:
    """Return the test sets of a model, or else its validation sets, if they exist and have the languages of `data`."""
    before = start.config.data
    for corpora in (before.held_out, before.valid):
        kept = []
        for corpus in corpora:
            languages = before.languages(corpus)
            if languages == (data.source_language, data.target_language):
                plain = dataclasses.replace(corpus, tag=None, source_language=None, target_language=None)
                try:
                    next(read_corpora([plain], data), None)
                except DataError:  # the text has been moved
                    continue
                defaults = dataclasses.asdict(CorpusConfig())
                kept.append({key: value for key, value in dataclasses.asdict(plain).items() if value != defaults[key]})
        if kept:
            return kept
    return []
