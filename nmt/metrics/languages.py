"""What metrics need to know about languages."""

import re

_TWO_LETTERS = {
    "zho": "zh", "chi": "zh", "cmn": "zh", "jpn": "ja", "kor": "ko", "tha": "th", "lao": "lo", "khm": "km", "mya": "my",
}  # fmt: skip

NEED_ANALYZERS = frozenset({"ja", "ko", "th", "lo", "km", "my"})
"""Languages whose words are found by an analyzer: an extra package for ja and ko, and none in sacreBLEU for the others."""


def language_code(name: str) -> str:
    """The two letters by which metrics know a language: zh for zh-CN, zh_Hant, ZH or zho."""
    first = re.split("[-_]", name.lower())[0]
    return _TWO_LETTERS.get(first, first)
