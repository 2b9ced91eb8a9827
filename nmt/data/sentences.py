"""Division of text into sentences, by the rules of sentencex for about 300 languages."""

import re
from collections.abc import Iterator

_CLOSING = r"""["'”’»›)\]}」』】）]*"""
# Text without such a place is a single sentence, and sentencex is not imported for it.
_INNER_END = re.compile(rf"[.!?;…‥·։؟۔]{_CLOSING}\s+\S|[^\x00-\xff]{_CLOSING}\s*\S")
# Ends of sentences at which sentencex does not divide: a full stop before a closing bracket, an ellipsis, and full
# stops of Southeast Asia. The next sentence begins with a capital, or with a letter of a script without capitals.
# Chinese full stops before Latin text, and ! and ? after Chinese and Japanese, are ends whatever follows.
_MISSED_END = re.compile(
    rf"(?:[.!?…][)\]}}]+|…|[.!?…]{_CLOSING}(?=\s+[(\[]))\s+|[។៕။།]\s*(?=\S)|"
    rf"(?P<chinese>(?<=\w)[。！？](?=[A-Za-z0-9])|(?<=[\u3040-\u9fff])[!?](?![!?]){_CLOSING}\s*(?=\S))"
)
_OPENING = "\"'“‘„«‹([{「『【（¿¡-–— "
# A piece that is not a sentence: a number or an initial before a full stop, as in "3. May" and "M. Dupont".
_NO_SENTENCE = re.compile(r"(?:^\W*\d+|(?:^|[\s(\[“„«\"'.-])[^\W\d_])\.\s+$")


def split_sentences(text: str, language: str) -> list[str]:
    """Split a text into sentences. Each sentence includes the white space after it, so joined they are the text again.

    Args:
        text: a line of text.
        language: the code of its language, such as de or zh-TW. The rules of English are used for unknown languages.
    """
    if not _INNER_END.search(text):
        return [text] if text else []
    from sentencex import segment  # imported for few lines

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
    """Divide a sentence of sentencex at the ends that sentencex does not know."""
    start = 0
    for match in _MISSED_END.finditer(part):
        following = part[match.end() :].lstrip(_OPENING)[:1]
        if match["chinese"] or (following and following == following.upper()):
            yield part[start : match.end()]
            start = match.end()
    yield part[start:]


def _belongs_together(before: str, after: str) -> bool:
    """Return whether two pieces of text that sentencex divides are one sentence."""
    if not before.strip() or _NO_SENTENCE.search(before):
        return True
    if before.endswith(("」", "』")) and after.startswith("と"):  # Japanese: a quotation, and who said it
        return True
    # Latin full stops end a sentence only before white space: not in node.js or J.-C.
    return before[-1:].isascii() and not before[-1:].isspace() and after[:1].isascii()
