"""Checks of language and script. They find swapped sides, and lines and files in the wrong language."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmt.data.check.chunks import SIDES, Chunk, Place, Sample
from nmt.data.check.findings import MAX_EXAMPLES, Example, Finding, Severity
from nmt.data.check.languages import LINES_PER_LANGUAGE, OTHER, LanguageIdentifier
from nmt.data.check.names import (
    FUNCTION_WORDS,
    expected_script,
    guess_foreign,
    guess_language,
    name_language,
    script_of,
    share_of_words,
    short_code,
)

SURE = 0.99  # a line counts as foreign if the probability of another language is at least this
LETTERS = 20  # the language of lines with fewer letters, such as names, is uncertain
_SWAPPED = 0.002  # the smallest share of swapped pairs that is reported
_FOREIGN = 0.01  # the smallest share of lines in another language that is reported
# The smallest shares of lines in an unknown language that are reported: in training text, and in the other sets. The
# other sets may have another domain, which looks like another language.
_UNKNOWN, _UNKNOWN_OTHER_SET = 0.02, 0.3
_FEWEST = 10  # the smallest number of swapped pairs or foreign lines that is reported
_SEVERE = 0.2  # from this share of swapped or foreign lines on, the fault is severe
_RELEARN = 0.005  # if more lines are foreign than this share, the languages are learned again without these lines
# A file is in another language if this share of its words, and this many times the share of the expected language, are
# frequent words of the other language.
_KNOWN_SHARE = 0.15
_KNOWN_FACTOR = 1.7
_STRANGE_SHARE = 0.3  # the same share if the frequent words of the expected language are unknown
_WORDS = 300  # this many words are enough to judge a whole file
_NAMED_SHARE = 0.2  # foreign lines get the name of a language if this share of their words is frequent in it


@dataclass
class _SideCounts:
    """The counts and examples of one side of a corpus."""

    lines: int = 0
    words: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)
    """The number of lines in each wrong language. The keys are languages of the corpora, and OTHER."""
    foreign_words: Counter[str] = field(default_factory=Counter)
    """The words of lines in OTHER."""
    examples: dict[str, list[Example]] = field(default_factory=lambda: defaultdict(list))
    first: dict[str, int] = field(default_factory=dict)
    """The number of the first line in each wrong language."""

    def report(self, place: Place, side: int, step: int) -> Iterator[Finding]:
        """Report a wrong language if enough lines have it. `step` is `Sample.step`, which scales the counts."""
        for name, count in self.foreign.items():
            share = count / max(1, self.lines)
            best, known = guess_language(self.foreign_words) if name == OTHER else (name, 1.0)
            named = best is not None and known >= _NAMED_SHARE
            if named and short_code(str(best)) == short_code(place.languages[side]):
                continue  # another domain or dialect
            least = _FOREIGN if named else _UNKNOWN if place.set == "train" else _UNKNOWN_OTHER_SET
            if share < least or count < _FEWEST:
                continue
            other = name_language(str(best)) if named else "another language"
            untranslated = name == place.languages[1 - side]
            yield Finding(
                check="untranslated-lines" if untranslated else "foreign-lines",
                severity=Severity.SEVERE if share >= _SEVERE else Severity.WARNING,
                place=place.files[side],
                message=f"{share:.1%} of the lines are in {other}, not in {name_language(place.languages[side])}"
                + (" as in the training text" if place.set != "train" else ""),
                advice="leave these pairs out (--fix does)",
                share=share,
                line=self.first[name],
                count=count * step,
                examples=tuple(self.examples[name]),
            )


@dataclass
class _CorpusCounts:
    """The counts and examples of a corpus."""

    sides: tuple[_SideCounts, _SideCounts] = field(default_factory=lambda: (_SideCounts(), _SideCounts()))
    pairs: int = 0
    swapped: int = 0
    examples: list[Example] = field(default_factory=list)
    """Swapped pairs."""
    first: int = 0
    """The number of the first swapped pair, or 0."""

    def add(self, chunk: Chunk, identifier: LanguageIdentifier) -> None:
        """Count the lines of a chunk by language."""
        languages = identify_chunk(chunk, identifier)
        self.pairs += len(chunk)
        self.swapped += int(languages.swapped.sum())
        for index in np.flatnonzero(languages.swapped)[: MAX_EXAMPLES - len(self.examples)].tolist():
            self.first = self.first or chunk.first + index + 1
            example = Example(where=chunk.place.locate(0, chunk.first + index), text=chunk.sides[0].lines[index])
            self.examples.append(example)
        for side in SIDES:
            each, lines = self.sides[side], chunk.sides[side].lines
            each.words.update(chunk.sides[side].words)
            each.lines += len(chunk)
            for index in np.flatnonzero(languages.foreign[side] >= 0).tolist():
                name = (*identifier.languages, OTHER)[languages.foreign[side][index]]
                each.foreign[name] += 1
                each.first.setdefault(name, chunk.first + index + 1)
                if name == OTHER:
                    each.foreign_words.update(lines[index].lower().split())
                if len(each.examples[name]) < MAX_EXAMPLES:
                    where = chunk.place.locate(side, chunk.first + index)
                    each.examples[name].append(Example(where=where, text=lines[index]))

    def report(self, place: Place, step: int) -> Iterator[Finding]:
        """Report swapped pairs if there are enough of them. `step` is `Sample.step`, which scales the counts."""
        share = self.swapped / max(1, self.pairs)
        if share < _SWAPPED or self.swapped < min(_FEWEST, self.pairs):
            return
        source, target = map(name_language, place.languages)
        whole = (
            "the sides are swapped: the source is"
            if share > 0.5
            else f"{share:.1%} of the pairs are swapped: the source is"
        )
        yield Finding(
            check="swapped",
            severity=Severity.SEVERE if share >= _SEVERE else Severity.WARNING,
            place=place.name,
            message=f"{whole} {target}, the target {source}"
            + (" (compared with the training text)" if place.set != "train" else ""),
            advice="exchange the sides (--fix does)" if share <= 0.5 else "exchange the files or columns",
            share=share,
            line=self.first,
            count=self.swapped * step,
            examples=tuple(self.examples),
        )


class Languages:
    """Finds pairs with swapped sides, and lines and files in the wrong language."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.identifier: LanguageIdentifier | None = None
        """The model of the languages in the training text, after `report` has learned it."""

    def add(self, chunk: Chunk) -> None:
        """Do nothing, because the check reads the sample."""

    def report(self) -> Iterable[Finding]:
        """Learn the languages from the training text. Report lines and files that are in another language."""
        self.identifier = identifier = learn_languages(self._sample)
        if identifier is None:
            return
        found: dict[Place, _CorpusCounts] = defaultdict(_CorpusCounts)
        for chunk in self._sample:
            found[chunk.place].add(chunk, identifier)
        for place, each in found.items():
            whole = [_judge_file(each.sides[side].words, place, side) for side in SIDES]
            yield from (finding for finding in whole if finding)
            yield from each.report(place, self._sample.step)
            for side in SIDES:
                if not whole[side]:
                    yield from each.sides[side].report(place, side, self._sample.step)


def learn_languages(sample: Sample) -> LanguageIdentifier | None:
    """Learn the languages of the training text. Return None if the training text is empty.

    If the model assigns more than a small share of the lines to a wrong language, the languages are learned again
    without these lines.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    for chunk in sample:
        if chunk.place.set == "train":
            for side in SIDES:
                texts[chunk.place.languages[side]] += chunk.sides[side].lines
    texts = {name: lines[:: -(-len(lines) // LINES_PER_LANGUAGE) or 1] for name, lines in texts.items()}
    texts = {name: lines for name, lines in texts.items() if any(lines)}
    if not texts:
        return None
    identifier = LanguageIdentifier.learn(texts)
    kept = {}
    for row, (name, lines) in enumerate(texts.items()):
        foreign = identifier.identify_lines(lines)[row] < 1 - SURE
        kept[name] = [line for line, other in zip(lines, foreign, strict=True) if not other] or lines
    if any(len(kept[name]) < (1 - _RELEARN) * len(texts[name]) for name in texts):
        return LanguageIdentifier.learn(kept)
    return identifier


@dataclass(frozen=True, kw_only=True)
class ChunkLanguages:
    """The pairs of a chunk that are not in the languages of their corpus. Pairs with little text are not counted."""

    swapped: NDArray[np.bool_]
    """A mask of the pairs whose source is in the target language and whose target is in the source language."""
    foreign: tuple[NDArray[np.int64], NDArray[np.int64]]
    """For each line of a side, the index of the wrong language of the line in `identifier.languages`. The index after
    the last language means OTHER. Lines that are not foreign and lines of swapped pairs have the index -1."""


def identify_chunk(chunk: Chunk, identifier: LanguageIdentifier) -> ChunkLanguages:
    """Find the pairs of a chunk that are surely not in the languages of their corpus."""
    names = (*identifier.languages, OTHER)
    probabilities = [identifier.identify_lines(side.lines) for side in chunk.sides]
    enough = [side.letter_counts >= LETTERS for side in chunk.sides]
    expected = [names.index(language) if language in names else -1 for language in chunk.place.languages]
    swapped = enough[0] & enough[1] & (expected[0] != expected[1] and min(expected) >= 0)
    for side in SIDES:
        swapped &= probabilities[side][expected[1 - side]] >= SURE
    foreign, usual = [], {short_code(language) for language in chunk.place.languages}
    for side in SIDES:
        sure = (probabilities[side].max(axis=0) >= SURE) & enough[side] & ~swapped
        winners = probabilities[side].argmax(axis=0)
        found = np.where(sure & (winners != expected[side]) & (expected[side] >= 0), winners, -1)
        # If the training text has many lines of a third language, the identifier learns them as part of the language of
        # the side. Their frequent words show that they are foreign.
        for index in np.flatnonzero(enough[side] & ~swapped & (found < 0)).tolist():
            if guess_foreign(chunk.sides[side].lines[index], usual):
                found[index] = len(identifier.languages)
        foreign.append(found)
    return ChunkLanguages(swapped=swapped, foreign=(foreign[0], foreign[1]))


def _judge_file(words: Counter[str], place: Place, side: int) -> Finding | None:
    """Report a side if its script or its frequent words do not belong to the configured language."""
    language = place.languages[side]
    if words.total() < _WORDS:
        return None
    scripts: Counter[str] = Counter()
    for word, count in words.items():
        if script := script_of(word[0]):
            scripts[script] += count
    script, wanted = max(scripts, key=lambda name: scripts[name], default=None), expected_script(language)
    best, share = guess_language(words)
    known = share_of_words(words, short_code(language)) if short_code(language) in FUNCTION_WORDS else None
    if best is None or best == short_code(language):
        reads_like = ""
    elif known is not None:
        reads_like = name_language(best) if share >= max(_KNOWN_SHARE, _KNOWN_FACTOR * known) else ""
    else:
        reads_like = name_language(best) if share >= _STRANGE_SHARE else ""
    if script and wanted and script != wanted and not (script == "CJK" and wanted == "HANGUL"):
        message = (
            f"is written in {script.capitalize()} letters, but {name_language(language)} text in {wanted.capitalize()}"
        )
    elif reads_like:
        message = f"reads like {reads_like}, not {name_language(language)}"
    else:
        return None
    return Finding(
        check="wrong-language",
        severity=Severity.SEVERE,
        place=place.files[side],
        message=f"the {('source', 'target')[side]} side {message}",
        advice="check the order and the names of the files, and data.source_language and data.target_language",
        share=1.0,
    )
