"""Properties of languages that metrics depend on."""

import re

_TWO_LETTERS = {
    "zho": "zh", "chi": "zh", "cmn": "zh", "jpn": "ja", "kor": "ko", "tha": "th", "lao": "lo", "khm": "km", "mya": "my",
}  # fmt: skip

NEED_ANALYZERS = frozenset({"ja", "ko", "th", "lo", "km", "my"})
"""The languages in which only an analyzer can split text into words.

For ja and ko, the analyzer is an extra package. For the other languages, sacreBLEU has no analyzer.
"""


def language_code(name: str) -> str:
    """Return the code with two letters by which metrics identify a language: zh for zh-CN, zh_Hant, ZH or zho."""
    first = re.split("[-_]", name.lower())[0]
    return _TWO_LETTERS.get(first, first)
