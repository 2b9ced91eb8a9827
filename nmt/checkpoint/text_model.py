"""The parts of a model that convert text to ids and back. They are loaded without torch."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from nmt.config.schema import Config
from nmt.errors import ModelError
from nmt.system.files import CHECKSUMS
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.files import load_tokenizers, tokenizer_files


@dataclass(frozen=True, kw_only=True)
class TextModel:
    """The tokenizers and the configuration of a model. A subclass adds the network."""

    tokenizers: Tokenizers
    config: Config
    name: str
    """The path of the folder for messages, in the form that the caller gave."""


def load_model_tokenizers(folder: Path, files: Collection[str], config: Config) -> Tokenizers:
    """Load the tokenizers in a model folder. `files` are the names of the verified files in the folder.

    Raises:
        ModelError: a file is missing, damaged, or not listed in the checksums.
    """
    if lacking := next((name for name in tokenizer_files(config.tokenizer) if name not in files), None):
        raise ModelError(f"{folder}: {CHECKSUMS} does not list {lacking}; copy the whole folder again")
    return load_tokenizers(config.tokenizer, folder, config.data.tags)
