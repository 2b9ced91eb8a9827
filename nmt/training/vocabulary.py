"""The tokenizers of a training run. They are learned from the training text, or belong to an earlier model."""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import sentencepiece

from nmt.checkpoint.folder import Model
from nmt.config.schema import Config
from nmt.data.cleaning import read_vocabulary_text
from nmt.data.prepare import fingerprint_corpus
from nmt.errors import ModelError
from nmt.system.files import verify_checksums, whole_folder
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import add_symbols, train_tokenizers
from nmt.tokenizers.files import load_tokenizers, save_tokenizers
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.training.finetune import reuse_tokenizers
from nmt.types import PLACEHOLDERS

logger = logging.getLogger(__name__)

TOKENIZERS, _INPUTS = "tokenizers", "inputs.json"
"""The folder with the tokenizers in the folder of prepared data, and its file that describes what they depend on."""


def prepare_tokenizers(config: Config, start: Model | None, prepared: Path) -> None:
    """Write the tokenizers of a training run into the folder of prepared data. `load_prepared` reads them.

    They are the tokenizers of the model to start from, or the SentencePiece models that the configuration names, or are
    learned from the training text. Tokenizers that were learned earlier from the same text are kept.
    """
    folder = prepared / TOKENIZERS
    inputs = None if start or config.tokenizer.source_model else _describe_inputs(config)
    if inputs and _read_inputs(folder) == inputs:
        return
    tokenizers = reuse_tokenizers(config.tokenizer, start) if start else None
    if not tokenizers:
        if not config.tokenizer.source_model:
            logger.info("learning the vocabulary (%s)", config.tokenizer.kind)
        pairs = read_vocabulary_text(config.data, config.tokenizer)
        tokenizers = train_tokenizers(config.tokenizer, (pair.sides for pair in pairs))
    if config.data.placeholder_share:
        known = set(tokenizers.source.vocabulary())  # the model to start from can have them
        tokenizers = add_symbols(tokenizers, tuple(symbol for symbol in PLACEHOLDERS if symbol not in known))
    with whole_folder(folder) as draft:
        save_tokenizers(tokenizers, draft)
        (draft / _INPUTS).write_text(json.dumps(inputs), encoding="utf-8")


def load_prepared(config: Config, prepared: Path) -> Tokenizers:
    """Read the tokenizers that `prepare_tokenizers` wrote. Raises ModelError: a file is missing or damaged."""
    return load_tokenizers(config.tokenizer, prepared / TOKENIZERS, config.data.tags)


def _describe_inputs(config: Config) -> dict[str, Any]:
    """Return everything that learned tokenizers depend on, as values that JSON keeps."""
    data = config.data
    held_out = (*data.valid, *data.held_out) if data.drop_overlap else ()
    inputs = {
        "sentencepiece": sentencepiece.__version__,
        "placeholders": config.data.placeholder_share > 0,
        "settings": dataclasses.asdict(dataclasses.replace(config.tokenizer, sampling=0.0)),
        "normalizers": build_normalizers(config.tokenizer.normalization).dump(),
        "limits": [data.max_length, data.max_ratio, data.drop_duplicates],
        "corpora": [fingerprint_corpus(corpus, data) for corpus in data.train],
        "languages": [data.source_language, data.target_language],
        "apart": [fingerprint_corpus(corpus, data) for corpus in held_out],
    }
    kept: dict[str, Any] = json.loads(json.dumps(inputs))
    return kept


def _read_inputs(folder: Path) -> Any:
    """Return the inputs of the tokenizers in a folder. Return None if the folder is missing or damaged."""
    try:
        verify_checksums(folder)
        return json.loads((folder / _INPUTS).read_text(encoding="utf-8"))
    except (ModelError, OSError, ValueError):
        return None
