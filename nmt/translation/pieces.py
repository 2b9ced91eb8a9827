"""Inline content as a list of pieces: texts, and objects such as empty elements, each with its stack of tags."""

from collections.abc import Callable, Sequence

from nmt.translation.tagged import Anchor, Stack, TaggedText


class Thing(str):
    """An object that is like a word of the text, and is written as it is."""

    __slots__ = ()


Piece = tuple[object, Stack]
"""A text (str), or an object (anything else, also `Thing`), and its tags, the outermost first."""


def join_pieces(
    pieces: Sequence[Piece], breaks: Callable[[object], bool] = lambda _: False
) -> tuple[str, TaggedText, str]:
    """Join pieces into a text.

    Line breaks and tabs in texts are spaces. If an object has spaces on both sides, they become one.

    Args:
        pieces: the pieces.
        breaks: a function that returns whether an object ends a line, so that it separates words.

    Returns:
        The spaces before the text, the text, and the spaces after it.
    """
    text, stacks, anchors = "", list[Stack](), list[Anchor]()
    for piece, stack in pieces:
        if isinstance(piece, str) and not isinstance(piece, Thing):
            words = " ".join(piece.split()) if "\n" in piece or "\r" in piece or "\t" in piece else piece
            if words != piece:
                words = " " * piece[:1].isspace() + words + " " * (piece[-1:].isspace() and bool(words))
            text += words
            stacks += [stack] * len(words)
        else:
            anchors.append(Anchor(position=len(text), content=piece, stack=stack))
    # Spaces at the ends stay where they are. Those next to an object belong to the text.
    places = [anchor.position for anchor in anchors]
    start = min([len(text) - len(text.lstrip()), *places])
    end = max([len(text.rstrip()), *places])
    tagged = TaggedText(text=text, stacks=stacks, anchors=anchors)
    return text[:start], _close_gaps(tagged, start, end, breaks), text[end:]


def _close_gaps(tagged: TaggedText, start: int, end: int, breaks: Callable[[object], bool]) -> TaggedText:
    """Return a part of a text in which objects are as `TaggedText` has them: one space or none where an object was."""
    text, stacks, anchors = "", list[Stack](), list[Anchor]()
    done = start
    for anchor in tagged.anchors:
        place = min(max(anchor.position, start), end)
        text += tagged.text[done:place]
        stacks += tagged.stacks[done:place]
        done = place
        before, after = text[-1:].isspace() or not text, tagged.text[done : min(done + 1, end)]
        if before and after == " " and text:
            stacks[-1] = tagged.stacks[done]  # the spaces before and after the object become one
            done += 1
            anchors.append(anchor._replace(position=len(text) - 1, spaces=(True, True)))
            continue
        if breaks(anchor.content) and text and not before and after and not after.isspace():
            anchors.append(anchor._replace(position=len(text), spaces=(False, False)))
            text, stacks = text + " ", [*stacks, anchor.stack]  # words on two lines are two words
            continue
        anchors.append(anchor._replace(position=len(text), spaces=(bool(text) and before, after.isspace())))
    text += tagged.text[done:end]
    stacks += tagged.stacks[done:end]
    stripped = text.lstrip()
    first, last = len(text) - len(stripped), len(text.rstrip())
    return TaggedText(
        text=text[first:last],
        stacks=stacks[first:last],
        anchors=[anchor._replace(position=min(max(anchor.position, first), last) - first) for anchor in anchors],
    )
