"""The text to train on, as the command line names it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.data.formats import find_format
from nmt.data.formats.languages import guess_language, read_languages
from nmt.data.text_files import find_file, is_pattern
from nmt.errors import ConfigError, DataError
from nmt.training.choose.adapt import Start

_LANGUAGE = re.compile(r"\w+(?:-\w+)*")  # a language is also the ending of files


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text to train on, in two languages. Each corpus is a path or a mapping, as in a configuration."""

    source_language: str
    target_language: str
    train: Any
    """The training corpus, or a list of them."""
    valid: Any = None
    """The validation corpus, or None to cut one off from the text."""
    test: Any = None
    """The test set, or None to cut one off from the text."""
    start: Start | None = None
    """The model from which training continues."""
    mix: Any = None
    """The corpus whose pairs are mixed in against forgetting."""

    @property
    def data(self) -> dict[str, Any]:
        """The section `data` of a configuration for a training on the whole text."""
        data = {"source_language": self.source_language, "target_language": self.target_language, "train": self.train}
        data |= {"valid": self.valid} if self.valid else {}
        if self.start and self.start.config.data.target_tags:
            data["target_tags"] = True
        return data | ({"held_out": self.test} if self.test else {})


def find_text(
    *texts: str | tuple[str, str],
    source_language: str | None = None,
    target_language: str | None = None,
    valid: str | None = None,
    test: str | None = None,
    start_from: str | None = None,
    mix: str | None = None,
) -> Text:
    """Find a text and its languages.

    Args:
        texts: the parts of the text. Each is a file with both sides, the common prefix of two aligned files, or the
            source and the target file.
        source_language: the source language. By default, it is found by the headings of the texts or by file names.
        target_language: the target language.
        valid: the validation text: a file, a prefix, or two files separated by a comma. None if there is none.
        test: the test set, in the same forms.
        start_from: the folder of the model from which training continues. None for a new model.
        mix: the text to mix in against forgetting, in the same forms. None if there is none.

    Raises:
        ConfigError: a language is not known, or both are the same.
        DataError: a file is missing or cannot be read.
        ModelError: the model is missing or damaged.
    """
    name = " and ".join(text if isinstance(text, str) else " and ".join(text) for text in texts)
    found: Sequence[str | None] = ()
    if not (source_language and target_language):
        # The text that tells most of the two languages. A text in more than two languages tells none of them.
        found = max(
            map(_find_languages, texts), key=lambda found: sum(map(bool, found)) if len(found) == 2 else 0, default=()
        )
    source, target = _choose_languages(found, source_language, target_language)
    for side, flag in ((source, "--from"), (target, "--to")):
        if side is None:
            raise ConfigError(f"{name}: does not tell its languages; name them, such as --from chr --to en")
        if not _LANGUAGE.fullmatch(side):
            raise ConfigError(f"{flag}: {side!r} is not a language; use letters, digits and -, such as chr or de-AT")
    if source == target:
        raise ConfigError(
            f"--from and --to are both {source}; give the sides different names, such as en and en-simple"
        )
    assert source is not None
    assert target is not None
    parts = [text if isinstance(text, str) else {"source": text[0], "target": text[1]} for text in texts]
    return Text(
        source_language=source,
        target_language=target,
        train=parts[0] if len(parts) == 1 else parts,
        valid=_read_corpus(valid),
        test=_read_corpus(test),
        start=Start.load(start_from) if start_from else None,
        mix=_read_corpus(mix),
    )


def _find_languages(text: str | tuple[str, str]) -> Sequence[str | None]:
    """Return the languages that the heading or the names of a text tell, in the order of its columns or files.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    if not isinstance(text, str):
        return [guess_language(file) for file in text]
    if not find_format(text):
        return ()
    if file := find_file(text):
        return read_languages(file)
    if is_pattern(text):
        return ()
    raise DataError(f"{text}: no such file; check the path")


def _choose_languages(
    found: Sequence[str | None], source: str | None, target: str | None
) -> tuple[str | None, str | None]:
    """Fill in the languages that are not given. `found` has the languages in the order of the columns or files."""
    if len(found) != 2:
        return source, target
    if source is not None and target is None and source == found[1]:
        return source, found[0]
    if target is not None and source is None and target == found[0]:
        return found[1], target
    return source or found[0], target or found[1]


def _read_corpus(name: str | None) -> Any:
    """Return a corpus as a configuration has it."""
    files = (name or "").split(",")
    if len(files) == 2 and all(files) and not Path(str(name)).exists():
        return {"source": files[0], "target": files[1]}
    return name
