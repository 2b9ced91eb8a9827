"""Terms: words of the source text that have a fixed translation.

A term applies to a segment whose text contains its source. Then its target is in the translation, as whole words.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nmt.search.sentence import BEGINS_WITH_SPACE, CONTINUES_WORD, ENDS_IN_SPACE, ENDS_IN_WORD, TermIds
from nmt.tokenizers.base import SPELLED_SPACE, Tokenizers
from nmt.tokenizers.inline import find_tokens
from nmt.types import UNK

_MIN_STEM = 3  # two forms of a word share at least this many letters
MAX_TERMS = 64  # the number of terms of a segment; the others are not used
_KNOWN_TARGETS = 100_000  # the number of targets whose tokens are kept
_WORDS = re.compile(r"\w+|[^\w\s]")
_CHARACTERS = re.compile(r"\S")  # in languages without spaces, where a word can begin at any character


@dataclass(frozen=True)
class Term:
    """Words of the source language, and how to translate them. If both are equal, the words are not translated.

    >>> Term("ladder", "Steigleiter")
    Term(source='ladder', target='Steigleiter')
    """

    source: str
    """The words in the source text. Their case matters only if they have capitals after the first letter."""
    target: str
    """The words in the translation, exactly."""

    def __post_init__(self) -> None:
        for name, text in (("source", self.source), ("target", self.target)):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"the {name} of a Term is {text!r}; it must be text")


@dataclass(frozen=True, kw_only=True)
class TermUse:
    """A term that applies to a text, and whether its translation contains the target."""

    term: Term
    used: bool


class TermFinder:
    """Finds the terms of a glossary in a text.

    Args:
        terms: the terms. Of several with the same source, the first is used.
        spaces: whether the source language writes spaces between words.
    """

    def __init__(self, terms: Sequence[Term], *, spaces: bool = True) -> None:
        self._pattern = _WORDS if spaces else _CHARACTERS
        self._entries: dict[str, list[tuple[list[str], bool, Term]]] = {}  # by the first word
        for term in terms:
            words = self._pattern.findall(unicodedata.normalize("NFC", term.source))
            exact = any(letter.isupper() for letter in term.source.strip()[1:])
            self._entries.setdefault(words[0].casefold(), []).append((words, exact, term))
        for entries in self._entries.values():
            entries.sort(key=lambda entry: -len(entry[0]))

    def find(self, text: str) -> list[tuple[int, int, Term]]:
        """Return the terms in a text with their start and end, in the order of the text. The longest term wins."""
        matches = list(self._pattern.finditer(text))
        words = [match[0] for match in matches]
        folded = [word.casefold() for word in words]
        found, place = [], 0
        while place < len(words):
            for wanted, exact, term in self._entries.get(folded[place], ()):
                end = place + len(wanted)
                same = words[place:end] == wanted if exact else folded[place:end] == [*map(str.casefold, wanted)]
                if same:
                    found.append((matches[place].start(), matches[end - 1].end(), term))
                    place = end - 1
                    break
            place += 1
        return found


class TermEncoder:
    """Turns the terms of a segment into tokens.

    Args:
        tokenizers: the tokenizers of both sides.
        spaces: whether the target language writes spaces between words.
    """

    def __init__(self, tokenizers: Tokenizers, *, spaces: bool = True) -> None:
        self.source, self.target, self.spaces = tokenizers.source, tokenizers.target, spaces
        self._forms: dict[str, tuple[tuple[tuple[int, ...], ...], int]] = {}

    @cached_property
    def edges(self) -> bytes:
        """See `nmt.search.loop.Search.edges`."""
        return bytes(map(_find_edges, self.target.spellings)) if self.spaces else b""

    def encode(self, text: str, found: Sequence[tuple[int, int, Term]], offset: int) -> tuple[TermIds, ...]:
        """Return the tokens of terms.

        A term is left out if its target has characters that the vocabulary cannot spell.

        Args:
            text: the text of the segment.
            found: the terms in the text.
            offset: the number of tags before the text.
        """
        terms = []
        places = find_tokens(
            self.source, text, self.source.encode(text), [(start, end) for start, end, _ in found[:MAX_TERMS]]
        )
        for (_, _, term), tokens in zip(found, places, strict=False):
            forms, initial = self._find_forms(term.target)
            if forms:
                positions = tuple(offset + position for position in tokens)
                terms.append(TermIds(forms=forms, initial=initial, positions=positions))
        return tuple(terms)

    def _find_forms(self, text: str) -> tuple[tuple[tuple[int, ...], ...], int]:
        """Return the forms of a target, and how many of them can only begin a translation.

        The forms are the target after a space, after a bracket, and with a capital at the beginning.
        """
        if known := self._forms.get(text):
            return known
        words = " ".join(text.split())
        plain, inner = tuple(self.target.encode(words)), self._encode_after_bracket(words)
        capital = words[:1].upper() + words[1:]
        initial = [tuple(self.target.encode(capital))] if capital != words else []
        forms = [form for form in dict.fromkeys((plain, *inner)) if form and UNK not in form]
        initial = [form for form in initial if form not in forms and UNK not in form]
        found = (*forms, *initial), len(initial)
        if len(self._forms) >= _KNOWN_TARGETS:
            self._forms = {}  # another thread may still use the old one
        self._forms[text] = found
        return found

    def _encode_after_bracket(self, words: str) -> list[tuple[int, ...]]:
        ids, start = self.target.encode("(" + words), self.target.spell("(")
        for count in range(1, len(ids)):
            if b"".join(self.target.spellings[id_] for id_ in ids[:count]) == start:
                return [tuple(ids[count:])]
        return []


def _find_edges(spelling: bytes) -> int:
    """Return how a token begins and ends."""
    if not spelling:
        return 0
    text = spelling.replace(SPELLED_SPACE, b" ").decode(errors="replace").replace("\ufffd", "x")
    words = CONTINUES_WORD * text[0].isalnum() | ENDS_IN_WORD * text[-1].isalnum()
    return words | BEGINS_WITH_SPACE * (text[0] == " ") | ENDS_IN_SPACE * (text[-1] == " ")


def find_uses(
    terms: Sequence[Term], translation: str, *, spaces: bool, capitals: bool, inflected: bool = False
) -> list[TermUse]:
    """Return for each term whether a translation contains its target. A target is counted as often as it occurs.

    Args:
        terms: the terms.
        translation: the translation.
        spaces: whether the target language writes spaces between words.
        capitals: whether the translation is in capitals.
        inflected: whether other forms of the target count too. Forms are recognized by their first letters.
    """
    counts: dict[str, int] = {}
    uses = []
    for term in terms:
        target = " ".join(term.target.split())
        pattern = re.escape(target)
        if spaces:
            pattern = (r"\b" if target[0].isalnum() else "") + pattern + (r"\b" if target[-1].isalnum() else "")
        if target not in counts:
            capital = re.match(pattern, translation, re.IGNORECASE) and translation[1 : len(target)] == target[1:]
            found = len(re.findall(pattern, translation, re.IGNORECASE if capitals else 0))
            counts[target] = found or int(bool(capital)) or int(inflected and _has_form(translation, target))
        counts[target] -= 1
        uses.append(TermUse(term=term, used=counts[target] >= 0))
    return uses


def _has_form(text: str, target: str) -> bool:
    """Return whether a text contains a form of the words of a target, next to each other."""
    words, wanted = _fold(text).split(), _fold(target).split()
    return any(
        all(_is_form(word, base) for word, base in zip(words[start:], wanted, strict=False))
        for start in range(len(words) - len(wanted) + 1)
    )


def _fold(text: str) -> str:
    """Return the words of a text without accents, in lower case, with single spaces."""
    letters = unicodedata.normalize("NFD", text.casefold())
    return " ".join(_WORDS.findall("".join(letter for letter in letters if not unicodedata.combining(letter))))


def _is_form(word: str, base: str) -> bool:
    """Return whether a word is probably a form of another: hauser of haus, lauft of laufen; not leitung of leiter."""
    same = itertools.takewhile(lambda letters: letters[0] == letters[1], zip(word, base, strict=False))
    shared = sum(1 for _ in same)
    ending, lost = len(word) - shared, len(base) - shared
    return word == base or (shared >= _MIN_STEM and ((lost <= 1 and ending <= 3) or (lost == 2 and ending <= 2)))
