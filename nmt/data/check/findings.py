"""What checks report, and the interface of a check."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nmt.data.check.chunks import Chunk


class Severity(enum.IntEnum):
    """How much a finding matters."""

    NOTE = 1
    """Training handles it, or it costs little."""
    WARNING = 2
    """It costs quality, or makes scores wrong."""
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
    """A fault of the text."""

    check: str
    """The name of the check, for programs."""
    severity: Severity
    place: str
    """The file or the corpus."""
    message: str
    """What is wrong, with figures."""
    advice: str
    """What to do."""
    share: float
    """The share of the lines that have the fault, which orders findings of one severity."""
    line: int | None = None
    """The number of the first line with the fault, from 1."""
    count: int | None = None
    """The number of lines with the fault."""
    examples: tuple[Example, ...] = ()


class Check(Protocol):
    """A check, which reads all chunks once: first those of validation and held-out text, then those of training text.

    To add a check, write a class with these methods and list it in CHECKS (nmt/data/check/run.py).
    """

    def add(self, chunk: Chunk) -> None:
        """Read the next chunk."""

    def report(self) -> Iterable[Finding]:
        """Report what was found in all chunks."""
