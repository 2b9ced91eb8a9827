"""A lexicon of words that is learned from the training text, without an aligner.

IBM model 1 (nmt/data/lexicon.py) counts how often a source word generates a target word.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from nmt.data.batch import Batch
from nmt.data.lexicon import Lexicon, take_for_lexicon
from nmt.data.updates import make_batch, order_by_length, split_groups
from nmt.data.word_links import WORD, WordLexicon
from nmt.types import EOS

_CHUNK, _BATCH_WORDS = 10_000, 8192  # the number of pairs that are sorted at once, and of words in a batch
_MIN_COUNT = 1.5  # of the expected number of times that one word generates the other
_MIN_STRENGTH = 0.1
_FREQUENT = 30  # the number of most frequent words on each side, most of which have no meaning of their own


def learn_word_lexicon(pairs: Iterable[tuple[str, str]]) -> WordLexicon:
    """Learn a lexicon from the first 100,000 pairs or so."""
    ids: tuple[dict[str, int], dict[str, int]] = ({}, {})
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    batches = list(take_for_lexicon(_make_batches(pairs, ids, counts)))
    frequent = [frozenset(word for word, _ in count.most_common(_FREQUENT)) for count in counts]
    strengths: dict[str, dict[str, float]] = {}
    if batches:
        size = EOS + 1 + len(ids[1])
        lexicon = Lexicon.learn(batches, size)
        sources, targets, joint = lexicon.sources, lexicon.targets, lexicon.counts
        totals = np.bincount(sources, joint)[sources] + np.bincount(targets, joint)[targets]
        dice = 2 * joint / np.maximum(totals, _MIN_COUNT)
        kept = (joint >= _MIN_COUNT) & (dice >= _MIN_STRENGTH) & (sources > EOS) & (targets > EOS)
        words = [list(own) for own in ids]
        columns = (values[kept].tolist() for values in (sources, targets, dice))
        for source, target, strength in zip(*columns, strict=True):
            partners = strengths.setdefault(words[0][source - EOS - 1], {})
            partners[words[1][target - EOS - 1]] = strength
    return WordLexicon(strengths=strengths, frequent=(frequent[0], frequent[1]))


def _make_batches(
    pairs: Iterable[tuple[str, str]],
    ids: tuple[dict[str, int], dict[str, int]],
    counts: tuple[Counter[str], Counter[str]],
) -> Iterator[Batch]:
    """Yield the words of pairs as ids, in batches of pairs of similar length. Add new words to `ids`."""
    rest = iter(pairs)
    while chunk := list(itertools.islice(rest, _CHUNK)):
        sides: list[list[list[int]]] = []
        for side, known, count in zip(zip(*chunk, strict=True), ids, counts, strict=True):
            split = [[match[0].casefold() for match in WORD.finditer(text)] for text in side]
            count.update(itertools.chain.from_iterable(split))
            sides.append([[known.setdefault(word, EOS + 1 + len(known)) for word in words] for words in split])
        sources, targets = sides
        lengths = [np.array([len(words) for words in side], dtype=np.int64) for side in sides]
        order = order_by_length(lengths[1], lengths[0])
        longest = np.maximum(*lengths)[order] + 1
        for start, end in itertools.pairwise(split_groups(longest, _BATCH_WORDS, None).tolist()):
            yield make_batch([sources[i] for i in order[start:end]], [targets[i] for i in order[start:end]])
