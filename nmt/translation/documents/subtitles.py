"""Subtitles (.srt, .vtt): only the texts of cues change, and not their times.

A sentence that goes over several cues is translated as a whole. Its translation is divided like the source: each cue
has as many lines as it had, and each line about the same share of the text.
"""

import html
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nmt.errors import DataError
from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.translation.documents.document import Context, Document
from nmt.translation.documents.encoding import decode
from nmt.translation.documents.passage import Passage, Role, pair_objects, restore_objects
from nmt.translation.pieces import Piece
from nmt.translation.tagged import TaggedText

_TIME = re.compile(r"\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}")
_CODE = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.]*>|\{\\?[a-zA-Z][^{}]*\}|\{\\[^{}]*\}")
_NAME = re.compile(r"<(/?)([A-Za-z]+)")
_DASH = re.compile(r"\s*(?:[-–—]\s*|>>\s*)")  # another person speaks
_MAX_CUES = 6  # the limit of cues that a sentence goes over


def read_srt(data: bytes, context: Context) -> Document:
    """Read subtitles of SubRip."""
    return _Subtitles(data, context, escaped=False)


def read_vtt(data: bytes, context: Context) -> Document:
    """Read WebVTT."""
    return _Subtitles(data, context, escaped=True)


@dataclass(frozen=True)
class _Object:
    """A tag or another code in a cue."""

    code: str


class _Subtitles(Document):
    def __init__(self, data: bytes, context: Context, *, escaped: bool) -> None:
        text, self._form = decode(data, context.name)
        self._lines = text.split("\n")
        cues = list(_find_cues(self._lines))
        if not cues and text.strip():
            raise DataError(f"{context.name}: has no line with times (00:00:01,000 --> 00:00:02,000); check its ending")
        spaced = language_code(context.target) not in WITHOUT_SPACES
        self._sentences = [_Sentence(lines, self._lines, escaped, spaced) for lines in _join_cues(cues, self._lines)]
        self.texts = [text for sentence in self._sentences for text in sentence.texts]

    def write(self, translations: Sequence[TaggedText]) -> bytes:
        place = 0
        for sentence in self._sentences:
            sentence.write(self._lines, translations[place : place + len(sentence.texts)])
            place += len(sentence.texts)
        return self._form.encode("\n".join(self._lines))


def _find_cues(lines: Sequence[str]) -> Iterator[range]:
    """Yield the lines of text of each cue."""
    place = 0
    while place < len(lines):
        start = place = place + 1
        if _TIME.match(lines[start - 1]):
            while place < len(lines) and lines[place].strip() and not _TIME.match(lines[place]):
                place += 1
            yield range(start, place)


def _join_cues(cues: Sequence[range], lines: Sequence[str]) -> Iterator[list[range]]:
    """Yield the lines of each text: a part of a cue, a cue, or several cues with one sentence."""
    waiting: list[range] = []
    for cue in cues:
        # Each person who speaks in a cue has a text.
        starts = [place for place in cue if _DASH.match(lines[place])]
        if len(starts) > 1:
            cuts = [cue.start, *(place for place in starts if place > cue.start), cue.stop]
            parts = [range(start, end) for start, end in itertools.pairwise(cuts)]
        else:
            parts = [cue] if cue else []
        for part in parts:
            if waiting and (len(waiting) == _MAX_CUES or not _continues(lines, waiting[-1], part)):
                yield waiting
                waiting = []
            waiting.append(part)
    if waiting:
        yield waiting


def _continues(lines: Sequence[str], before: range, after: range) -> bool:
    """Return whether a sentence goes from one cue to the next."""
    if any(_CODE.search(lines[place]) for place in (*before, *after)) or _DASH.match(lines[after[0]]):
        return False
    last, first = lines[before[-1]].rstrip(), lines[after[0]].lstrip(" ….")
    return last[-1:] not in tuple('.!?:;"”»)]♪') and first[:1].islower()


def _read(text: str, escaped: bool) -> Iterator[Piece]:
    """Yield the texts and the codes of a cue."""
    place = 0
    for match in itertools.chain(_CODE.finditer(text), [None]):
        part = text[place : match.start() if match else len(text)]
        yield html.unescape(part) if escaped else part, ()
        if match:
            yield _Object(match[0]), ()
            place = match.end()


def _find_role(item: object) -> Role | None:
    """Return what a code is in its pair: the start or the end of italics, for example."""
    match = _NAME.match(item.code) if isinstance(item, _Object) else None
    return (match[2], not match[1]) if match else None


class _Sentence:
    """A text, and the lines that it fills."""

    def __init__(self, cues: Sequence[range], lines: Sequence[str], escaped: bool, spaced: bool) -> None:
        self._places = [place for cue in cues for place in cue]
        self._escaped, self._spaced = escaped, spaced
        content = [lines[place] for place in self._places]
        self._lengths = [max(1, len(_CODE.sub("", line).strip())) for line in content]
        dash = _DASH.match(content[0])
        self._lead = dash[0] if dash else ""
        pieces = list(_read("\n".join(content)[len(self._lead) :], escaped))
        pieces, self._pairs = pair_objects(pieces, _find_role, itertools.count())
        self._passage = Passage(pieces)
        self.texts = self._passage.texts

    def write(self, lines: list[str], translations: Sequence[TaggedText]) -> None:
        """Write the translation into the lines of the document."""
        if not self.texts:
            return
        pieces = restore_objects(self._passage.write(translations), self._pairs)
        written: list[str] = []
        for item, _ in pieces:
            if isinstance(item, _Object):
                written.append(item.code)
            elif isinstance(item, str):
                text = item.replace("\n", " ")
                written.append(html.escape(text, quote=False) if self._escaped else text)
        parts = break_lines("".join(written), self._lengths, spaced=self._spaced)
        for place, part in zip(self._places, parts, strict=True):
            lines[place] = part or "…"  # a blank line would end the cue
        lines[self._places[0]] = self._lead + lines[self._places[0]]


def break_lines(text: str, lengths: Sequence[int], *, spaced: bool = True) -> list[str]:
    """Divide a text into lines.

    Args:
        text: the text. Its codes, such as tags, have no length.
        lengths: the lengths of the lines of the source. Each line gets about the same share of the text.
        spaced: whether lines end at spaces.

    Returns:
        As many lines as there are lengths. Lines at the end are empty if there are too few words.
    """
    visible = [True] * len(text)
    for match in _CODE.finditer(text):
        visible[match.start() : match.end()] = [False] * (match.end() - match.start())
    before = [0, *itertools.accumulate(visible)]  # the number of visible characters before each place
    allowed = [
        place
        for place in range(1, len(text))
        if visible[place]
        and (text[place] == " " or not (spaced or not visible[place - 1] or text[place] in "，。、！？"))
    ]
    cuts: list[int] = []
    done = 0
    for length in lengths[:-1]:
        done += length
        wanted = before[-1] * done / sum(lengths)
        left = [place for place in allowed if place > (cuts[-1] if cuts else 0)]
        if not left:
            break
        # A place after a comma may be a little further away.
        bonus = 0.08 * before[-1]
        cuts.append(min(left, key=lambda place: abs(before[place] - wanted) - bonus * (text[place - 1] in ",;.:!?")))
    parts = [text[start:end].strip() for start, end in itertools.pairwise([0, *cuts, len(text)])]
    return parts + [""] * (len(lengths) - len(parts))
