"""Normalization of text. Texts that look the same become the same text, and so have the same translation.

This module applies the rules that nmt/tokenizers/normalization_rules.py describes.
"""

import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

from nmt.tokenizers.normalization_rules import MAX_CODE_POINT, Form, Ranges, Rules, contains

Offsets = list[tuple[int, int]]
Edit = tuple[int, int, str]  # the start and the end of a part of a text, and its replacement

FORMAT = 1
_DECOMPOSED: dict[Form, Literal["NFD", "NFKD"]] = {"NFC": "NFD", "NFKC": "NFKD"}
_PLANE = 0x10000  # the end of the first plane of Unicode
_SPACES = re.compile("  +")


class Normalizer:
    """Normalizes text by rules. This is fast for most text, because a single search finds nothing to change.

    >>> Normalizer(Rules(spaces=((0xA0, 0xA0),), form="NFC")).normalize("10\\xa0km")
    '10 km'
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._changes = rules != Rules()
        self._cleaned: dict[str, str] = {}  # the results of `_clean` for each character so far
        self._spaces = [ranges for ranges in rules.spaces if ranges != (0x20, 0x20)]
        self._contextual = tuple(ranges for context in rules.keep for ranges in context.characters)
        self._outer = "".join(chr(code) for first, last in rules.trim for code in range(first, last + 1))
        self._long = sorted((key for key in rules.replace if len(key) > 1), key=len, reverse=True)

    # Each pattern is compiled when it is first needed. Translation never needs the patterns of the target side.

    @cached_property
    def _odd_ranges(self) -> Ranges:
        """Characters that plain text does not contain.

        If a key of `replace` has several characters, only the last character of the key is included. A text that
        contains the key also contains this character.
        """
        ends = ((ord(key[-1]), ord(key[-1])) for key in self.rules.replace)
        return (*self._spaces, *self.rules.remove, *self._contextual, *ends)

    @cached_property
    def _odd(self) -> re.Pattern[str]:
        return _compile_search(self._odd_ranges)

    @cached_property
    def _odd_ascii(self) -> set[str]:
        ranges = ((max(first, 0x20), min(last, 0x7E)) for first, last in self._odd_ranges)
        return {chr(code) for first, last in ranges for code in range(first, last + 1)}

    @cached_property
    def _cleanable(self) -> re.Pattern[str]:
        return _compile_search((*self._spaces, *self.rules.remove))

    @cached_property
    def _runs(self) -> re.Pattern[str]:
        return re.compile(f"{_compile_class(self._contextual).pattern}+")

    @cached_property
    def _replaceable(self) -> re.Pattern[str]:
        return _compile_search([(ord(key), ord(key)) for key in self.rules.replace if len(key) == 1])

    @cached_property
    def _long_or_single(self) -> re.Pattern[str]:
        return re.compile("|".join([*map(re.escape, self._long), self._replaceable.pattern]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Normalizer) and self.rules == other.rules

    def __reduce__(self) -> tuple[Any, ...]:
        return Normalizer, (self.rules,)

    def normalize(self, text: str) -> str:
        """Normalize a text. `align` returns the same text."""
        if self._is_plain(text):
            return text
        text = self._cleanable.sub(self._clean, text)
        text = self._runs.sub(self._filter_run, text)
        if form := self.rules.form:
            text = unicodedata.normalize(form, text)
        replaced = self._choose_replaceable(text).sub(self._replace, text)
        if form and replaced != text:
            replaced = unicodedata.normalize(form, replaced)
        if self.rules.collapse and "  " in replaced:
            replaced = _SPACES.sub(" ", replaced)
        return replaced.strip(self._outer)

    def align(self, text: str) -> tuple[str, Offsets]:
        """Normalize a text, and find the original characters of each character of the result.

        Returns:
            The normalized text, and a span (start, end) for each of its characters. The character comes from
            `text[start:end]`. Starts and ends never decrease. Deleted characters are in no span.
        """
        spans: Offsets = [(index, index + 1) for index in range(len(text))]
        if self._is_plain(text):
            return text, spans
        text, spans = _apply_edits(_find_edits(self._cleanable, self._clean, text), text, spans)
        text, spans = _apply_edits(_find_edits(self._runs, self._filter_run, text), text, spans)
        if form := self.rules.form:
            text, spans = _align_form(form, text, spans)
        replaceable = self._choose_replaceable(text)
        replaced, spans = _apply_edits(_find_edits(replaceable, self._replace, text), text, spans)
        if form and replaced != text:
            replaced, spans = _align_form(form, replaced, spans)
        if self.rules.collapse:
            replaced, spans = _apply_edits(_find_edits(_SPACES, lambda _: " ", replaced), replaced, spans)
        start = len(replaced) - len(replaced.lstrip(self._outer))
        result = replaced.strip(self._outer)
        return result, spans[start : start + len(result)]

    def _is_plain(self, text: str) -> bool:
        """Return whether a text surely does not change in normalization. The test takes about a microsecond."""
        if not text or not self._changes:
            return True
        if text[0] in self._outer or text[-1] in self._outer or (self.rules.collapse and "  " in text):
            return False
        if text.isascii() and text.isprintable():
            return not any(map(text.__contains__, self._odd_ascii))  # only rules of users add many ASCII characters
        form = self.rules.form
        return self._odd.search(text) is None and (form is None or unicodedata.is_normalized(form, text))

    def _choose_replaceable(self, text: str) -> re.Pattern[str]:
        """Return a pattern that finds all keys of `replace` in a text.

        If all keys in the text are single characters, the result is `_replaceable`, which is faster.
        """
        return self._long_or_single if any(key in text for key in self._long) else self._replaceable

    def _clean(self, match: re.Match[str]) -> str:
        character = match[0]
        if character not in self._cleaned:
            contextual = contains(self._contextual, character)
            deleted = contains(self.rules.remove, character) and not contextual
            space = contains(self.rules.spaces, character)
            self._cleaned[character] = " " if space else "" if deleted else character
        return self._cleaned[character]

    def _replace(self, match: re.Match[str]) -> str:
        return self.rules.replace.get(match[0], match[0])

    def _filter_run(self, match: re.Match[str]) -> str:
        """Return the characters of a run that their contexts allow. All characters of a run are in `_contextual`."""
        text, kept = match.string, ""
        before = text[match.start() - 1 : match.start()] if match.start() else ""
        for index in range(match.start(), match.end()):
            character, after = text[index], text[index + 1 : index + 2]
            if any(context.allows(character, before, after) for context in self.rules.keep):
                kept, before = kept + character, character
        return kept


@dataclass(frozen=True, kw_only=True)
class Normalizers:
    """The normalizers of the source and the target side. By default, they change nothing."""

    source: Normalizer = field(default_factory=lambda: Normalizer(Rules()))
    target: Normalizer = field(default_factory=lambda: Normalizer(Rules()))

    @classmethod
    def parse(cls, document: str) -> Self:
        """Read the JSON document of a model folder. Raises ValueError: it is damaged, or its format is not FORMAT."""
        try:
            content = json.loads(document)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if content.keys() != {"format", "source", "target"}:
            raise ValueError("it must have the keys format, source and target")
        return cls(**{side: Normalizer(Rules.parse(content[side])) for side in ("source", "target")})

    def dump(self) -> str:
        """Return the JSON document. `parse` reads equal rules from this document."""
        sides = {"source": self.source.rules.to_plain(), "target": self.target.rules.to_plain()}
        return json.dumps({"format": FORMAT, **sides}, indent=1) + "\n"


def _compile_class(ranges: Sequence[tuple[int, int]]) -> re.Pattern[str]:
    """Compile a pattern that matches one character in any of the ranges. Without ranges, it matches nothing."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    spelled = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in merged)
    return re.compile(f"[{spelled}]" if merged else "(?!)")


def _compile_search(ranges: Iterable[tuple[int, int]]) -> re.Pattern[str]:
    """Compile a pattern that matches each character in the ranges, and possibly other characters above the first plane.

    `re` looks up characters of the first plane of Unicode in a table, but compares other characters with each range. To
    save time, ranges above the first plane are therefore extended and merged.
    """
    return _compile_class([(first, MAX_CODE_POINT) if last >= _PLANE else (first, last) for first, last in ranges])


def _find_edits(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str) -> Iterator[Edit]:
    for match in pattern.finditer(text):
        if (replacement := replace(match)) != match[0]:
            yield match.start(), match.end(), replacement


def _apply_edits(edits: Iterable[Edit], text: str, spans: Offsets) -> tuple[str, Offsets]:
    """Replace parts of a text. `spans` contains, for each character of `text`, its span in the original text.

    Return the result. For each character of the result, also return its span in the original text.
    """
    parts, origins, done = list[str](), Offsets(), 0
    for start, end, replacement in edits:
        parts += [text[done:start], replacement]
        origins += [*spans[done:start], *[(spans[start][0], spans[end - 1][1])] * len(replacement)]
        done = end
    return "".join([*parts, text[done:]]), [*origins, *spans[done:]]


def _align_form(form: Form, text: str, spans: Offsets) -> tuple[str, Offsets]:
    """Apply a normalization form to a text. `spans` contains, for each character of `text`, its span in the original.

    Return the result. For each character of the result, also return its span in the original text.

    The text is normalized in parts. Each part begins with a character that never combines with the character before it.
    """
    starts = [i for i, character in enumerate(text) if not i or not _combines(form, character)]
    parts, origins = [], Offsets()
    for start, end in itertools.pairwise([*starts, len(text)]):
        part = unicodedata.normalize(form, text[start:end])
        parts.append(part)
        whole = (spans[start][0], spans[end - 1][1])
        origins += spans[start:end] if part == text[start:end] else [whole] * len(part)
    return "".join(parts), origins


def _combines(form: Form, character: str) -> bool:
    """Return whether a character can combine with the character before it. Marks, Hangul vowels and finals can."""
    if character.isascii():
        return False
    first = unicodedata.normalize(_DECOMPOSED[form], character)[:1]
    return (
        unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff" or first in "\U00016d63\U00016d67"
    )
