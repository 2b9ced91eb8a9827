"""A function that learns, from the training text of a model, to identify the languages of the model."""

import itertools
from collections import defaultdict
from pathlib import Path

from nmt.checkpoint.training_text import save_languages
from nmt.config.schema import DataConfig
from nmt.data.check.languages import LINES_PER_LANGUAGE, LanguageIdentifier
from nmt.data.readers import read_pairs

_PAIRS = 4 * LINES_PER_LANGUAGE  # the number of pairs that are read from all corpora together, and sampled evenly


def add_languages(path: Path, data: DataConfig) -> None:
    """Learn to identify the languages of the training corpora. Store the identifier in a model folder.

    Raises:
        DataError: a corpus cannot be read.
        MachineError: the folder cannot be written.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    for corpus in data.train:
        source, target = data.languages(corpus)
        for pair in itertools.islice(read_pairs(corpus, data), _PAIRS // len(data.train)):
            texts[source].append(pair.source)
            texts[target].append(pair.target)
    save_languages(path, LanguageIdentifier.learn(texts))
