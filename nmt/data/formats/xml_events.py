"""A reader of XML files that need not be trusted. It streams, refuses entities, and limits the memory that it uses."""

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from xml.parsers import expat

from nmt.data.formats.selection import Sides
from nmt.data.text_files import MAX_SIDE_CHARACTERS, File, explain_errors, open_binary
from nmt.errors import DataError

_BLOCK = 1 << 16  # the number of bytes that are parsed at once
_MAX_TOKEN = 1 << 22  # the limit of a tag or a comment in bytes; the parser holds it in memory
_MAX_DEPTH = 200
_MAX_NAMES = 10_000  # the limit of different element and attribute names; the parser keeps all of them

# The content of these elements is code of another file format. Other inline elements contain text of the sentence.
_CODES = frozenset(("bpt", "ept", "it", "ph", "ut", "sub"))


class Collector(ABC):
    """The base class of collectors. A collector knows one XML format, and collects the pairs from the parsed tags.

    A subclass calls `begin_text` and `end_text` at the tags around a side. It appends each complete pair to `pairs`.
    """

    def __init__(self) -> None:
        self.pairs: list[Sides | None] = []
        self.path: list[str] = []
        """The names of the open elements, without prefixes."""
        self._text: list[str] | None = None
        self._codes, self._size = 0, 0

    @abstractmethod
    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Handle a start tag. `path` does not yet contain its name."""

    @abstractmethod
    def end(self, name: str) -> None:
        """Handle an end tag. `path` no longer contains its name."""

    @abstractmethod
    def check(self) -> str | None:
        """Return a description of what is wrong with the whole file, or None. It is called at the end of the file."""

    def begin_text(self) -> None:
        """Start to collect text."""
        self._text, self._size = [], 0

    def end_text(self) -> str | None:
        """Return the text since `begin_text` without markup, or None if it has more than MAX_SIDE_CHARACTERS."""
        text, self._text = "".join(self._text or ()), None
        if self._size > MAX_SIDE_CHARACTERS:
            return None
        # Indented files have line breaks within sentences.
        return " ".join(filter(None, map(str.strip, text.split("\n")))) if "\n" in text else text

    def handle_start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        if self._text is not None:
            if attributes.get("ctype", attributes.get("type")) == "lb":
                self.handle_text(" ")  # the code of a line break separates words
            self._codes += name in _CODES
        self.start(name, attributes)
        self.path.append(name)

    def handle_end(self, name: str) -> None:
        name = self.path.pop()
        if self._text is not None:
            self._codes -= name in _CODES
        self.end(name)

    def handle_text(self, text: str) -> None:
        if self._text is not None and not self._codes:
            self._size += len(text)
            if self._size <= MAX_SIDE_CHARACTERS:
                self._text.append(text)


def read_xml(path: File, collector: Collector) -> Iterator[Sides | None]:
    """Yield the pairs that a collector finds in a file.

    Raises:
        DataError: the file is not XML, declares entities, exceeds a limit, or `collector` finds a fault.
    """
    with explain_errors(path), open_binary(path) as stream:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = collector.handle_start
        parser.EndElementHandler = collector.handle_end
        parser.CharacterDataHandler = collector.handle_text

        def refuse(name: str, *_: object) -> None:
            raise DataError(
                f"{path}:{parser.CurrentLineNumber}: declares the entity {name!r}, which is not allowed in a corpus; "
                "write its text instead"
            )

        parser.EntityDeclHandler = refuse
        # The DTD is not read, so its entities are unknown. Entities of HTML are replaced, and others stay unchanged.
        parser.SkippedEntityHandler = lambda name, _: collector.handle_text(html.unescape(f"&{name};"))
        read, ended = 0, False
        while not ended:
            block = stream.read(_BLOCK)
            read, ended = read + len(block), not block
            try:
                parser.Parse(block, ended)
            except expat.ExpatError as error:
                raise DataError(f"{path}:{error.lineno}: not valid XML ({expat.ErrorString(error.code)})") from error
            excess = {
                f"a tag of more than {_MAX_TOKEN:,} bytes": read - parser.CurrentByteIndex > _MAX_TOKEN,
                f"more than {_MAX_DEPTH} open elements": len(collector.path) > _MAX_DEPTH,
                f"more than {_MAX_NAMES:,} different names": len(parser.intern) > _MAX_NAMES,
            }
            for problem in (problem for problem, found in excess.items() if found):
                raise DataError(f"{path}:{parser.CurrentLineNumber}: has {problem}; correct the file")
            yield from collector.pairs
            collector.pairs.clear()
    if problem_at_end := collector.check():
        raise DataError(f"{path}: {problem_at_end}")
