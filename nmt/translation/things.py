"""Things such as URLs are taken out of a text before it is translated, and put back by alignment.

nmt/translation/tagged.py puts them back. docs/lab/markup.md compares this with other ways.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from nmt.data.things import find_things
from nmt.translation.numbers import localize_number
from nmt.translation.tagged import Anchor, TaggedText, write_symbols

_STAND_INS = tuple(map(chr, range(0x100000, 0x101000)))  # characters for private use


def take_out(
    tagged: TaggedText,
    find: Callable[[str], Iterable[tuple[int, int, str]]] = find_things,
    symbols: Sequence[str] = (),
) -> TaggedText:
    """Return a text without its things. Each becomes an object in `anchors`.

    Args:
        tagged: the text.
        find: a function that finds the start, the end and the kind of each thing.
        symbols: the characters that the model copies. As many things as possible are replaced by such a character.
    """
    text = tagged.text
    things = list(find(text))
    if not things:
        return tagged
    free = [symbol for symbol in symbols if symbol not in text]
    letters, kept = list(text), [1] * len(text)
    anchors = list(tagged.anchors)
    for start, end, _ in things:
        before, after = text[:start][-1:], text[end : end + 1]
        kept[start:end] = [0] * (end - start)
        symbol = free.pop(0) if free else None
        if symbol:
            letters[start], kept[start] = symbol, 1
        elif before.isspace() and not after.isalnum():
            kept[start - 1] = 0  # without the thing, a single space or none is left
        elif not before and after.isspace():
            kept[end] = 0
        spaces = (not before or before.isspace(), not after or after.isspace())
        stack = tagged.stacks[start]
        anchors.append(Anchor(position=start, content=text[start:end], stack=stack, spaces=spaces, symbol=symbol))
    places = [0, *itertools.accumulate(kept)]
    anchors.sort(key=lambda anchor: anchor.position)
    return TaggedText(
        text="".join(itertools.compress(letters, kept)),
        stacks=list(itertools.compress(tagged.stacks, kept)),
        anchors=[anchor._replace(position=places[anchor.position]) for anchor in anchors],
    )


def localize_numbers(tagged: TaggedText, source: str, target: str) -> TaggedText:
    """Write the numbers of a text with the separators of the target language.

    Args:
        tagged: the text.
        source: its language.
        target: the target language.
    """
    hidden = take_out(tagged, symbols=_STAND_INS)
    things = {anchor.symbol: str(anchor.content) for anchor in hidden.anchors if anchor.symbol}
    objects = [anchor for anchor in hidden.anchors if not anchor.symbol]
    written = {symbol: localize_number(content, source, target) for symbol, content in things.items()}
    return write_symbols(replace(hidden, anchors=objects), written)
