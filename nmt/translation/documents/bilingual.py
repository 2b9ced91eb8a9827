"""Files that contain a text and its translation: XLIFF 1.2 and 2, and translation memories (.tmx)."""

import copy
import logging
from collections.abc import Sequence
from typing import Any

from nmt.data.formats.selection import rank_variant
from nmt.errors import DataError
from nmt.translation.documents.document import Context, Document, Slot, SlotDocument
from nmt.translation.documents.mixed import MixedContent, Rules
from nmt.translation.documents.passage import Role
from nmt.translation.tagged import TaggedText
from nmt.translation.trees import find_name, parse_xml, write_xml

logger = logging.getLogger(__name__)

_LISTED = 20  # the number of languages that a message lists
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_STARTS = {"bx": "ex", "bpt": "ept", "sc": "ec", "sm": "em"}  # elements that start a pair, and that end it
_UNTRANSLATED = ("new", "needs-translation")  # states of XLIFF 1.2 in which the target is a copy of the source


def read_xliff(data: bytes, context: Context) -> Document:
    """Read XLIFF. Units without a translation are translated, and get a state that asks for a review.

    Raises:
        DataError: the file is damaged, or is not XLIFF.
    """
    return _Xliff(data, context)


def read_tmx(data: bytes, context: Context) -> Document:
    """Read a translation memory. Each unit without the target language gets a variant in it.

    Raises:
        DataError: the file is damaged, or is not a translation memory.
    """
    return _Tmx(data, context)


def _find_role(element: Any) -> Role | None:
    """Return what an inline element is in its pair."""
    name = find_name(element)
    if name in _STARTS:
        return (_STARTS[name], element.get("rid") or element.get("i") or element.get("id")), True
    if name in _STARTS.values():
        keys = (element.get(key) for key in ("rid", "i", "startRef", "id"))
        return (name, next(filter(None, keys), None)), False
    return None


def _repeat(element: Any, number: int) -> None:
    """Give a repeated element of XLIFF 2 another id. The ids of a segment are unique."""
    if find_name(element) == "pc":
        if not (element.get("dataRefStart") or element.get("dataRefEnd")):
            element.set("copyOf", element.get("id", ""))
        element.set("id", f"{element.get('id')}_{number}")


_RULES = Rules(tags=frozenset(("g", "mrk", "pc", "hi")), find_role=_find_role, repeat=_repeat)


class _Xliff(SlotDocument):
    def __init__(self, data: bytes, context: Context) -> None:
        self._root, self._form = parse_xml(data, context.name)
        if find_name(self._root) != "xliff":
            raise DataError(f"{context.name}: its root element is {find_name(self._root)}, not xliff; check its ending")
        slots: list[Slot] = []
        if not self._root.get("version", "").startswith("1"):
            _check_source(self._root.get("srcLang"), context)
            if not self._root.get("trgLang"):
                self._root.set("trgLang", context.target)
            slots += [_Unit(unit, "2") for unit in _find(self._root, "segment", context.retranslate)]
        else:
            for file in self._root.iter("{*}file"):
                _check_source(file.get("source-language"), context)
                if not file.get("target-language"):
                    file.set("target-language", context.target)
            slots += [_Unit(unit, "1") for unit in _find(self._root, "trans-unit", context.retranslate)]
        super().__init__(slots)

    def serialize(self) -> bytes:
        return write_xml(self._root, self._form)


def _check_source(language: str | None, context: Context) -> None:
    """Warn if the model does not translate the language of the file."""
    if language and not rank_variant(language, context.source):
        logger.warning("%s: is in %s, but the model translates %s", context.name, language, context.source)


def _find(root: Any, name: str, retranslate: bool) -> list[Any]:
    """Return the units that are translated."""
    found = []
    for unit in root.iter(f"{{*}}{name}"):
        choices = [node.get("translate") for node in (unit, *unit.iterancestors()) if node.get("translate")]
        if choices[:1] == ["no"] or _find_child(unit, "source") is None:
            continue
        target = _find_child(unit, "target")
        empty = target is None or not (len(target) or (target.text or "").strip())
        if empty or retranslate or (target is not None and target.get("state") in _UNTRANSLATED):
            found.append(unit)
    return found


def _find_child(element: Any, name: str) -> Any:
    return next((child for child in element if find_name(child) == name), None)


class _Unit:
    """A unit of XLIFF 1.2, or a segment of XLIFF 2."""

    def __init__(self, unit: Any, version: str) -> None:
        self._unit, self._version = unit, version
        source, divided = _find_child(unit, "source"), _find_child(unit, "seg-source")
        self._before = source if divided is None else divided  # the target follows this element
        self._target = copy.deepcopy(self._before)
        self._target.tag = source.tag.removesuffix("source") + "target"
        self._target.attrib.clear()
        marks = [
            [node for node in element.iter("{*}mrk") if node.get("mtype") == "seg"]
            for element in (self._before, self._target)
        ]
        pairs = list(zip(*marks, strict=True)) or [(self._before, self._target)]
        self._contents = [MixedContent(source, _RULES, target) for source, target in pairs]
        self.texts = [text for content in self._contents for text in content.texts]

    def write(self, translations: Sequence[TaggedText]) -> None:
        left = iter(translations)
        for content in self._contents:
            content.write([next(left) for _ in content.texts])
        old = _find_child(self._unit, "target")
        if old is not None:
            for name, value in old.attrib.items():
                self._target.set(name, value)
            self._target.tail = old.tail
            self._unit.replace(old, self._target)
        else:
            insert_after(self._before, self._target)
        if self._version == "2":
            self._unit.set("state", "translated")
        else:
            self._target.set("state", "needs-review-translation")
            self._target.set("state-qualifier", "mt-suggestion")


def insert_after(before: Any, new: Any) -> None:
    """Insert an element after another one, on a new line if the other one is."""
    parent = before.getparent()
    is_last = before.getnext() is None
    new.tail = before.tail
    parent.insert(parent.index(before) + 1, new)
    if is_last:
        before.tail = parent.text


class _Tmx(SlotDocument):
    def __init__(self, data: bytes, context: Context) -> None:
        self._root, self._form = parse_xml(data, context.name)
        if find_name(self._root) != "tmx":
            raise DataError(f"{context.name}: its root element is {find_name(self._root)}, not tmx; check its ending")
        slots: list[Slot] = []
        languages = dict.fromkeys(map(_get_language, self._root.iter("tuv")))
        if languages and not any(rank_variant(language, context.source) for language in languages):
            listed = ", ".join([*languages][:_LISTED])
            raise DataError(f"{context.name}: has no text in {context.source}, only in {listed}; choose another model")
        for unit in self._root.iter("tu"):
            variants = list(unit.iter("tuv"))
            source = _choose(variants, context.source)
            target = _choose(variants, context.target)
            seg = _find_child(source, "seg") if source is not None else None
            done = target is not None and "".join(target.itertext()).strip()
            if seg is not None and target is not source and (not done or context.retranslate):
                slots.append(_Variant(source, seg, target, context.target))
        super().__init__(slots)

    def serialize(self) -> bytes:
        return write_xml(self._root, self._form)


def _get_language(variant: Any) -> str:
    return str(variant.get(_LANG) or variant.get("lang") or "")


def _choose(variants: Sequence[Any], language: str) -> Any:
    """Return the variant that fits a language best, or None if none does."""
    best = max(variants, key=lambda variant: rank_variant(_get_language(variant), language), default=None)
    return best if best is not None and rank_variant(_get_language(best), language) else None


class _Variant:
    """The target variant of a unit of a translation memory."""

    def __init__(self, source: Any, seg: Any, target: Any, language: str) -> None:
        self._source, self._target = source, target
        self._new = source.makeelement("tuv", {_LANG if source.get(_LANG) else "lang": language})
        self._new.text = source.text
        if target is not None:
            self._new.attrib.update(target.attrib)
        self._new.set("creationid", "nmt")
        self._seg = self._new.makeelement("seg")
        self._new.append(self._seg)
        self._seg.tail = seg.tail if seg.getnext() is None else source[-1].tail
        self._content = MixedContent(seg, _RULES, self._seg)
        self.texts = self._content.texts

    def write(self, translations: Sequence[TaggedText]) -> None:
        self._content.write(translations)
        if self._target is not None:
            self._new.tail = self._target.tail
            self._target.getparent().replace(self._target, self._new)
        else:
            insert_after(self._source, self._new)
