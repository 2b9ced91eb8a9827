"""The unit that a task processes: a text, or a text with its translation, from a line, an object or a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a shard."""

    text: str | None
    """The text, or None if there is nothing to process."""
    target: str = ""
    """Its translation, for tasks that read pairs."""
    row: Any = field(default=None, kw_only=True)
    """The object of a JSON line."""
    fault: str | None = field(default=None, kw_only=True)
    """Why the line cannot be processed, or None."""
    shown: str = field(default="", kw_only=True)
    """What is recorded of a line that cannot be processed."""


Work = Callable[[Sequence[Item]], list[str]]
"""A function that returns the result of each item, as one line."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of the keys or columns of a job. In plain text, they only say whether a line has two columns."""

    source: str
    target: str | None
    """The column of the translation, or None if the task reads no pairs."""
    result: str
    """The column that is added."""


def failed_item(shown: str, fault: str, row: Any = None) -> Item:
    """Return the item of a line that cannot be processed."""
    return Item(text=None, fault=fault, shown=shown, row=row)
