"""Terms within a source text. The translation of a term is written after its words (Dinu et al. 2019).

    on a ⟨term⟩ ladder ⟨as⟩ Steigleiter ⟨end⟩ .

A model that was trained with such terms (`data.term_share`) uses the given translation, and inflects it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.tokenizers.base import Tokenizer
from nmt.types import TERM_TAGS, UNK


@dataclass(frozen=True, kw_only=True)
class InlineIds:
    """The ids of a text with terms."""

    ids: list[int]
    origins: list[range]
    """For each id, the ids of the text without terms that it belongs to. The ids that are added for a term belong to
    all ids of its words."""
    places: list[int]
    """The index in `ids` of each id of the text without terms."""


def find_tokens(tokenizer: Tokenizer, text: str, ids: Sequence[int], parts: Sequence[tuple[int, int]]) -> list[range]:
    """Return the tokens that cover each part of a text, wholly or partly.

    Args:
        tokenizer: the tokenizer.
        text: the text.
        ids: a segmentation of the text.
        parts: the start and the end of each part, in characters.
    """
    spelled, spellings = tokenizer.spell(text), tokenizer.spellings
    lengths = [len(spellings[id_]) for id_ in ids]
    if list(ids).count(UNK) == 1:
        lengths[list(ids).index(UNK)] = len(spelled) - sum(lengths)
    found = []
    for start, end in parts:
        first, last = len(tokenizer.spell(text[:start])), len(tokenizer.spell(text[:end]))
        positions, place = [], 0
        for position, length in enumerate(lengths):
            if place < last and place + length > first:
                positions.append(position)
            place += length
        found.append(range(positions[0], positions[-1] + 1) if positions else range(0))
    return found


def insert_terms(tokenizer: Tokenizer, ids: Sequence[int], terms: Sequence[tuple[range, str]]) -> InlineIds:
    """Add the translations of terms to the ids of a text.

    Args:
        tokenizer: the tokenizer of the source side, with the tags of terms. It also encodes the translations.
        ids: the ids of the text.
        terms: the tokens of each term, in the order of the text, and its translation. A term is left out if it has no
            tokens, or tokens of the term before it.
    """
    begin, between, end = tokenizer.encode_tags(TERM_TAGS)
    result, origins, places, done = list[int](), list[range](), list[int](), 0

    def keep(last: int) -> None:
        nonlocal done
        places.extend(range(len(result), len(result) + last - done))
        result.extend(ids[done:last])
        origins.extend(range(place, place + 1) for place in range(done, last))
        done = last

    for tokens, target in terms:
        if not tokens or tokens.start < done:
            continue
        keep(tokens.start)
        result.append(begin)
        origins.append(tokens)
        keep(tokens.stop)
        added = [between, *tokenizer.encode(target), end]
        result += added
        origins += [tokens] * len(added)
    keep(len(ids))
    return InlineIds(ids=result, origins=origins, places=places)
