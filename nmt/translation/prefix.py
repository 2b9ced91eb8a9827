"""The prefix of a translation: text in the target language that can end anywhere, also within a word or a token.

The words before the last are forced as tokens. A guide completes the last word: it allows the tokens that continue the
characters of the prefix, in every segmentation, so that the end of the prefix need not be the end of a token.
"""

from bisect import bisect_left
from functools import cached_property

from nmt.search.sentence import Guide
from nmt.tokenizers.base import Tokenizer
from nmt.types import UNK

_CONTINUATION = 0b10000000  # the first two bits of a byte of UTF-8 that does not begin a character


class PrefixCompleter:
    """Turns prefixes into the tokens and the guide of a search.

    Args:
        tokenizer: the tokenizer of the target side.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def _sorted(self) -> list[tuple[bytes, int]]:
        """The spellings of all tokens in alphabetical order, and their ids."""
        spelled = ((self.tokenizer.spellings[id_], id_) for id_ in self.tokenizer.producible)
        return sorted(pair for pair in spelled if pair[0])

    @cached_property
    def _ids(self) -> dict[bytes, list[int]]:
        """The tokens that have a spelling. A byte and a character can have the same."""
        found: dict[bytes, list[int]] = {}
        for spelling, id_ in self._sorted:
            found.setdefault(spelling, []).append(id_)
        return found

    def complete(self, prefix: str) -> tuple[tuple[int, ...], Guide]:
        """Return the tokens of a prefix without its last word, and the guide for the last word.

        What the vocabulary cannot spell is left out: an unknown character before the last word, and the last word from
        its first unknown character.
        """
        text = prefix.replace("\n", " ").replace("\r", " ")
        head = text[: max(text.rfind(" "), 0)]
        ids = [id_ for id_ in self.tokenizer.encode(head) if id_ != UNK]
        return tuple(ids), self._spell_rest(self.tokenizer.spell(text)[len(self.tokenizer.spell(head)) :])

    def _spell_rest(self, rest: bytes) -> Guide:
        """Return the guide that allows every spelling that begins with the longest possible part of `rest`."""
        while rest:
            arcs = self._find_arcs(rest)
            if arcs[0]:
                break
            cut = len(rest) - 1
            while cut and rest[cut] & 0b11000000 == _CONTINUATION:
                cut -= 1
            rest = rest[:cut]
        if not rest:
            return ()
        reached = {0}
        for place, own in enumerate(arcs):
            if place in reached:
                reached.update(after for _, after in own)
        states = {place: state for state, place in enumerate(sorted(reached | {len(rest)}))}
        return tuple(
            tuple(sorted((id_, states[after]) for id_, after in own))
            for place, own in enumerate(arcs)
            if place in reached
        )

    def _find_arcs(self, rest: bytes) -> list[list[tuple[int, int]]]:
        """Return for each place in `rest` the tokens that can be next, and the places after them.

        A place from which the end cannot be reached has no tokens, and no token leads to it.
        """
        arcs: list[list[tuple[int, int]]] = [[] for _ in rest]
        for place in reversed(range(len(rest))):
            left = rest[place:]
            for length in range(1, len(left)):
                if arcs[place + length]:
                    arcs[place] += [(id_, place + length) for id_ in self._ids.get(left[:length], ())]
            first = bisect_left(self._sorted, (left, 0))
            while first < len(self._sorted) and self._sorted[first][0].startswith(left):
                arcs[place].append((self._sorted[first][1], len(rest)))
                first += 1
        return arcs
