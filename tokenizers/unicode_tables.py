"""Tables of the characters of Unicode, for programs that do not have Python's: the C library (nmt/native/tables.h).

The tables are computed from the functions that the other modules of this package call, so they agree with them for
every character.
"""

import itertools
import sys
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator

from nmt.tokenizers.case import fold
from nmt.tokenizers.normalization_rules import Ranges, Rules

# Flags of characters, as in tables.h.
SPACE, REMOVED, CONTEXTUAL, TRIMMED, REPLACED, WHITE, ALPHA, ALPHANUMERIC = (1 << bit for bit in range(8))
WORD, UPPER, LOWER, TITLE, CASED, CASE_IGNORABLE, CHEROKEE = (1 << bit for bit in range(8, 15))
FIRST_CONTEXT, MAX_CONTEXTS = 16, 16

_HANGUL = range(0xAC00, 0xD7A4)  # syllables, which are composed by a formula
_CHEROKEE = (*range(0x13A0, 0x1400), *range(0xAB70, 0xABC0))

LetterMap = list[tuple[int, str]]
"""Characters, in ascending order, and the texts that replace them."""


def list_characters() -> Iterator[str]:
    """List the characters that have properties: all but unassigned code points, surrogates and private use."""
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co"):
            yield chr(code)


def map_characters(function: Callable[[str], str]) -> LetterMap:
    """Return the characters that a function changes, and what it makes of them."""
    return [(ord(letter), text) for letter in list_characters() if (text := function(letter)) != letter]


def decompositions(form: str) -> LetterMap:
    """Return the decompositions of characters in the form NFD or NFKD, without Hangul syllables."""
    normalize = unicodedata.normalize
    return [(code, text) for code, text in map_characters(lambda x: normalize(form, x)) if code not in _HANGUL]  # type: ignore[arg-type]


def compositions() -> list[tuple[int, int, int]]:
    """Return pairs of characters and their canonical composition, in ascending order, without Hangul syllables."""
    found = []
    for letter in list_characters():
        parts = unicodedata.decomposition(letter).split()
        if len(parts) == 2 and not parts[0].startswith("<") and unicodedata.normalize("NFC", letter) == letter:
            found.append((int(parts[0], 16), int(parts[1], 16), ord(letter)))
    return sorted(found)


def fold_letters() -> LetterMap:
    """Return the folded form of each character, from which the keys of the truecaser are made."""
    return map_characters(fold)


def combining_runs() -> list[tuple[int, int]]:
    """Return the combining classes as runs: the first character of each run, and the class of its characters."""
    return list(_find_runs(unicodedata.combining(chr(code)) for code in range(sys.maxunicode + 1)))


def flag_runs(rules: Rules) -> list[tuple[int, int]]:
    """Return the flags of all characters as runs: the first character of each run, and the flags of its characters.

    Args:
        rules: the rules of normalization of the source side.

    Raises:
        ValueError: the rules have more than MAX_CONTEXTS contexts.
    """
    if len(rules.keep) > MAX_CONTEXTS:
        raise ValueError(f"more than {MAX_CONTEXTS} contexts in keep")
    flags = array("Q", bytes(8 * (sys.maxunicode + 1)))
    for letter in list_characters():
        flags[ord(letter)] = _find_flags(letter)

    def add(ranges: Ranges | None, flag: int) -> None:
        for first, last in ranges or ():
            for code in range(first, last + 1):
                flags[code] |= flag

    add(tuple((code, code) for code in _CHEROKEE), CHEROKEE)
    add(rules.spaces, SPACE)
    add(rules.remove, REMOVED)
    add(rules.trim, TRIMMED)
    add(tuple((ord(key[0]), ord(key[0])) for key in rules.replace), REPLACED)
    for index, context in enumerate(rules.keep):
        bit = FIRST_CONTEXT + 3 * index
        add(context.characters, CONTEXTUAL | 1 << bit)
        add(context.before, 1 << bit + 1)
        add(context.after, 1 << bit + 2)
    return list(_find_runs(flags))


def _find_flags(letter: str) -> int:
    """Return the flags of a character that do not depend on rules."""
    ends_word = (letter + "Σ").lower().endswith("ς")  # a letter with case before Σ
    ignored = not ends_word and ("a" + letter + "Σ").lower().endswith("ς")  # is skipped in the search for such a letter
    alphanumeric = letter.isalnum()
    properties = (
        (letter.isspace(), WHITE),
        (letter.isalpha(), ALPHA),
        (alphanumeric, ALPHANUMERIC),
        (alphanumeric and not letter.isdecimal(), WORD),
        (letter.isupper(), UPPER),
        (letter.islower(), LOWER),
        (letter.istitle() and not letter.isupper(), TITLE),
        (ends_word, CASED),
        (ignored, CASE_IGNORABLE),
    )
    return sum(flag for found, flag in properties if found)


def _find_runs(values: Iterable[int]) -> Iterator[tuple[int, int]]:
    code = 0
    for value, run in itertools.groupby(values):
        yield code, value
        code += sum(1 for _ in run)
