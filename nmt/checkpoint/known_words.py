"""The known words of a model folder: which source words the training text of the model has. This needs no torch."""

from pathlib import Path

from nmt.checkpoint.manifest import KNOWN_WORDS, MANIFEST
from nmt.checkpoint.run_folder import find_model_folder
from nmt.data.known_words import KnownWords
from nmt.system.files import add_file, verify_checksums
from nmt.system.opening import read_file


def save_known_words(folder: Path, words: KnownWords) -> None:
    """Add the known words to a model folder, or replace them. After an interruption, the folder is still valid.

    Raises:
        MachineError: the folder cannot be written.
    """
    add_file(folder, KNOWN_WORDS, words.to_bytes())


def load_known_words(folder: str | Path) -> KnownWords | None:
    """Load the source words of the training text of a model. Return None if the model does not store them.

    `folder` is a model folder, or the output folder of a training run. Only the file of the words is read.

    Raises:
        ModelError: the folder does not exist, or the file is damaged or cannot be read.
    """
    path, max_bytes = find_model_folder(folder), MANIFEST[KNOWN_WORDS].max_bytes
    if KNOWN_WORDS not in verify_checksums(path, limits={KNOWN_WORDS: max_bytes}):
        return None
    return KnownWords.from_bytes(read_file(path / KNOWN_WORDS, max_bytes), str(path / KNOWN_WORDS))
