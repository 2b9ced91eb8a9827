"""Truecasing. If the case of a word is unusual, it is changed to the usual case of the word in the training text.

A model learns words in the case of its training text, and translates words in any other case badly. If a source text is
in capitals, in title case or all in lower case, its case is therefore changed before tokenization. Truecasing does not
change text in the usual case, and adds no tokens to the vocabulary.

Source: Lita et al. 2003.
"""

import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Self

MAX_WORDS = 50_000  # the number of words in each table
_USUAL = 0.05  # a form is usual if it makes up at least this share of the occurrences of its word
_ACRONYM = 3  # a form in capitals is also usual if it occurs at least this often
_ODD = 0.25  # a line is in title case if more than this share of its words has an unusual form
_ENDING, _ENDING_WORDS = 3, 5  # the length of an ending, and the least number of words from which it is learned

_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[^\w\s]*\s")
_CHEROKEE = re.compile("[\u13a0-\u13ff\uab70-\uabbf]")  # its ordinary letters are upper case in Unicode
_DOTLESS = str.maketrans("ı", "i")
_DOT = "\u0307"  # the combining dot, which str.lower adds when it converts İ
TURKIC = frozenset(("tr", "az", "crh", "tt"))  # in these languages, the upper case of i is İ, and that of ı is I


def is_capitals(text: str) -> bool:
    """Return whether a text has at least two upper-case letters and no lower-case letters.

    Letters that have no upper case (ß, ª) are allowed.

    >>> is_capitals("EIN MANN AUF DER STRAßE"), is_capitals("A B C"), is_capitals("I"), is_capitals("42")
    (True, True, False, False)
    """
    upper = 0
    for letter in text:
        if letter.islower() and len(letter.upper()) == 1 and letter.upper() != letter:
            return False
        upper += letter.isupper() and not _CHEROKEE.match(letter)
    return upper >= 2


def write_capitals(text: str, language: str) -> str:
    """Return a text in capitals. Turkic languages have special rules for i, and Greek has special rules for accents.

    >>> write_capitals("ısparta ili", "tr"), write_capitals("Straße", "de"), write_capitals("Ελλάδα", "el")
    ('ISPARTA İLİ', 'STRASSE', 'ΕΛΛΑΔΑ')
    """
    code = re.split("[-_]", language.lower())[0]
    if code in TURKIC:
        text = text.replace("i", "İ")
    if code == "el":
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).replace("\u0301", ""))
    return text.upper()


def write_title(word: str) -> str:
    """Return a word with its first letter in upper case and the others in lower case."""
    return word[:1].title() + word[1:].lower().replace(_DOT, "")


def fold(word: str) -> str:
    """Return the key of a word in the tables. All forms of a word have the same key."""
    if word.isascii():
        return word.lower()  # the same, but faster
    return word.casefold().replace(_DOT, "").translate(_DOTLESS)


def _find_words(line: str) -> Iterator[tuple[re.Match[str], bool]]:
    """Yield each word whose letters have case, and whether the word begins a sentence."""
    end, starts = 0, True
    for match in _WORD.finditer(line):
        between = line[end : match.start()]
        if end or between:
            starts = bool(_SENTENCE_END.search(between)) or (starts and not end and not re.search(r"\w", between))
        end = match.end()
        word = match[0]
        if word.isascii() or (word.lower() != word.upper() and not _CHEROKEE.match(word)):
            yield match, starts
        starts = False


@dataclass(frozen=True, kw_only=True)
class Truecaser:
    """Changes the case of text if it is unusual. Tables contain the usual forms of words.

    >>> lines = ["Ein Mann sieht die NATO.", "Die Frau sieht ein Haus.", "Der Mann geht in die Stadt."] * 3
    >>> truecaser = Truecaser.learn(lines)
    >>> truecaser.restore("DIE FRAU SIEHT EIN HAUS."), truecaser.restore("der mann sieht die nato")
    ('Die Frau sieht ein Haus.', 'Der Mann sieht die NATO')
    """

    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The usual forms of each word, the most frequent first. Words that have only the expected form are not listed."""
    accents: Mapping[str, str] = field(default_factory=dict)
    """For words written without accents, as is common in capitals, the most frequent word with accents."""
    title: bool = False
    """Whether title case is expected for words that are not listed. This is so in German, where most are nouns."""
    endings: frozenset[str] = frozenset()
    """The endings of words that are exceptions to `title`."""
    starts: bool = False
    """Whether most sentences begin with a capital."""
    capitals: bool = False
    """Whether most lines contain a capital. A line without a capital is then unusual."""
    # Caches: the forms of words, and the first parts and other parts of lines that were found to be in usual case.
    _found: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _usual_starts: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _usual_parts: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def learn(cls, lines: Iterable[str]) -> "Truecaser | None":
        """Learn the tables from lines of text. Return None if most lines have no letter that has a case."""
        learner = TruecaseLearner()
        for line in lines:
            learner.add(line)
        return learner.finish()

    def expect(self, word: str) -> str:
        """Return the expected form of a word that is not listed in `forms`."""
        title = self.title != (fold(word)[-_ENDING:] in self.endings)
        return write_title(word) if title else word.lower().replace(_DOT, "")

    def restore(self, line: str) -> str:
        """Return a line in the case of the training text. A line in usual case is returned unchanged."""
        parts, end = [], 0
        for start, word_end, word in self._find_changes(line):
            parts += [line[end:start], word]
            end = word_end
        return "".join([*parts, line[end:]]) if parts else line

    def align(self, line: str) -> tuple[str, list[tuple[int, int]]]:
        """Restore a line, and find the original characters of each character of the result.

        Returns:
            The text that `restore` returns, and a span (start, end) for each of its characters. In a word whose length
            changes, each character has the span of the word.
        """
        spans: list[tuple[int, int]] = []
        for start, end, word in self._find_changes(line):
            spans += [(place, place + 1) for place in range(spans[-1][1] if spans else 0, start)]
            same = len(word) == end - start
            spans += [(start + place, start + place + 1) if same else (start, end) for place in range(len(word))]
        spans += [(place, place + 1) for place in range(spans[-1][1] if spans else 0, len(line))]
        return self.restore(line), spans

    def _find_changes(self, line: str) -> list[tuple[int, int, str]]:
        """Return the start, the end and the new form of each word that `restore` writes. Usual lines have none."""
        first, *others = line.split(" ")
        if first in self._usual_starts and self._usual_parts.issuperset(others):
            return []  # this is a fast path: all parts of most lines are in the caches
        if self._begins_usually(first) and all(map(self._is_usual, set(others) - self._usual_parts)):
            return []
        words = [(match, starts, self._find_usual(match[0])) for match, starts in _find_words(line)]
        odd = [not self._fits(match[0], usual, starts) for match, starts, usual in words]
        if not any(odd) and (not self.capitals or any(letter.isupper() for letter in first)):
            return []
        # In a line in capitals, in lower case or in title case, the case of a single word has no meaning.
        unified = is_capitals(line) or (self.capitals and not any(letter.isupper() for letter in line))
        titles = not unified and len(words) > 2 and sum(odd) > _ODD * len(words)
        changes = []
        for (match, starts, usual), unusual in zip(words, odd, strict=True):
            word = match[0]
            shouted = len(word) > 1 and word.isupper()
            if unified or (titles and (unusual or word[0].isupper())) or (unusual and shouted):
                word = usual[0]
            if (unified or titles) and starts and self.starts:
                word = word[:1].title() + word[1:]
            changes.append((match.start(), match.end(), word))
        return changes

    def _begins_usually(self, part: str) -> bool:
        """Return whether the first part of a line is in usual case."""
        usual = not self.capitals or any(letter.isupper() for letter in part)
        usual &= all(self._fits(match[0], self._find_usual(match[0]), starts) for match, starts in _find_words(part))
        if usual and len(self._usual_starts) < 2 * MAX_WORDS:
            self._usual_starts.add(part)
        return usual

    def _is_usual(self, part: str) -> bool:
        """Return whether all words of a part of a line are in usual case, wherever in the line the part is."""
        if part.isascii() and part.isalpha():  # most parts are a single word
            usual = part in self._find_usual(part)
        else:
            usual = all(match[0] in self._find_usual(match[0]) for match, _ in _find_words(part))
        if usual and len(self._usual_parts) < 2 * MAX_WORDS:
            self._usual_parts.add(part)
        return usual

    def _fits(self, word: str, usual: tuple[str, ...], starts: bool) -> bool:
        """Return whether a word has one of its usual forms. At the start of a sentence, title case is usual too."""
        return word in usual or (starts and self.starts and word in map(write_title, usual))

    def _find_usual(self, word: str) -> tuple[str, ...]:
        """Return the usual forms of a word, the most frequent first."""
        found = self._found.get(word)
        if found is None:
            form, key = word, fold(word)
            if word.isupper() and len(word) > 1 and key in self.accents:
                form, key = self.accents[key], fold(self.accents[key])
            found = self.forms.get(key) or (self.expect(form),)
            if len(self._found) < 2 * MAX_WORDS:
                self._found[word] = found
        return found

    def dump(self) -> str:
        """Return the tables as JSON. `parse` reads this JSON."""
        content = {
            "forms": {key: list(found) for key, found in self.forms.items()},
            "accents": dict(self.accents),
            "title": self.title,
            "endings": sorted(self.endings),
            "starts": self.starts,
            "capitals": self.capitals,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the result of `dump`. Raises ValueError: the text is not such a result."""
        content = json.loads(text)
        if not isinstance(content, dict) or content.keys() != {key.name for key in fields(cls) if key.init}:
            raise ValueError("not the tables of a truecaser")
        forms, accents, endings = content["forms"], content["accents"], content["endings"]
        sound = isinstance(forms, dict) and isinstance(accents, dict) and isinstance(endings, list)
        sound = sound and {*map(type, forms.values())} <= {list} and all(forms.values())
        sound = sound and all(type(content[name]) is bool for name in ("title", "starts", "capitals"))
        words = [*endings, *accents.values(), *itertools.chain(*forms.values())] if sound else []
        if not sound or not {*map(type, words)} <= {str} or not all(words):
            raise ValueError("a table of the truecaser is damaged")
        return cls(
            **content | {"forms": {key: tuple(found) for key, found in forms.items()}, "endings": frozenset(endings)}
        )


class TruecaseLearner:
    """Counts the forms of words in lines of text. From the counts, `finish` makes the tables of a truecaser."""

    def __init__(self) -> None:
        # `add` only counts the parts of lines between spaces. `finish` finds the words in each different part once.
        self._inner: Counter[str] = Counter()
        self._first: Counter[str] = Counter()  # parts that begin a sentence
        self._lines = self._with_case = self._with_capital = 0

    def add(self, line: str) -> None:
        """Count the words of a line. Lines in capitals are left out."""
        if is_capitals(line):
            return
        lower = line.lower()
        self._lines += 1
        self._with_case += lower != line.upper() and not _CHEROKEE.search(line)
        self._with_capital += lower != line
        for sentence in _SENTENCE_END.split(line):
            first, *others = sentence.split() or [""]
            self._first[first] += 1
            self._inner.update(others)

    def finish(self) -> Truecaser | None:
        """Return the truecaser, or None if most lines have no letter that has a case."""
        if self._with_case * 2 <= self._lines:
            return None
        forms: dict[str, Counter[str]] = {}
        starts: Counter[bool] = Counter()
        for parts in (self._inner, self._first):
            for part, occurrences in parts.items():
                for match, begins_part in _find_words(part):
                    word, begins = match[0], begins_part and parts is self._first
                    if begins:
                        starts[word[0].isupper()] += occurrences
                    if not begins or word != write_title(word):
                        forms.setdefault(fold(word), Counter())[word] += occurrences
        title, endings = _learn_expectation(forms)
        expected = Truecaser(title=title, endings=endings)
        usual: dict[str, tuple[str, ...]] = {}  # the usual forms of each word, the most frequent first
        for key, counts in sorted(forms.items(), key=lambda item: -item[1].total()):
            least = _USUAL * counts.total()
            usual[key] = tuple(
                form
                for form, count in counts.most_common()
                if count >= least or (form.isupper() and len(form) > 1 and count >= _ACRONYM)
            )
        # The expected form is computed from the word in capitals, because capitals have no ß.
        listed = [(key, found) for key, found in usual.items() if found != (expected.expect(found[0].upper()),)]
        accents: dict[str, str] = {}
        for key, found in usual.items():
            bare = "".join(letter for letter in unicodedata.normalize("NFD", key) if not unicodedata.combining(letter))
            if bare != key and bare not in usual:
                accents.setdefault(bare, found[0])
        return Truecaser(
            forms=dict(listed[:MAX_WORDS]),
            accents=dict(list(accents.items())[:MAX_WORDS]),
            title=title,
            endings=endings,
            starts=starts[True] > 0.9 * starts.total(),
            capitals=self._with_capital > 0.9 * self._with_case,
        )


def _learn_expectation(forms: Mapping[str, Counter[str]]) -> tuple[bool, frozenset[str]]:
    """Learn from rare words which case unknown words usually have. Return `title` and `endings` of the truecaser."""
    titles: dict[str, list[bool]] = {}
    for key, found in forms.items():
        if found.total() <= 2:
            titles.setdefault(key[-_ENDING:], []).append(max(found, key=found.__getitem__)[0].isupper())
    votes = [vote for found in titles.values() for vote in found]
    title = sum(votes) * 2 > len(votes)
    different = (ending for ending, found in titles.items() if (sum(found) * 2 > len(found)) != title)
    return title, frozenset(ending for ending in different if len(titles[ending]) >= _ENDING_WORDS)
