"""Functions that draw sentence pairs and write them as text."""

import re
from collections.abc import Iterator, Sequence
from random import Random

from grammar_corpus import english, german
from grammar_corpus.sentences import sentence
from grammar_corpus.trees import Sentence


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Draw pairs of an English and a German sentence in random order. No sentence occurs twice."""
    found: dict[str, str] = {}
    targets: set[str] = set()
    for source, target in draws(seed):
        if source not in found and target not in targets:
            found[source] = target
            targets.add(target)
        if len(found) == count:
            break
    return list(found.items())


def draws(seed: int) -> Iterator[tuple[str, str]]:
    """Yield an endless stream of pairs, in which pairs can be repeated."""
    random = Random(seed)
    while True:
        yield translation(sentence(random))


def translation(tree: Sentence) -> tuple[str, str]:
    return text(english.sentence(tree)), text(german.sentence(tree))


def text(words: Sequence[str]) -> str:
    """Join words and punctuation marks to a line.

    The first letter is a capital, marks follow words without a space, and a comma before another mark is left out.
    """
    line = re.sub(r"( ,)+(?= [,.?])", "", " ".join(words))
    line = re.sub(r" (?=[,.?])", "", line)
    return line[0].upper() + line[1:]
