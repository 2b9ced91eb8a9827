"""Division of text into sentences. The package sentencex has rules for about 300 languages."""

import re
from collections.abc import Iterator

_CLOSING = r"""["'”’»›)\]}」』】）]*"""
# A place where a sentence may end within a text. Text without such a place is one sentence, and needs no sentencex.
_INNER_END = re.compile(rf"[.!?;…‥·։؟۔]{_CLOSING}\s+\S|[^\x00-\xff]{_CLOSING}\s*\S")
# Ends of sentences that sentencex misses: a full stop before a closing bracket, an ellipsis, and full stops of
# Southeast Asia. They count if the next text begins with a capital or with a letter of a script without capitals.
# A Chinese full stop before Latin text always counts, and so does ! or ? after Chinese or Japanese.
_MISSED_END = re.compile(
    rf"(?:[.!?…][)\]}}]+|…|[.!?…]{_CLOSING}(?=\s+[(\[]))\s+|[។៕။།]\s*(?=\S)|"
    rf"(?P<chinese>(?<=\w)[。！？](?=[A-Za-z0-9])|(?<=[\u3040-\u9fff])[!?](?![!?]){_CLOSING}\s*(?=\S))"
)
_OPENING = "\"'“‘„«‹([{「『【（¿¡-–— "
# The end of a piece that is not a whole sentence: a number or an initial with a full stop, as in "3. May", "M. Dupont".
_NO_SENTENCE = re.compile(r"(?:^\W*\d+|(?:^|[\s(\[“„«\"'.-])[^\W\d_])\.\s+$")


def split_sentences(text: str, language: str) -> list[str]:
    """Split a text into sentences. Each sentence includes the white space after it. Joined, they are the text again.

    Args:
        text: a line of text.
        language: the code of the language, such as de or zh-TW. An unknown language has the rules of English.
    """
    if not _INNER_END.search(text):
        return [text] if text else []
    from sentencex import segment  # imported here because few lines need it

    pieces = [piece for part in segment(re.split("[-_]", language)[0].lower(), text) for piece in _divide(part)]
    if "".join(pieces) != text:
        return [text]
    sentences: list[str] = []
    for piece in pieces:
        if sentences and (not piece.strip() or _belongs_together(sentences[-1], piece)):
            sentences[-1] += piece
        else:
            sentences.append(piece)
    return sentences


def _divide(part: str) -> Iterator[str]:
    """Divide a sentence that sentencex found at the ends that sentencex misses."""
    start = 0
    for match in _MISSED_END.finditer(part):
        following = part[match.end() :].lstrip(_OPENING)[:1]
        if match["chinese"] or (following and following == following.upper()):
            yield part[start : match.end()]
            start = match.end()
    yield part[start:]


def _belongs_together(before: str, after: str) -> bool:
    """Return whether two neighboring pieces of text belong to the same sentence."""
    if not before.strip() or _NO_SENTENCE.search(before):
        return True
    if before.endswith(("」", "』")) and after.startswith("と"):  # in Japanese, と follows a quotation in a sentence
        return True
    # A Latin full stop ends a sentence only before white space, so not in node.js or J.-C.
    return before[-1:].isascii() and not before[-1:].isspace() and after[:1].isascii()
