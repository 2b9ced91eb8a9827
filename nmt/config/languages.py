"""Language codes, and the languages that scores treat in a way of their own."""

import re

_TWO_LETTERS = {
    "zho": "zh", "chi": "zh", "cmn": "zh", "jpn": "ja", "kor": "ko", "tha": "th", "lao": "lo", "khm": "km", "mya": "my",
}  # fmt: skip

SCORED_BY_CHARACTERS = ("ja", "ko", "th", "lo", "km", "my")
"""Languages in which validation computes BLEU over characters, because words are hard to split there."""

WITHOUT_SPACES = ("zh", *SCORED_BY_CHARACTERS)
"""Languages in which BLEU cannot split words at spaces and punctuation."""


def language_code(name: str) -> str:
    """The two-letter code of a language as sacreBLEU knows it: zh for zh-CN, zh_Hant, ZH and zho."""
    first = re.split("[-_]", name.lower())[0]
    return _TWO_LETTERS.get(first, first)
