"""Functions that find out the languages of a corpus by the names of its files, columns or keys."""

import re
from collections.abc import Iterable

from nmt.data.formats import find_format
from nmt.data.text_files import COMPRESSIONS, File

_ENDING = re.compile(rf"\.([a-z]{{2,3}}(?:[-_]\w+)?)(?:{'|'.join(map(re.escape, COMPRESSIONS[1:]))})?$")
_CODE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_NO_LANGUAGES = {"txt", "tok", "raw", "tsv", "src", "tgt", "trg"}


def guess_language(path: str) -> str | None:
    """Guess the language of one side from the ending of its file, as in train.de or train.de.gz."""
    match = _ENDING.search(path)
    return match[1] if match and match[1] not in _NO_LANGUAGES else None


def read_languages(path: File) -> list[str]:
    """Return the languages that the heading of a table, or the keys of its first object, name.

    A name is a language if it has the form of a code, such as chr, de-AT or zh-Hans. The list is empty if the format
    has no names.

    Raises:
        DataError: the file cannot be read.
    """
    found = find_format(path)
    names: Iterable[str] = found.names(path) if found and found.names else ()
    return [name for name in map(str.strip, names) if _CODE.fullmatch(name) and name not in _NO_LANGUAGES]
