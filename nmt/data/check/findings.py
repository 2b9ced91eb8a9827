"""The findings that checks report, and the interface of a check."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nmt.data.check.chunks import Chunk

MAX_EXAMPLES = 3
"""The largest number of examples of a finding."""


class Severity(enum.IntEnum):
    """The severity of a finding."""

    NOTE = 1
    """Training handles the fault, or the fault costs little."""
    WARNING = 2
    """The fault costs quality, or makes scores wrong."""
    SEVERE = 3
    """The model cannot learn from this text, or its scores mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A line that shows a fault."""

    where: str
    """The file and the line number."""
    text: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A fault that a check found."""

    check: str
    """The name of the fault, such as `duplicates`. It is meant for programs."""
    severity: Severity
    place: str
    """The name of the file or the corpus."""
    message: str
    """A description of the fault, with figures."""
    advice: str
    """What the user can do."""
    share: float
    """The share of lines with the fault. Findings of the same severity are sorted by it."""
    line: int | None = None
    """The number of the first line with the fault, counted from 1."""
    count: int | None = None
    """The number of lines with the fault."""
    examples: tuple[Example, ...] = ()


class Check(Protocol):
    """A check of text. It reads each chunk once. Chunks of validation and held-out text come before training text.

    To add a check, write a class with these methods and list it in `check_corpora` (nmt/data/check/run.py).
    """

    def add(self, chunk: Chunk) -> None:
        """Read the next chunk."""

    def report(self) -> Iterable[Finding]:
        """Report the faults of all chunks. It is called once, after all chunks have been read."""
