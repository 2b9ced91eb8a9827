"""The case of letters: find lines in capitals, and change the case of text.

A model learns words in the case in which its training text has them. A line in capitals is therefore translated in
lower case, and its translation is written in capitals. To be robust to the case of other lines, the model sees a share
of its training sentences in another case (`data.case_share`).
"""

import re
from collections.abc import Callable

# Alphabets whose upper-case letters are the normal ones (Cherokee) or mere ornaments (Georgian) have no case here.
_WITHOUT_CASE = re.compile("[\u10a0-\u10ff\u13a0-\u13ff\u1c90-\u1cbf\u2d00-\u2d2f\uab70-\uabbf]")
_LOWER_CASE_ASCII = re.compile("[a-z]")
_FIRST_LETTERS = re.compile(r"(?<!\S)([^\w\s]*)([^\W\d_])")  # of each word, after quotes and brackets
_TURKIC = frozenset(("tr", "az", "crh", "kk-latn", "tt-latn"))  # i has the upper case İ, and ı has I


def is_capitals(text: str) -> bool:
    """Return whether a text has at least two upper-case letters and no lower-case letters.

    Letters that have no single upper-case letter (ß, ª) may occur.

    >>> is_capitals("EIN MANN AUF DER STRAßE"), is_capitals("A B C"), is_capitals("I"), is_capitals("42")
    (True, True, False, False)
    """
    if _LOWER_CASE_ASCII.search(text):
        return False
    cased = [letter for letter in _WITHOUT_CASE.sub("", text) if len(letter.upper()) == 1 and letter.isalpha()]
    lower = any(letter.islower() and letter.upper() != letter for letter in cased)
    return not lower and sum(letter.isupper() for letter in cased) >= 2


def lower_case(text: str, language: str = "") -> str:
    """Return the text in lower case, by the rules of the language for dotted and dotless i.

    >>> lower_case("ISPARTA İLİ", "tr")
    'ısparta ili'
    """
    if language.lower() in _TURKIC:
        text = text.replace("I", "ı").replace("İ", "i")
    return text.lower().replace("i\u0307", "i")  # str.lower gives İ a combining dot


def upper_case(text: str, language: str = "") -> str:
    """Return the text in upper case, by the rules of the language for dotted and dotless i.

    >>> upper_case("ısparta ili", "tr"), upper_case("Straße", "de")
    ('ISPARTA İLİ', 'STRASSE')
    """
    if language.lower() in _TURKIC:
        text = text.replace("i", "İ")
    return text.upper()


def title_case(text: str) -> str:
    """Return the text with the first letter of each word in upper case, and all other letters unchanged.

    >>> title_case("a man's \\"big\\" dog")
    'A Man\\'s "Big" Dog'
    """
    return _FIRST_LETTERS.sub(lambda match: match[1] + match[2].title(), text)


CHANGES: dict[str, Callable[[str], str]] = {"lower": lower_case, "title": lambda text: title_case(lower_case(text))}
