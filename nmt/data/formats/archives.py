""".zip archives. An archive contains a pair of aligned text files, as OPUS distributes them, or one other file."""

import re
import zipfile
from collections.abc import Callable, Collection, Iterator

from nmt.data.formats.aligned import read_aligned
from nmt.data.formats.selection import Selection, Sides, rank_variant
from nmt.data.text_files import COMPRESSIONS, File, explain_errors, open_binary
from nmt.errors import DataError

FindReader = Callable[[File], Callable[[File, Selection], Iterator[Sides | None]] | None]

_COMPRESSION = re.compile(rf"({'|'.join(map(re.escape, COMPRESSIONS[1:]))})$")
# The language at the end of a name such as Corpus.de-en.de, train.de-DE, de.txt or test/de.
_LANGUAGE = re.compile(r"(?:^|(?<=[./]))(?P<language>[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?)(?:\.txt)?$")


def read_archive(find_reader: FindReader, path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read the only corpus of an archive.

    Args:
        find_reader: a function that finds the reader of a file by its name.
        path: the archive.
        selection: the languages and columns to read.

    Raises:
        DataError: the archive cannot be read, or does not contain exactly one corpus.
    """
    with explain_errors(path), open_binary(path) as stream, zipfile.ZipFile(stream) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    names = [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]
    pairs = find_pairs(names, selection)
    if len(pairs) == 1:
        source, target = (f"zip://{name}::{path}" for name in pairs[0])  # fsspec opens a file of an archive by this URL
        return read_aligned(source, target)
    readers = {name: reader for name in names if (reader := find_reader(name)) and ".txt" not in name}
    if len(readers) == 1 and not pairs:
        return next(reader(f"zip://{name}::{path}", selection) for name, reader in readers.items())
    languages = " and ".join(side.language for side in selection.sides)
    several = [" with ".join(pair) for pair in pairs] or list(readers)
    problem = f"holds several corpora ({', '.join(several[:4])})" if several else f"has no files for {languages}"
    raise DataError(f"{path}: {problem}; unpack it and name the files of one corpus")


def find_pairs(names: Collection[str], selection: Selection) -> list[tuple[str, str]]:
    """Find the pairs of files for the two languages. The names of a pair differ only in the language at their end."""
    pairs: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := _LANGUAGE.search(_COMPRESSION.sub("", name)):
            best = pairs.setdefault(name[: match.start()], [(0, ""), (0, "")])
            ranks = [rank_variant(match["language"], side.language) for side in selection.sides]
            best[:] = [(rank, name) if rank > old[0] else old for rank, old in zip(ranks, best, strict=True)]
    return [(source, target) for (_, source), (_, target) in pairs.values() if source and target]
