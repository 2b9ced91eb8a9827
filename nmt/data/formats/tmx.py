""".tmx: translation memories (Translation Memory eXchange 1.1 to 1.4b)."""

from collections.abc import Iterator, Mapping

from nmt.data.formats.selection import Selection, SideColumn, Sides, rank_variant
from nmt.data.formats.xml_events import Collector, read_xml
from nmt.data.text_files import File

_LISTED = 20  # the number of languages that a message lists


def read_tmx(path: File, selection: Selection) -> Iterator[Sides | None]:
    """Read the segments of both languages in each translation unit. If a unit lacks a language, the side is empty.

    If a unit has several variants of a language, the best match for the language of the corpus is read.

    Raises:
        DataError: the file is not XML, declares entities, or has no segment in one of the languages.
    """
    return read_xml(path, _TmxCollector(selection))


class _TmxCollector(Collector):
    def __init__(self, selection: Selection) -> None:
        super().__init__()
        self._sides = selection.sides
        self._languages: dict[str, None] = {}
        self._found = [False, False]
        self._begin_unit()

    def _begin_unit(self) -> None:
        self._ranks, self._better = [0, 0], [False, False]
        self._texts: list[str | None] = ["", ""]

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "tu":
            self._begin_unit()
        elif name == "tuv":
            language = attributes.get("xml:lang", attributes.get("lang", ""))
            if len(self._languages) < _LISTED:
                self._languages[language] = None
            ranks = [rank_variant(language, side.language) for side in self._sides]
            self._better = [new > old for new, old in zip(ranks, self._ranks, strict=True)]
            self._ranks = [*map(max, ranks, self._ranks)]
        elif name == "seg" and any(self._better):
            self.begin_text()

    def end(self, name: str) -> None:
        if name == "seg" and any(self._better):
            text = self.end_text()
            self._texts = [text if better else old for better, old in zip(self._better, self._texts, strict=True)]
            self._found = [found or better for found, better in zip(self._found, self._better, strict=True)]
        elif name == "tuv":
            self._better = [False, False]
        elif name == "tu":
            source, target = self._texts
            self.pairs.append(None if source is None or target is None else (source, target))

    def check(self) -> str | None:
        missing: list[SideColumn] = [side for side, found in zip(self._sides, self._found, strict=True) if not found]
        if not missing or not self._languages:
            return None
        return (
            f"has no segment in {' and none in '.join(side.language for side in missing)}, only in "
            f"{', '.join(filter(None, self._languages)) or 'none'}; set the languages of the corpus"
        )
