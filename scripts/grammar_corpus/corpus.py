"""Functions that draw sentence pairs and write them as text."""

from collections.abc import Iterator, Sequence
from random import Random

from grammar_corpus import english, german
from grammar_corpus.sentences import sentence
from grammar_corpus.trees import Sentence
from grammar_corpus.words import MARKS, Word, align


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Draw pairs of an English and a German sentence in random order. No sentence occurs twice."""
    return list(trees(count, seed))


def trees(count: int, seed: int) -> dict[tuple[str, str], Sentence]:
    """Draw trees, in random order, by their English and German sentences. No sentence occurs twice."""
    found: dict[tuple[str, str], Sentence] = {}
    sources, targets = set[str](), set[str]()
    random = Random(seed)
    while len(found) < count:
        tree = sentence(random)
        source, target = translation(tree)
        if source not in sources and target not in targets:
            found[source, target] = tree
            sources.add(source)
            targets.add(target)
    return found


def draws(seed: int) -> Iterator[tuple[str, str]]:
    """Yield an endless stream of pairs, in which pairs can be repeated."""
    random = Random(seed)
    while True:
        yield translation(sentence(random))


def translation(tree: Sentence) -> tuple[str, str]:
    return text(english.sentence(tree)), text(german.sentence(tree))


def alignment(tree: Sentence) -> str:
    """Return the alignment of the English and the German words of a tree: `0-0 1-2 ...`.

    Words are separated by spaces, and counted from 0. A word is aligned by its meaning, whatever mark follows it.
    """
    return " ".join(f"{first}-{second}" for first, second in align(english.sentence(tree), german.sentence(tree)))


def text(words: Sequence[Word]) -> str:
    """Join words and punctuation marks to a line.

    The first letter is a capital, marks follow words without a space, and a comma before another mark is left out.
    """
    line = ""
    for place, word in enumerate(words):
        if word not in MARKS:
            line += f" {word}"
        elif word != "," or words[place + 1] not in MARKS:
            line += word
    return line[1].upper() + line[2:]
