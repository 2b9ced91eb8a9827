"""The texts of an evaluation. They are read from files, or from public test sets that sacreBLEU downloads."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from sacrebleu import DATASETS, get_reference_files, get_source_file

from nmt.data.text_files import read_lines
from nmt.errors import DataError, MachineError
from nmt.evaluation.scores import check_lengths
from nmt.system.files import reason


class Text(NamedTuple):
    """The lines of a text, and the name of the text in messages."""

    name: str
    lines: list[str]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """All texts of an evaluation. A text that is not given is None."""

    source: Text | None
    """The sentences to translate."""
    references: Sequence[Text]
    """The sets of human translations."""
    hypotheses: Text | None
    """Finished translations. If they are not given, models translate the source."""
    baseline: Text | None
    """Translations by another system."""
    frequencies: Text | None
    """The text in which a report counts words. Its lines need not correspond to the lines of the other texts."""

    @classmethod
    def read(
        cls,
        *,
        source: str | None = None,
        references: Sequence[str] = (),
        hypotheses: str | None = None,
        baseline: str | None = None,
        frequencies: str | None = None,
        test_set: str | None = None,
        language_pair: str | None = None,
    ) -> Self:
        """Read all texts from files. If a test set is given, source and references are those of the test set.

        Raises:
            DataError: a text cannot be read, or the texts do not have equal numbers of lines.
            MachineError: the test set cannot be downloaded.
        """
        texts = [read_text(path) if path else None for path in (source, hypotheses, baseline, frequencies)]
        references_read = [read_text(path) for path in references]
        if test_set:
            texts[0], references_read = read_test_set(test_set, language_pair or "")
        read = cls(
            source=texts[0],
            references=references_read,
            hypotheses=texts[1],
            baseline=texts[2],
            frequencies=texts[3],
        )
        read.check()
        return read

    @property
    def reference_sets(self) -> list[list[str]]:
        """The lines of each set of references."""
        return [reference.lines for reference in self.references]

    def check(self) -> None:
        """Check that all texts have equal numbers of lines. Raises DataError: the numbers differ or are 0."""
        texts = (self.hypotheses or self.source, *self.references, self.baseline, self.source)
        check_lengths([text for text in texts if text])


def read_text(path: str) -> Text:
    """Read a text file. The name of the text is the path. Raises DataError: the file cannot be read."""
    return Text(path, list(read_lines(path)))


def read_test_set(name: str, language_pair: str) -> tuple[Text, list[Text]]:
    """Read a public test set, which sacreBLEU downloads when it is first used.

    Args:
        name: the name of the test set, for example `wmt17`. The command `sacrebleu --list` prints all names.
        language_pair: the codes of the source and the target language, for example `en-de`.

    Returns:
        The source text, and the sets of references.

    Raises:
        DataError: the test set or the language pair is unknown.
        MachineError: the test set cannot be downloaded.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=3) or ["wmt17", "wmt24"]
        raise DataError(
            f"{name}: sacrebleu has no such test set; it has {', '.join(near)} and others (sacrebleu --list)"
        )
    pairs = DATASETS[name].langpairs
    if language_pair not in pairs:
        raise DataError(f"{name}: no language pair {language_pair!r}; this test set has {', '.join(pairs)}")
    try:
        source, paths = get_source_file(name, language_pair), get_reference_files(name, language_pair)
    except (Exception, SystemExit) as error:  # sacrebleu exits if a checksum is wrong
        raise MachineError(
            f"{name}: sacrebleu cannot download this test set ({reason(error)}); "
            "check the network, or give the files as --source and --reference"
        ) from error
    references = [Text(f"{name}, references {number}", list(read_lines(path))) for number, path in enumerate(paths, 1)]
    return Text(f"{name}, source", list(read_lines(source))), references
