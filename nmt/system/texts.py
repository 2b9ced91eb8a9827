"""Checks of the texts that callers of the Python API pass.

A string is always one text. Without these checks, code that expects a list would read a string as a list of letters.
"""

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from nmt.errors import DataError

T = TypeVar("T")


def as_texts(texts: Iterable[str], name: str) -> list[str]:
    """Return texts as a list of plain strings. A single string becomes a list of one text.

    Args:
        texts: a string, or any iterable of strings, for example a list, a generator or a column of a data frame.
        name: the name of the caller's argument, for error messages.

    Raises:
        TypeError: `texts` is neither a string nor an iterable, or one of its items is not a string. In the second case,
            the message contains the position of the item.
    """
    return [str.__str__(text) for text in as_list(texts, name, (str,))]  # `__str__` converts numpy.str_ to str


def as_sets(sets: str | Iterable[str] | Iterable[Iterable[str]], name: str) -> list[list[str]]:
    """Return sets of texts as a list of lists. A list of strings is one set. A single string is one set with one text.

    Raises:
        DataError: `sets` is empty.
        TypeError: `sets` is not iterable, or has no order, or an item is neither a text nor a list of texts.
    """
    if isinstance(sets, str):
        return [as_texts(sets, name)]
    if not isinstance(sets, Iterable) or isinstance(sets, bytes | set | Mapping) or hasattr(sets, "columns"):
        raise TypeError(f"{name} is {_describe(sets)}; give a list of texts, or a list of such lists")
    items = list(sets)
    if not items:
        raise DataError(f"no {name}; give at least one set of them")
    if isinstance(items[0], str):
        return [as_texts(cast(list[str], items), name)]
    return [as_texts(lines, f"{name}[{index}]") for index, lines in enumerate(items)]


def as_list(items: Any, name: str, kinds: tuple[type[T], ...]) -> list[T]:
    """Return items as a list. A single item becomes a list of one item.

    Raises:
        TypeError: an item has none of the types in `kinds`, or `items` is not iterable or has no order.
    """
    wanted = " or a ".join(kind.__name__ for kind in kinds)
    if isinstance(items, kinds):
        return [items]
    fault = f"{name} is {_describe(items)}; give a {wanted}, or a list of them"
    if isinstance(items, bytes | bytearray | memoryview):
        raise TypeError(f"{name} is {_describe(items)}; decode it: {name}.decode()")
    # A set has no order. Iteration over a mapping, a table or a matrix does not yield texts.
    if isinstance(items, set | frozenset | Mapping) or getattr(items, "ndim", 1) != 1:
        raise TypeError(fault)
    try:
        found = iter(items)
    except TypeError:
        raise TypeError(fault) from None
    checked = []
    for index, item in enumerate(found):
        if not isinstance(item, kinds):
            raise TypeError(f"{name}[{index}] is {_describe(item)}, not a {wanted}; correct it or leave it out")
        checked.append(item)
    return checked


def _describe(value: object) -> str:
    if value is None:
        return "None"
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}."
    return f"{module}{kind.__qualname__} ({' '.join(reprlib.repr(value).split())})"
