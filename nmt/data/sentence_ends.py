"""Ends of sentences. The package sentencex has rules for about 300 languages, which this module amends."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from sentencex import segment

from nmt.data.sentence_marks import CLOSING, INNER_END

# Ends of sentences that sentencex misses: a full stop before a closing bracket or before several closing marks, an
# ellipsis, and full stops of Southeast Asia. They count if the next text begins with a capital or with a letter of a
# script without capitals. A Chinese full stop before Latin text always counts, and so do ! or ? after Chinese or
# Japanese, and the end of a sentence in Chinese brackets.
_QUOTE = "[\"'”’“‘»›«‹]"
_MISSED_END = re.compile(
    rf"(?:[.!?…]{_QUOTE}*[)\]}}][)\]}}\"'”’“‘»›«‹]*|[.!?…]{_QUOTE}{{2,}}|…|[.!?…]{CLOSING}(?=\s+[(\[]))\s+|[។៕။།]\s*(?=\S)|"
    rf"(?P<chinese>(?<=\w)[。！？](?=[A-Za-z0-9])|(?<=[\u3040-\u9fff])[!?](?![!?]){CLOSING}\s*(?=\S)|"
    r"^[（【〔][^）】〕]*[。！？][）】〕]+(?=\w))"
)
# Marks at a border that sentencex puts on the wrong side, for example around ‚German‘ and ”Swedish” quotations.
_LEADING_MARKS = re.compile(rf"(?:{_QUOTE}|[)\]}}])+(?:\s+|$)")
_OPENING_MARKS = "\"'‚„“”‘’«»‹›([{"
_MARK = re.compile("[\"'“”„‟«»‹›‘‚「」『』《》(\\[{（【〔]")
_LEADING_BRACKETS = re.compile(r"[^\w\s]*[(\[{（【〔]")
_CLOSING_MARK = "[\"'”’“‘»›«‹)\\]}）】〕」』》]"
_AFTER_CLOSING_MARK = re.compile(rf"{_CLOSING_MARK}\s*$")
_BEFORE_CLOSING_MARK = re.compile(rf"{_CLOSING_MARK}(?:{_CLOSING_MARK}|\s|$)")
_SINGLE_QUOTE = re.compile(r"(?<!\S)'")  # elsewhere, this character is mostly an apostrophe
_HIDDEN_QUOTES = dict.fromkeys(map(ord, '"“”„‟«»‹›‘‚「」『』《》'), " ")
_OPENING = "\"'“‘„«‹([{「『【（¿¡-–— "
# The end of a piece that is not a whole sentence: a number or an initial with a full stop, as in "3. May", "M. Dupont".
_NO_SENTENCE = re.compile(r"(?:^\W*\d+|(?:^|[\s(\[“„«\"'.-])[^\W\d_])\.\s+$")


def divide_text(text: str, language: str) -> list[str]:
    """Split a text into sentences. See `nmt.data.sentences.split_sentences`."""
    find_sentences = partial(segment, re.split("[-_]", language)[0].lower())
    parts = [piece for part in _move_marks(list(find_sentences(text))) for piece in _divide(part)]
    pieces = [piece for part in parts for piece in _divide_quotation(part, find_sentences)]
    if "".join(pieces) != text:
        return [text]
    sentences: list[str] = []
    for piece in pieces:
        if sentences and (not piece.strip() or _belongs_together(sentences[-1], piece)):
            sentences[-1] += piece
        else:
            sentences.append(piece)
    return sentences


def _move_marks(parts: list[str]) -> list[str]:
    """Move closing marks to the sentence before them, and opening marks to the sentence after them."""
    for index in range(len(parts) - 1):
        before, after = parts[index : index + 2]
        if not before[-1:].isspace() and (leading := _LEADING_MARKS.match(after)):
            parts[index : index + 2] = before + leading[0], after[leading.end() :]
            continue
        kept = before.rstrip(_OPENING_MARKS)
        if len(kept) < len(before) and kept[-1:].isspace() and not after[:1].isspace():
            parts[index : index + 2] = kept, before[len(kept) :] + after
    return parts


def _divide(part: str) -> Iterator[str]:
    """Divide a sentence that sentencex found at the ends that sentencex misses."""
    start = 0
    for match in _MISSED_END.finditer(part):
        following = part[match.end() :].lstrip(_OPENING)[:1]
        if match["chinese"] or (following and following == following.upper()):
            yield part[start : match.end()]
            start = match.end()
    yield part[start:]


def _divide_quotation(part: str, find_sentences: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """Divide a sentence with a quotation, or within brackets, at the ends of the sentences in it.

    sentencex keeps quotations and brackets together, so their marks are replaced by spaces. The end of a quotation is
    then no longer an end of a sentence, because sentencex has already decided about it.
    """
    if not _MARK.search(part):
        yield part
        return
    brackets = _LEADING_BRACKETS.match(part)
    hidden = _SINGLE_QUOTE.sub(" ", part.translate(_HIDDEN_QUOTES))
    if brackets:
        hidden = " " * brackets.end() + hidden[brackets.end() :]
    if hidden == part or not INNER_END.search(part):
        yield part
        return
    start = end = 0
    for inner in find_sentences(hidden):
        end += len(inner)
        if not _AFTER_CLOSING_MARK.search(part[start:end]) and not _BEFORE_CLOSING_MARK.match(part, end):
            yield part[start:end]
            start = end
    yield part[start:]


def _belongs_together(before: str, after: str) -> bool:
    """Return whether two neighboring pieces of text belong to the same sentence."""
    if not before.strip() or _NO_SENTENCE.search(before):
        return True
    if before.endswith(("」", "』")) and after.startswith("と"):  # in Japanese, と follows a quotation in a sentence
        return True
    # A Latin full stop ends a sentence only before white space, so not in node.js or J.-C.
    return before[-1:].isascii() and not before[-1:].isspace() and after[:1].isascii()
