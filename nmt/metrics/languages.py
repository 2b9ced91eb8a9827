"""Properties of languages that metrics depend on."""

import re

_TWO_LETTERS = {
    "zho": "zh", "chi": "zh", "cmn": "zh", "yue": "zh", "jpn": "ja", "kor": "ko", "tha": "th", "lao": "lo", "khm": "km",
    "mya": "my", "bur": "my", "bod": "bo", "tib": "bo", "dzo": "dz",
}  # fmt: skip

NEED_ANALYZERS = frozenset({"ja", "ko"})
"""The languages for which sacreBLEU uses a morphological analyzer to split text into words. Each analyzer needs an
extra package."""

WITHOUT_WORDS = frozenset({"th", "lo", "km", "my", "bo", "dz"})
"""The languages that have no spaces between words, and for which sacreBLEU has no analyzer."""


WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "km", "my"})
"""The languages that have no spaces between words or between sentences."""


def language_code(name: str) -> str:
    """Return the two-letter code by which metrics identify a language. For zh-CN, zh_Hant, ZH and zho, this is zh."""
    first = re.split("[-_]", name.lower())[0]
    return _TWO_LETTERS.get(first, first)


def choose_tokenizer(language: str, *, analyzers: bool = True) -> str:
    """Return the name of the sacreBLEU tokenizer that BLEU uses for a language.

    >>> [choose_tokenizer(language) for language in ("de", "zh-CN", "jpn", "th")]
    ['13a', 'zh', 'ja-mecab', 'char']

    Args:
        language: the code of the language, or an empty string if it is not known.
        analyzers: whether to use analyzers, which need extra packages. If False, Japanese and Korean text is split into
            characters.
    """
    code = language_code(language)
    if code in NEED_ANALYZERS:
        return f"{code}-mecab" if analyzers else "char"
    return "char" if code in WITHOUT_WORDS else "zh" if code == "zh" else "13a"
