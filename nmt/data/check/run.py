"""The function that checks the corpora of a configuration. It reads each corpus once and runs all checks.

To add a check of single lines, list a fault in LINE_FAULTS (nmt/data/check/lines.py). To add any other check, write a
class with the methods of `Check` (nmt/data/check/findings.py) and list it in `check_corpora`.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig
from nmt.data.check.alignment import Alignment, Break
from nmt.data.check.characters import UnseenCharacters, Variants
from nmt.data.check.chunks import MAX_CHUNK_PAIRS, Chunk, Place, Sample, Set, SideLines
from nmt.data.check.differences import Case, UnseenWords
from nmt.data.check.findings import Check, Finding, Severity
from nmt.data.check.languages import LanguageIdentifier
from nmt.data.check.lines import LineFaults
from nmt.data.check.repeats import Boilerplate, Duplicates, Leakage
from nmt.data.check.sides import Languages
from nmt.data.cleaning import split_chunks
from nmt.data.pair import Pair
from nmt.data.readers import corpus_files, describe_corpus, expand_path, read_pairs
from nmt.errors import DataError

SAMPLE_BYTES = 64_000_000
"""The largest size of the text from which languages are learned, in bytes. Larger text is sampled evenly."""

# A quick check reads the text of the first _QUICK_CHUNKS chunks of a corpus, and then of one chunk in _QUICK_STEP.
_QUICK_PAIRS, _QUICK_CHUNKS, _QUICK_STEP = 4_000, 2, 32

# Training text comes last, because checks compare each of its chunks with the other sets.
SETS: tuple[Set, ...] = ("valid", "held_out", "train")


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The result of checking corpora. The worst findings come first."""

    findings: tuple[Finding, ...]
    pairs: dict[Place, int]
    """The number of pairs of each corpus."""
    step: int
    """The checks of languages and of boilerplate read one chunk in this many."""
    identifier: LanguageIdentifier | None = None
    """The model of the languages in the training text, or None if the training text is empty."""
    breaks: Mapping[Place, Sequence[Break]] = field(default_factory=dict)
    """The misaligned parts of each corpus."""
    apostrophes: tuple[str | None, str | None] = (None, None)
    """For each side, the apostrophe that replaces all other apostrophes, or None if the side has only one kind."""

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding, or None if there are no findings."""
        return max((finding.severity for finding in self.findings), default=None)


def check_corpora(data: DataConfig, *, quick: bool = False) -> CheckReport:
    """Check the training, validation and held-out corpora of a configuration. Each corpus is read once.

    Args:
        data: the corpora, the languages and the limits.
        quick: whether to look only for costly faults in a part of the text. A quick check reads the lengths of all
            training pairs, and the text of one chunk in 32. Of streams, validation and held-out text, it reads only the
            first 4,000 pairs.

    Raises:
        DataError: a corpus is missing, has no text, or cannot be read at all. A corpus that becomes unreadable after
            some pairs is a finding instead.
        MachineError: the package that reads .zst files is needed but not installed.
    """
    sample = Sample(SAMPLE_BYTES)
    alignment, languages, variants = Alignment(), Languages(sample), Variants()
    checks: list[Check] = [
        languages,
        variants,
        Leakage(ignore_exact=quick and data.drop_overlap),
        Case(),
        LineFaults(data),
    ]
    if not quick:
        checks += [UnseenWords(), UnseenCharacters(), Boilerplate(sample), Duplicates()]
    findings, pairs = list[Finding](), dict[Place, int]()
    for name in SETS:
        if quick and name == "held_out" and not data.drop_overlap:
            continue  # training does not read these corpora
        for corpus in list_corpora(data, name):
            place = locate(corpus, data, name)
            pairs[place] = 0
            limit = _QUICK_PAIRS if quick and (corpus.streaming or name != "train") else None
            try:
                for number, chunk in enumerate(read_chunks(corpus, data, place, limit)):
                    pairs[place] += len(chunk)
                    alignment.add(chunk)
                    if quick and number >= _QUICK_CHUNKS and number % _QUICK_STEP:
                        continue
                    sample.add(chunk)
                    for check in checks:
                        check.add(chunk)
            except DataError as error:
                if not pairs[place]:
                    raise
                findings.append(_report_end(place, error))
            if not pairs[place]:
                raise DataError(f"data.{name}: {place.name}: contains no sentence pairs; check the file")
    for check in (alignment, *checks):
        findings += check.report()
    findings.sort(key=lambda finding: (-finding.severity, -finding.share, finding.check, finding.place))
    return CheckReport(
        findings=tuple(findings),
        pairs=pairs,
        step=sample.step,
        identifier=languages.identifier,
        breaks=alignment.breaks,
        apostrophes=variants.choose_apostrophes(),
    )


def list_corpora(data: DataConfig, name: Set) -> list[CorpusConfig]:
    """Return the corpora of a set. A pattern names several. Raises DataError: a pattern matches no file."""
    return [part for corpus in getattr(data, name) for part in expand_path(corpus, data)]


def locate(corpus: CorpusConfig, data: DataConfig, name: Set) -> Place:
    """Return the names of a corpus and its files for findings. Raises DataError: a file is missing."""
    files = [str(file) for file in corpus_files(corpus, data)] if corpus.dataset is None else [describe_corpus(corpus)]
    return Place(set=name, name=describe_corpus(corpus), files=(files[0], files[-1]), languages=data.languages(corpus))


def read_chunks(corpus: CorpusConfig, data: DataConfig, place: Place, limit: int | None = None) -> Iterator[Chunk]:
    """Read a corpus in chunks. If a pair is unreadable, all pairs before it are yielded before the error is raised."""
    pairs, error = read_pairs(corpus, data), list[DataError]()

    def read_until_error() -> Iterator[Pair]:
        try:
            yield from itertools.islice(pairs, limit)
        except DataError as raised:
            error.append(raised)

    first = 0
    for chunk in split_chunks(read_until_error(), MAX_CHUNK_PAIRS):
        source, target = zip(*(pair.sides for pair in chunk), strict=True)
        yield Chunk(place=place, first=first, sides=(SideLines(source), SideLines(target)))
        first += len(chunk)
    if error:
        raise error[0]


def _report_end(place: Place, error: DataError) -> Finding:
    message, _, advice = str(error).partition("; ")
    return Finding(
        check="unreadable-end",
        severity=Severity.SEVERE,
        place=place.name,
        message=message,
        advice=advice or "correct the file",
        share=1.0,
    )
