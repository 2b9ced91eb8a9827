"""Words that know which parts of a tree they express, and the alignment of two sentences by these parts."""

from collections.abc import Iterable, Sequence
from itertools import chain

Part = tuple[int, str]
"""A part of a tree: the identity of a node, and the role in it, such as `verb` or `subject`."""

MARKS = (",", ".", "?")
FALLBACKS = {"auxiliary": "verb", "particle": "verb", "of": "determiner", "determiner": "noun"}
"""If no word of the other language expresses a role, the word is aligned to the words of another role of the node.

For example, `holt ... ab` and `picks ... up` have a verb and a particle each, but `abgeholt` is only a verb.
"""


class Word(str):
    """A word and the parts of the tree that it expresses. A word such as `im` expresses two."""

    __slots__ = ("parts",)
    parts: tuple[Part, ...]

    def __new__(cls, text: str, parts: Iterable[Part] = ()) -> "Word":
        word = super().__new__(cls, text)
        word.parts = tuple(parts)
        return word


def mark(words: str | Iterable[str], node: object, role: str) -> list[Word]:
    """Return words that express a part of a tree. Words that express a part already stay as they are.

    A single string is divided at its spaces.
    """
    listed = words.split() if isinstance(words, str) else words
    return [word if isinstance(word, Word) else Word(word, [(id(node), role)]) for word in listed]


def merge(text: str, words: Iterable[Word]) -> Word:
    """Return a word that expresses everything that other words express."""
    return Word(text, chain.from_iterable(word.parts for word in words))


def align(source: Sequence[Word], target: Sequence[Word]) -> list[tuple[int, int]]:
    """Return the pairs of words that express the same part of a tree, as positions of words.

    Punctuation marks are not counted and not aligned.
    """
    sources, targets = ([word for word in side if word not in MARKS] for side in (source, target))
    wanted = _find_counterparts(sources, targets), _find_counterparts(targets, sources)
    return [
        (i, j)
        for i, first in enumerate(sources)
        for j, second in enumerate(targets)
        if not (wanted[0][i].isdisjoint(second.parts) and wanted[1][j].isdisjoint(first.parts))
    ]


def _find_counterparts(words: Sequence[Word], others: Sequence[Word]) -> list[set[Part]]:
    """Return the parts that the counterparts of each word express."""
    expressed = set(chain.from_iterable(word.parts for word in others))
    found: list[set[Part]] = []
    for word in words:
        parts = set()
        for node, first_role in word.parts:
            role = first_role
            while (node, role) not in expressed and role in FALLBACKS:
                role = FALLBACKS[role]
            parts.add((node, role))
        found.append(parts)
    return found
