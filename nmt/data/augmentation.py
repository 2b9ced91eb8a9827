"""Training pairs with placeholders, and with terms within the source text.

- Placeholders: things that are equal on both sides, such as names and numbers, are replaced by the same symbol on both
  sides, or symbols are inserted on both sides between words that are translations of each other. The model learns to
  copy symbols to the right place. Translation then replaces URLs and other things by symbols.
- Terms: target words are written beside their source words, in the dictionary form. The model learns to use and to
  inflect them (Dinu et al. 2019; Bergmanis and Pinnis 2021).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from nmt.data.pair import Pair
from nmt.data.things import find_things
from nmt.data.word_links import WORD, WordLexicon
from nmt.types import PLACEHOLDERS

_MORE_THINGS, _MORE_TERMS = 0.3, 0.5  # the probability of one more placeholder or term in a pair
_MAX_THINGS = 4  # the largest number of placeholders in a pair
_LATER = 0.2  # the probability that the first placeholder of a pair is any of the symbols
_INSERTED = 0.3  # the probability that a placeholder is inserted although something could be replaced
_FRAMES = (" {}",) * 8 + (" ({})", ' "{}"')
_TWO_WORDS = 0.15  # the probability that a term is extended by the next word
_OTHER_WORD = 0.5  # the probability that the source words of a term are replaced by a random word
_MIN_LETTERS = 3  # shorter words are hardly terms
_MIN_EQUAL = 4  # the least length of an equal word in lower case that is probably a name

Part = tuple[int, int]
Edit = tuple[Part, Part, str]  # a part of each side, and the frame of its symbol
Words = list[tuple[int, int, str]]  # the start and the end of each word, and the word


@dataclass(frozen=True, kw_only=True)
class Example:
    """A training pair with terms."""

    pair: Pair
    terms: Sequence[tuple[int, int, str]] = ()
    """The start and the end of each term in the source text, and its translation."""


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Adds placeholders and terms to a share of training pairs."""

    lexicon: WordLexicon
    placeholder_share: float = 0.0
    term_share: float = 0.0
    find_lemma: Callable[[str], str] = str
    """Returns the dictionary form of a word of the target language."""

    def augment(self, pair: Pair, seed: int) -> Example:
        """Return the example for a pair. It depends only on the pair and the seed."""
        random = Random(seed)
        with_placeholders, with_terms = random.random() < self.placeholder_share, random.random() < self.term_share
        if with_placeholders:
            source, target = self._add_placeholders(pair.source, pair.target, random)
            pair = replace(pair, source=source, target=target)
        return self._add_terms(pair, random) if with_terms else Example(pair=pair)

    def _add_placeholders(self, source: str, target: str, random: Random) -> tuple[str, str]:
        equal = self._find_equal(source, target)
        random.shuffle(equal)
        gaps = self._find_gaps(source, target)
        edits: list[Edit] = []
        attempts = 0
        while attempts < _MAX_THINGS and (not edits or random.random() < _MORE_THINGS):
            attempts += 1
            if equal and random.random() >= _INSERTED:
                edit = (*equal.pop(), "{}")
            else:
                first, second = random.choice(gaps)
                edit = ((first, first), (second, second), random.choice(_FRAMES) if first else "{} ")
            if not any(_overlap(edit[0], other[0]) or _overlap(edit[1], other[1]) for other in edits):
                edits.append(edit)
        edits.sort(key=lambda edit: edit[0])
        # Translation numbers the things of a text. A sentence that is not the first can begin with any symbol.
        first = random.randrange(len(PLACEHOLDERS) - len(edits) + 1) if random.random() < _LATER else 0
        written = [frame.format(symbol) for (_, _, frame), symbol in zip(edits, PLACEHOLDERS[first:], strict=False)]
        return (
            _replace_parts(source, [(part, new) for (part, _, _), new in zip(edits, written, strict=True)]),
            _replace_parts(target, [(part, new) for (_, part, _), new in zip(edits, written, strict=True)]),
        )

    def _find_equal(self, source: str, target: str) -> list[tuple[Part, Part]]:
        """Return the parts of both texts that are probably copied: things, and equal words such as names."""
        found: dict[str, tuple[list[Part], list[Part]]] = {}
        for side, text in enumerate((source, target)):
            things = [(start, end) for start, end, _ in find_things(text)]
            inner = {place for start, end in things for place in range(start, end)}
            words = [match.span() for match in WORD.finditer(text) if match.start() not in inner]
            for start, end in (*things, *words):
                found.setdefault(text[start:end], ([], []))[side].append((start, end))
        return [
            (own[0][0], own[1][0])
            for content, own in found.items()
            if len(own[0]) == len(own[1]) == 1 and self._is_copied(content)
        ]

    def _is_copied(self, content: str) -> bool:
        """Return whether something that is equal on both sides is a name, a number or a thing, and not just similar."""
        if not content.isalpha():
            return True
        folded = content.casefold()
        if content[0].isupper():
            return not any(folded in frequent for frequent in self.lexicon.frequent)
        return len(content) >= _MIN_EQUAL and folded not in self.lexicon.strengths

    def _find_gaps(self, source: str, target: str) -> list[tuple[int, int]]:
        """Return positions in both texts at which something can be inserted: the beginning, the end, and positions
        between two words whose translations follow each other too."""
        words, others = _split(source), _split(target)
        gaps = [(0, 0)]
        if words and others:
            gaps.append((words[-1][1], others[-1][1]))
            for (one, first), (other, second) in pairwise(self.lexicon.align(_texts(words), _texts(others))):
                if other == one + 1 and second == first + 1:
                    gaps.append((words[one][1], others[first][1]))
        return gaps

    def _add_terms(self, pair: Pair, random: Random) -> Example:
        """Choose terms. Replace some by other source words, so that the model trusts the translation that is given."""
        edits: list[tuple[Part, str]] = []
        terms: list[tuple[int, int, str]] = []
        shift = 0
        for start, end, target in self._choose_terms(pair.source, pair.target, random):
            words = pair.source[start:end]
            if random.random() < _OTHER_WORD:
                # A word with the same last letter often has the same number or tense.
                words = random.choice(self.lexicon.source_words.get(words[-1].casefold()) or [words])
                edits.append(((start, end), words))
            terms.append((start + shift, start + shift + len(words), target))
            shift += len(words) - (end - start)
        return Example(pair=replace(pair, source=_replace_parts(pair.source, edits)), terms=terms)

    def _choose_terms(self, source: str, target: str, random: Random) -> list[tuple[int, int, str]]:
        words, others = _split(source), _split(target)
        links = dict(self.lexicon.align(_texts(words), _texts(others)))
        usable = [place for place, other in links.items() if self._is_term(words[place][2], others[other][2])]
        random.shuffle(usable)
        chosen: list[tuple[int, int, str]] = []
        taken: set[int] = set()
        while usable and (not chosen or random.random() < _MORE_TERMS):
            place = usable.pop()
            two = links.get(place + 1) == links[place] + 1 and random.random() < _TWO_WORDS
            covered = {place, place + 1} if two else {place}
            if covered & taken:
                continue
            taken |= covered
            first, last = others[links[place]], others[links[max(covered)]]
            text = target[first[0] : last[1]] if two else self.find_lemma(first[2])
            chosen.append((words[place][0], words[max(covered)][1], text))
        return sorted(chosen)

    def _is_term(self, word: str, other: str) -> bool:
        pair = (word.casefold(), other.casefold())
        frequent = any(one in known for one, known in zip(pair, self.lexicon.frequent, strict=True))
        return not frequent and min(len(word), len(other)) >= _MIN_LETTERS


def _split(text: str) -> Words:
    return [(match.start(), match.end(), match[0]) for match in WORD.finditer(text)]


def _texts(words: Words) -> list[str]:
    return [word for _, _, word in words]


def _overlap(one: Part, other: Part) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _replace_parts(text: str, edits: Sequence[tuple[Part, str]]) -> str:
    """Replace parts of a text. Empty parts are insertions."""
    pieces, done = [], 0
    for (start, end), new in sorted(edits, key=lambda edit: edit[0]):
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])
