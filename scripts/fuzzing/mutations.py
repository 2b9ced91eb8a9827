"""Functions that damage bytes, YAML and JSON, and values that many programs do not expect."""

import itertools
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import yaml

NUMBERS: Sequence[Any] = (
    -1, 0, 1, -5, 2**31, 2**31 - 1, 2**32, 2**63, -(2**63), 2**64, 10**18, 10**400, 1e300, -1e300, 1e-300, 0.5, -0.0,
    100_000_000, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip

VALUES: Sequence[Any] = (
    *NUMBERS, None, True, False, "", " ", "x", "\x00", "\x1b[31mred", "a\nb", "\u202edlrow", "\ud800", "é" * 100,
    "x" * 100_000, "../..", "/dev/zero", "[]", [], {}, [[]], [None], [1, 2, 3], {"a": 1}, [{}], [""],
)  # fmt: skip

SNIPPETS = (
    "!!bool foo", "!!int ''", "!!int x", "!!float y", "!!set [1]", "!!set {a, b}", "!!omap [a: 1]", "!!pairs [1]",
    "!!binary '='", "!!timestamp x", "!!python/object/apply:os.system ['true']", "!!null x", "!!str [1]",
    "!!seq {a: b}", "!!map [1]", "!foo bar", "! x", "&a [*a]", "&a x", "*missing", "2021-02-30", "2021-02-28", "0x_",
    "0b", "0o8", "010", "0b1111", "1:30", "190:20:30", "1_000", "_1", ".inf", "-.inf", ".nan", "1e300", "1e-400",
    "1e999", "0x" + "f" * 9000, "9" * 5000, "-" + "9" * 5000, "9" * 200_000, "[" * 3000, "{a: " * 3000, "- " * 2000,
    "? [1, 2]\n: 3", "? {a: b}\n: c", "<<: 3", "<<: {a: 1}", "<<: [1]", "=", "yes", "no", "~", "'", '"', '"\\x00"',
    '"\\ud800"', '"\\x1b[31m"', "|\n a\n b", "%YAML 9.9\n---\na: 1", "---\na\n---\nb", "--- |", "\t", "#", "x: y: z",
    "{a: 1, a: 2}", "{1: 2, 1: 3}", ",", "]", "}", "'" + "a" * 200_000 + "'",
    "{" + ", ".join(f"k{i}: 1" for i in range(3000)) + "}", "[" + ", ".join("[]" for _ in range(20_000)) + "]",
    "\u202e", "\x1b[2J", "\x00", "\ufeff", "\x85", "\u2028",
)  # fmt: skip
"""Fragments of YAML."""

BOMB = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x]"]
    + [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in itertools.pairwise("abcdefghi")]
)
"""Nine levels of aliases, which expand to 9⁹ strings."""


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8) if changed else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def repeat(content: bytes, draw: random.Random) -> bytes:
    """Insert a copy of a part of the content at another place."""
    begin, at = draw.randrange(len(content) + 1), draw.randrange(len(content) + 1)
    return content[:at] + content[begin : begin + draw.choice((1, 10, 1000))] * draw.choice((1, 3, 50)) + content[at:]


def overwrite(content: bytes, draw: random.Random) -> bytes:
    """Replace a part of the content by zeros, by 255, or by random bytes."""
    at, size = draw.randrange(len(content) + 1), draw.choice((1, 2, 4, 8, 100))
    return content[:at] + draw.choice((bytes(size), b"\xff" * size, draw.randbytes(size))) + content[at + size :]


BYTES: Sequence[Callable[[bytes, random.Random], bytes]] = (flip_bits, cut, repeat, overwrite)


def damage(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """Damage bytes in a random way. Return them, and the name of the way."""
    way = draw.choice(BYTES)
    return way(content, draw), way.__name__


def replace_value(content: Any, draw: random.Random) -> str:
    """Change nested dicts and lists in place: replace, remove, rename or add a value. Describe the change."""
    places = list(_places(content, ""))
    if not places:
        return "nothing to change"
    inside, key, path = draw.choice(places)
    value = draw.choice(VALUES)
    match draw.randrange(6):
        case 0 if isinstance(inside, dict):
            del inside[key]
            return f"without {path}"
        case 1 if isinstance(inside, dict):
            new = draw.choice(("", "x" * 1000, "\x1b[31m", f"{key}x", 3, None, True))
            inside[new] = inside.pop(key)
            return f"{path} renamed to {new!r:.30}"
        case 2 if isinstance(inside[key], int | float) and not isinstance(inside[key], bool):
            inside[key] = inside[key] * draw.choice((-1, 2, 10, 1000, 10**6)) + draw.choice((0, 1, -1))
            return f"{path} = {inside[key]}"
        case 3 if isinstance(inside, list):
            inside.extend([value] * draw.choice((1, 3)))
            return f"{path} followed by {value!r:.30}"
        case _:
            inside[key] = value
            return f"{path} = {value!r:.30}" if not isinstance(value, int) else f"{path} = an integer"


def _places(content: Any, path: str) -> Any:
    """Yield each container with a key and the path of the value, for all values in nested containers."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield content, key, f"{path}.{key}".lstrip(".")
        yield from _places(value, f"{path}.{key}")


def mutate_json(text: str, draw: random.Random) -> tuple[str, str]:
    """Change a value in a JSON text. Return the new text, and a description of the change."""
    content = json.loads(text)
    what = replace_value(content, draw)
    return _dump(lambda: json.dumps(content), text), what


def mutate_yaml(text: str, draw: random.Random) -> tuple[str, str]:
    """Change a YAML text. Return the new text, and a description of the change."""
    lines = text.splitlines()
    match draw.randrange(6):
        case 0:
            snippet = draw.choice(SNIPPETS)
            keys = [index for index, line in enumerate(lines) if ":" in line]
            index = draw.choice(keys) if keys else 0
            key = lines[index].partition(":")[0] if lines else "a"
            lines[index : index + 1] = [f"{key}: {snippet}"]
            return "\n".join(lines), f"{key.strip()}: {snippet[:30]!r}"
        case 1:
            snippet, index = draw.choice(SNIPPETS), draw.randrange(len(lines) + 1)
            return "\n".join([*lines[:index], snippet, *lines[index:]]), f"line {index + 1}: {snippet[:30]!r}"
        case 2:
            index = draw.randrange(len(lines)) if lines else 0
            return "\n".join(
                lines[:index] + lines[index : index + 1] * 2 + lines[index + 1 :]
            ), f"line {index + 1} twice"
        case 3 if draw.random() < 0.2:
            return text + "\n" + BOMB, "a bomb of aliases"
        case 4:
            changed, way = damage(text.encode("utf-8", "surrogatepass"), draw)
            return changed.decode("utf-8", "replace"), way
    content = yaml.safe_load(text)
    what = replace_value(content, draw)
    return _dump(lambda: yaml.safe_dump(content, sort_keys=False, allow_unicode=draw.random() < 0.5), text), what


def _dump(dump: Callable[[], str], otherwise: str) -> str:
    try:
        return dump()
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):  # integers of more than 4,300 digits
        return otherwise
