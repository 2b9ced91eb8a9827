"""Numbers in the form of another language: 1,234.5 in English is 1.234,5 in German.

The separators are facts of the Unicode CLDR, as Babel 2.19 has them. Only numbers that are surely written in the form
of the source language are changed: not times, dates, versions and addresses.
"""

import re

_POINT = ".", ","  # the decimal separator and the separator of groups
_COMMA = ",", "."
_SPACE = ",", "\u00a0"
_APOSTROPHE = ".", "'"
_LANGUAGES = {
    "en ga cy mt sw ms tl ja ko zh th he fa ar hi bn es-mx es-us": _POINT,
    "de es it pt nl da sl hr sr bs ro mk el tr is ca eu az id vi": _COMMA,
    "sv nb nn no fi pl cs sk hu bg ru uk be et lv lt gl sq hy ka kk uz af fr-ca pt-pt en-za": _SPACE,
    "de-ch de-li it-ch": _APOSTROPHE,
    "fr": (",", "\u202f"),
    "fr-ch": (",", "'"),
}
_SEPARATORS = {code: separators for codes, separators in _LANGUAGES.items() for code in codes.split()}
_INDIAN = frozenset(("hi", "bn", "en-in"))  # 12,34,567: only the last group has three digits
_SPACES = "\u00a0\u202f"
# A number with a sign, a currency, a unit and brackets.
_NUMBER = re.compile(
    r"([(\[{<\"“'«]?[+−-]?(?:[$€£¥] ?)?)"
    rf"(\d+(?:[.,'’{_SPACES}]\d+)*)"
    r"((?: ?(?:[%‰°$€£¥]|[^\W\d]|[/²³])+)?[)\]}>\"”'»]?)"
)


def localize_number(text: str, source: str, target: str) -> str:
    """Return a number in the form of the target language. A text that is not a number of the source stays as it is.

    >>> localize_number("$1,234.50", "en", "de"), localize_number("1.234,5 km", "de-AT", "en")
    ('$1.234,50', '1,234.5 km')
    >>> localize_number("12:30", "en", "de"), localize_number("1.2.3", "en", "de")
    ('12:30', '1.2.3')

    Args:
        text: the number, which can have a sign, a currency and a unit.
        source: the source language.
        target: the target language.
    """
    parts = _NUMBER.fullmatch(text)
    own, other = _find_separators(source), _find_separators(target)
    if parts is None or own is None or other is None:
        return text
    decimal, group = (re.escape(separator) for separator in own)
    group = f"[{_SPACES}]" if own[1] in _SPACES else "['’]" if own[1] == "'" else group
    longer = rf"(?:{group}\d{{2}})*{group}\d{{3}}" if _code(source) in _INDIAN else rf"(?:{group}\d{{3}})+"
    match = re.fullmatch(rf"(\d{{1,3}}{longer}|\d+)(?:{decimal}(\d+))?", parts[2])
    if not match:
        return text
    digits, fraction = re.sub(r"\D", "", match[1]), match[2]
    if digits != match[1]:
        digits = other[1].join(_divide(digits, 2 if _code(target) in _INDIAN else 3))
    return parts[1] + digits + (other[0] + fraction if fraction else "") + parts[3]


def _divide(digits: str, size: int) -> list[str]:
    """Return the groups of a number: the last has three digits, the others have `size`."""
    before, last = digits[:-3], digits[-3:]
    groups = [before[max(0, end - size) : end] for end in range(len(before), 0, -size)]
    return [*reversed(groups), last]


def _code(language: str) -> str:
    return language.lower().replace("_", "-")


def _find_separators(language: str) -> tuple[str, str] | None:
    code = _code(language)
    return _SEPARATORS.get(code) or _SEPARATORS.get(code.split("-")[0])
