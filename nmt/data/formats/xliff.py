""".xlf and .xliff: localization files (XLIFF 1.2 and 2.0)."""

from collections.abc import Iterator, Mapping

from nmt.data.formats.selection import Selection, Sides, rank_variant
from nmt.data.formats.xml_events import Collector, read_xml
from nmt.data.text_files import File

_UNITS = frozenset(("trans-unit", "segment"))  # of XLIFF 1.2 and 2.0
_LANGUAGES = (("source-language", "target-language"), ("srcLang", "trgLang"))


def read_xliff(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read the source and the target of each unit (1.2) or segment (2.0). If a target is missing, the side is empty.

    The file declares its languages, and they determine which side is the source of the corpus. A file of the opposite
    direction can therefore be read too. Alternative translations and notes are ignored.

    Raises:
        DataError: the file is not XML, declares entities, or none of its parts has the languages of the corpus.
    """
    return read_xml(path, _XliffCollector(selection))


class _XliffCollector(Collector):
    def __init__(self, selection: Selection) -> None:
        super().__init__()
        self._wanted = tuple(side.language for side in selection.sides)
        self._order: tuple[str, str] | None = None  # the element names of both sides; None if the languages do not fit
        self._texts: dict[str, str | None] = {}
        self._declared: dict[str, None] = {}
        self._fits = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        for names in _LANGUAGES:
            if names[0] in attributes and name in ("xliff", "file"):
                self._choose_order(attributes[names[0]], attributes.get(names[1], ""))
        if name in _UNITS:
            self._texts = {}
        elif name in ("source", "target") and self.path and self.path[-1] in _UNITS and self._order:
            self.begin_text()

    def _choose_order(self, source: str, target: str) -> None:
        """Compare the declared languages with the languages of the corpus. The file need not declare its target."""
        self._declared[f"{source} to {target or 'none'}"] = None
        self._order = None
        for order, wanted in ((("source", "target"), self._wanted), (("target", "source"), self._wanted[::-1])):
            if rank_variant(source, wanted[0]) and (not target or rank_variant(target, wanted[1])):
                self._order = self._order or (order[0], order[1])
        self._fits |= self._order is not None

    def end(self, name: str) -> None:
        if name in ("source", "target") and self.path and self.path[-1] in _UNITS and self._order:
            self._texts[name] = self.end_text()
        elif name in _UNITS and self._order:
            source, target = (self._texts.get(side, "") for side in self._order)
            self.pairs.append(None if source is None or target is None else (source, target))

    def check(self) -> str | None:
        if self._fits:
            return None
        declared = ", ".join(list(self._declared)[:20]) or "declares no languages"
        return f"{declared}, not {' to '.join(self._wanted)}; set the languages of the corpus"
