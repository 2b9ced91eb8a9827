"""The rules of text normalization, and the JSON document that contains them.

A model folder contains the rules as a JSON document with an object for each side:

    {"format": 1, "source": RULES, "target": RULES}

RULES is an object with the following keys, which are applied in this order. A range of characters is written in
hexadecimal code points, as "2000-200A" or "FEFF".

    spaces    ranges of characters that become a space (U+0020)
    remove    ranges of characters that are deleted
    keep      a list of contexts. A context is an object with the keys `characters`, `before` and `after`, which are
              lists of ranges. A character that is in `characters` of some context is deleted, unless one such context
              also has the previous character of the result in `before` and the next character of the text in `after`.
              If a context lacks `before` or `after`, any character fits. Characters are processed from left to right
    form      "NFC", "NFKC" or null: the Unicode normalization form
    replace   an object of strings and their replacements. The text is searched from left to right, and the longest
              string that matches is replaced. Replacements are not searched again. If this step changes the text,
              `form` is applied once more
    shift     more replacements, by ranges: {"FF21-FF3A": "A"} replaces FF21 by A, FF22 by B, and so on
    collapse  true: a run of spaces becomes one space
    trim      ranges of characters that are deleted at both ends

nmt/tokenizers/normalization.py applies the rules. nmt/tokenizers/standard_rules.py contains the rules of new models.
tests/tokenizers/normalization.json contains test vectors for other implementations.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Form = Literal["NFC", "NFKC"]
Ranges = tuple[tuple[int, int], ...]

MAX_CODE_POINT = 0x10FFFF
# The limit of characters in the ranges of a side. A damaged file may list all of Unicode many times.
_MAX_LISTED_CHARACTERS = 100_000
_RANGE = re.compile(r"[0-9A-F]{1,6}(-[0-9A-F]{1,6})?")


@dataclass(frozen=True, kw_only=True)
class Context:
    """A context in which characters are kept. For example, joiners are kept between Persian letters."""

    characters: Ranges
    before: Ranges | None = None
    after: Ranges | None = None

    @classmethod
    def parse(cls, content: Any) -> Self:
        """Read a context from an object of the JSON document. Raises ValueError: the object is not a context."""
        if not isinstance(content, dict) or not {"characters"} <= content.keys() <= {"characters", "before", "after"}:
            raise ValueError("a context must have the keys characters, before and after")
        return cls(**{name: parse_ranges(ranges) for name, ranges in content.items()})

    def allows(self, character: str, before: str, after: str) -> bool:
        """Return whether a character is kept between two other characters. These are empty at the ends of the text."""
        return contains(self.characters, character) and all(
            ranges is None or contains(ranges, neighbor)
            for ranges, neighbor in ((self.before, before), (self.after, after))
        )


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of one side.

    A field `shift` is not needed, because `parse` adds the replacements of `shift` to `replace`.
    """

    spaces: Ranges = ()
    remove: Ranges = ()
    keep: tuple[Context, ...] = ()
    form: Form | None = None
    replace: Mapping[str, str] = field(default_factory=dict)
    collapse: bool = False
    trim: Ranges = ()

    @classmethod
    def parse(cls, content: Any) -> Self:
        """Read rules from an object of the JSON document. Raises ValueError: the object is not a set of rules."""
        names = {"spaces", "remove", "keep", "form", "replace", "shift", "collapse", "trim"}
        if not isinstance(content, dict) or content.keys() != names:
            raise ValueError("the rules of a side must have the keys " + ", ".join(sorted(names)))
        if content["form"] not in (None, "NFC", "NFKC") or not isinstance(content["collapse"], bool):
            raise ValueError("form must be null, NFC or NFKC, and collapse must be true or false")
        if not isinstance(content["keep"], list):
            raise ValueError("keep must be a list")
        spaces, remove, trim = (parse_ranges(content[name]) for name in ("spaces", "remove", "trim"))
        keep = tuple(map(Context.parse, content["keep"]))
        shift = {parse_range(name): text for name, text in _parse_strings(content["shift"]).items()}
        listed = (*spaces, *remove, *trim, *shift, *(ranges for context in keep for ranges in context.characters))
        if sum(last - first + 1 for first, last in listed) > _MAX_LISTED_CHARACTERS:
            raise ValueError(f"the rules of a side list more than {_MAX_LISTED_CHARACTERS:,} characters")
        replace = _parse_strings(content["replace"])
        for (begin, end), text in shift.items():
            if len(text) != 1 or ord(text) + end - begin > MAX_CODE_POINT:
                raise ValueError(f"{text!r} cannot be the first replacement of a range")
            replace |= {chr(begin + i): chr(ord(text) + i) for i in range(end - begin + 1)}
        return cls(
            spaces=spaces,
            remove=remove,
            keep=keep,
            form=content["form"],
            replace=replace,
            collapse=content["collapse"],
            trim=trim,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the rules as an object of the JSON document. `parse` reads equal rules from this object."""
        replace, shift = _find_shifts(self.replace)
        contexts = [
            {
                name: format_ranges(ranges)
                for name in ("characters", "before", "after")
                if (ranges := getattr(context, name)) is not None
            }
            for context in self.keep
        ]
        return {
            "spaces": format_ranges(self.spaces),
            "remove": format_ranges(self.remove),
            "keep": contexts,
            "form": self.form,
            "replace": replace,
            "shift": shift,
            "collapse": self.collapse,
            "trim": format_ranges(self.trim),
        }


def contains(ranges: Ranges, character: str) -> bool:
    """Return whether a text is a single character in any of the ranges."""
    return len(character) == 1 and any(first <= ord(character) <= last for first, last in ranges)


def parse_range(text: Any) -> tuple[int, int]:
    """Read a range such as "2000-200A" or "FEFF". Raises ValueError: `text` is not a range."""
    if not isinstance(text, str) or not _RANGE.fullmatch(text):
        raise ValueError(f"{text!r} is not a range of code points")
    first, _, last = text.partition("-")
    begin, end = int(first, 16), int(last or first, 16)
    if not begin <= end <= MAX_CODE_POINT:
        raise ValueError(f"{text!r} is not a range of code points")
    return begin, end


def parse_ranges(texts: Any) -> Ranges:
    """Read a list of ranges. Raises ValueError: `texts` is not a list of ranges."""
    if not isinstance(texts, list):
        raise ValueError(f"{texts!r} is not a list of ranges")
    return tuple(map(parse_range, texts))


def format_ranges(ranges: Ranges) -> list[str]:
    """Write ranges as a list that `parse_ranges` reads."""
    return [f"{first:X}" if first == last else f"{first:X}-{last:X}" for first, last in ranges]


def _parse_strings(content: Any) -> dict[str, str]:
    if not isinstance(content, dict) or not all(key and isinstance(value, str) for key, value in content.items()):
        raise ValueError("replace and shift must map strings to strings")
    return dict(content)


def _find_shifts(replace: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Divide replacements into single replacements and ranges (`shift`). A range has at least three characters."""
    singles, runs = dict[str, str](), list[list[str]]()
    for key in sorted(replace):
        if len(key) > 1 or len(replace[key]) != 1:
            singles[key] = replace[key]
        elif runs and _follows(runs[-1][-1], key) and _follows(replace[runs[-1][-1]], replace[key]):
            runs[-1].append(key)
        else:
            runs.append([key])
    singles |= {key: replace[key] for run in runs if len(run) < 3 for key in run}
    shifts = {f"{ord(run[0]):X}-{ord(run[-1]):X}": replace[run[0]] for run in runs if len(run) >= 3}
    return dict(sorted(singles.items())), shifts


def _follows(one: str, other: str) -> bool:
    return ord(other) == ord(one) + 1
