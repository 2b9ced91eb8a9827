"""Glossaries: files with the terms that translations must use. They can be tables (.tsv, .csv) or TBX (.tbx, .xml)."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from nmt.data.formats.selection import rank_variant
from nmt.data.formats.xml_events import Collector, read_xml
from nmt.data.text_files import read_lines
from nmt.errors import DataError
from nmt.translation.terms import Term

_SOURCES, _TARGETS = ("source", "src"), ("target", "tgt", "trg")
_ENTRIES = ("termEntry", "conceptEntry")  # TBX 2 and TBX 3
_LANGUAGES = ("langSet", "langSec")


def read_glossary(path: str | Path, source: str, target: str) -> tuple[Term, ...]:
    """Read a glossary.

    A table has the source and the target of a term in its first two columns. If its first line names columns `source`
    and `target`, or the two languages, these columns are read. Other columns are ignored. In CSV, columns are separated
    by commas or semicolons.

    Args:
        path: the file. Its ending is .tsv, .txt, .csv, .tbx or .xml, also with .gz.
        source: the source language.
        target: the target language.

    Raises:
        DataError: the file cannot be read, has no terms, or a line has no source or no target.
    """
    path = Path(path)
    kind = Path(path.name.removesuffix(".gz")).suffix.lower()
    if kind not in (".tsv", ".txt", ".csv", ".tbx", ".xml"):
        raise DataError(f"{path}: not a glossary; name a file in .tsv, .csv or .tbx")
    if kind in (".tbx", ".xml"):
        collector = _TbxCollector(source, target)
        pairs = [(sides[0].strip(), sides[1].strip()) for sides in read_xml(path, collector) if sides]
    else:
        pairs = list(_read_table(path, kind, source, target))
    if not pairs:
        raise DataError(f"{path}: has no terms; write one on each line, SOURCE TAB TARGET")
    return tuple(Term(source=one, target=other) for one, other in pairs)


def _read_table(path: Path, kind: str, source: str, target: str) -> Iterator[tuple[str, str]]:
    columns = (0, 1)
    separator = "\t"
    for number, line in enumerate(read_lines(path), start=1):
        line = line.rstrip("\r").removeprefix("\ufeff")
        if not line.strip():
            continue
        if number == 1 and kind == ".csv":
            separator = max(",;\t", key=line.count)
        cells = next(csv.reader([line], delimiter=separator)) if kind == ".csv" else line.split(separator)
        cells = [cell.strip() for cell in cells]
        if number == 1 and (found := _find_columns(cells, source, target)):
            columns = found
            continue
        sides = [cells[column] if column < len(cells) else "" for column in columns]
        if not all(sides):
            shown = "a comma" if separator == "," else "a semicolon" if separator == ";" else "a tab"
            missing = "target" if sides[0] else "source"
            raise DataError(f"{path}:{number}: has no {missing}; write source and target with {shown} between them")
        yield sides[0], sides[1]


def _find_columns(cells: list[str], source: str, target: str) -> tuple[int, int] | None:
    """Return the columns of source and target if these cells are a heading."""
    names = [cell.lower() for cell in cells]
    for first, second in ((_SOURCES, _TARGETS), ((source.lower(),), (target.lower(),))):
        found = [next((names.index(name) for name in choice if name in names), -1) for choice in (first, second)]
        if min(found) >= 0:
            return found[0], found[1]
    return None


class _TbxCollector(Collector):
    """Collects the terms of a TBX file: for each entry, the first term in the source and in the target language."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__()
        self._languages = source, target
        self._side: int | None = None
        self._texts: list[str | None] = [None, None]

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in _ENTRIES:
            self._texts = [None, None]
        elif name in _LANGUAGES:
            language = attributes.get("xml:lang", attributes.get("lang", ""))
            ranks = [rank_variant(language, own) for own in self._languages]
            self._side = ranks.index(max(ranks)) if any(ranks) else None
        elif name == "term":
            self.begin_text()

    def end(self, name: str) -> None:
        if name == "term":
            text = self.end_text()
            if self._side is not None and self._texts[self._side] is None:
                self._texts[self._side] = text
        elif name in _ENTRIES:
            source, target = self._texts
            if source and source.strip() and target and target.strip():
                self.pairs.append((source, target))

    def check(self) -> str | None:
        return None
