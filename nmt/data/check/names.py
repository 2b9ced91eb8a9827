"""Tables of the names, scripts and most frequent words of languages.

A corpus itself shows what its languages look like (nmt/data/check/languages.py). The tables have two other uses. They
recognize that a whole file is in the wrong language, and they give the name of a foreign language.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache

from nmt.metrics.languages import language_code

FUNCTION_WORDS: Mapping[str, tuple[str, frozenset[str]]] = {
    code: (name, frozenset(words.split()))
    for code, name, words in (
        ("en", "English", "a the of and to in is that it was for on with are at by this from have his"),
        ("de", "German", "der die und das in den von zu ist mit sich des auf für nicht ein eine dem"),
        ("nl", "Dutch", "de het een van en in is dat op te zijn met voor niet aan er die hij ze maar naar"),
        ("fr", "French", "de la le et les des en un une du dans est que qui pour sur au avec ne pas il"),
        ("es", "Spanish", "de la que el en y a los se del las un por con no una su para es lo al como más muy está"),
        ("pt", "Portuguese", "de a o que e do da em um para com não uma os no se na por mais as dos ao são está ele"),
        ("it", "Italian", "di e il la che in un a per è una del non con le si da i della sono al dei nel gli alla"),
        ("ca", "Catalan", "de la el que i en a les els un del per amb una no es va al són dels més ha seva com"),
        ("gl", "Galician", "de a o que e do da en un para con non unha os no se na por máis as dos ao son está unha"),
        ("ro", "Romanian", "de și în a la cu pe un o din este care nu mai au pentru al că sunt ale lui se fi sau"),
        ("sv", "Swedish", "och i att en det som på är av för med den till inte har de ett om var jag han men sig från"),
        ("da", "Danish", "og i at en det er på til af for med den der ikke har de et som var jeg han men sig fra"),
        ("no", "Norwegian", "og i å en det er på til av for med den som ikke har de et var jeg han men seg fra om"),
        ("fi", "Finnish", "ja on ei se että oli hän mutta joka kun ovat myös niin tai kuin ole sen mitä jos minä"),
        ("hu", "Hungarian", "a az és hogy nem is egy de ez meg van volt csak azt már mint még ha el én ki"),
        ("pl", "Polish", "i w na z się nie do to że jest o jak po co ale od za są przez dla tak był jego ich"),
        ("cs", "Czech", "a v se na je že s z do to o i ve by si ale za jako jsou byl po pro které jeho ze"),
        ("tr", "Turkish", "ve bir bu da de için ile çok olarak daha o ne gibi var kadar sonra ama olan en ki"),
        ("id", "Indonesian", "yang dan di dengan untuk ini itu dari dalam tidak pada adalah ke akan juga saya oleh"),
        ("sw", "Swahili", "ya na wa kwa ni katika la za cha kuwa hii kama yake lakini hiyo huo wake alikuwa"),
        ("vi", "Vietnamese", "và của là các trong có một được cho với không những người này đã khi để từ"),
        ("eo", "Esperanto", "la kaj de en estas al ne mi ke li por kun ĝi sed pri estis ili tiu ol"),
        ("ru", "Russian", "и в не на что он с я по это как но из у за то так же от все для был его она"),
        ("uk", "Ukrainian", "і в на не що з та у до як за це для від але по він про був його є вона"),
        ("el", "Greek", "και το να του η της με που την από για είναι στο τα δεν οι ο θα τον σε"),
        ("ar", "Arabic", "في من على إلى أن ما هذا التي كان مع لا عن هذه الذي كل أو ذلك هو هي"),
        ("he", "Hebrew", "של את על לא הוא זה עם אני כי היא גם או אל מה כל היה אם יש אבל"),
        ("hi", "Hindi", "के है में की और से का को पर यह ने एक हैं कि भी इस नहीं तो ही था"),
    )
}  # fmt: skip
"""For each language code, the name of the language and about twenty of its most frequent words."""

_CODES = {
    "eng": "en", "deu": "de", "ger": "de", "nld": "nl", "fra": "fr", "fre": "fr", "spa": "es", "por": "pt", "ita": "it",
    "cat": "ca", "glg": "gl", "ron": "ro", "swe": "sv", "dan": "da", "nor": "no", "nb": "no", "nn": "no", "fin": "fi",
    "hun": "hu", "pol": "pl", "ces": "cs", "tur": "tr", "ind": "id", "swa": "sw", "swh": "sw", "vie": "vi", "epo": "eo",
    "rus": "ru", "ukr": "uk", "ell": "el", "ara": "ar", "heb": "he", "hin": "hi", "chr": "chr",
}  # fmt: skip

_SCRIPTS = {
    "ja": "CJK", "zh": "CJK", "ko": "HANGUL", "ru": "CYRILLIC", "uk": "CYRILLIC", "bg": "CYRILLIC", "el": "GREEK",
    "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "he": "HEBREW", "hi": "DEVANAGARI", "mr": "DEVANAGARI",
    "ne": "DEVANAGARI", "bn": "BENGALI", "ta": "TAMIL", "te": "TELUGU", "th": "THAI", "lo": "LAO", "km": "KHMER",
    "my": "MYANMAR", "ka": "GEORGIAN", "hy": "ARMENIAN", "am": "ETHIOPIC", "chr": "CHEROKEE",
}  # fmt: skip

# A line is in a foreign language if it has enough frequent words of this language: at least this number, at least this
# share of all words of the line, and at least this many times the number of frequent words of the expected languages.
_FOREIGN_HITS, _FOREIGN_SHARE, _FOREIGN_FACTOR = 3, 0.25, 2

_PARTS_OF_CJK = {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH", "IDEOGRAPHIC"}


def short_code(language: str) -> str:
    """Return the code that the tables of this module have for a language. For example, it is de for de-AT and deu."""
    code = language_code(language)
    return _CODES.get(code, code)


def name_language(language: str) -> str:
    """Return the name of a language, or the given code if the tables do not contain the language."""
    return FUNCTION_WORDS[short_code(language)][0] if short_code(language) in FUNCTION_WORDS else language


def expected_script(language: str) -> str | None:
    """Return the script of a language, or None if the tables do not contain the language."""
    code = short_code(language)
    return _SCRIPTS.get(code, "LATIN" if code in FUNCTION_WORDS else None)


@cache
def script_of(character: str) -> str | None:
    """Return the script of a letter, for example LATIN. Return None for other characters.

    The script is the first word of the name that the letter has in Unicode.
    """
    if unicodedata.category(character)[0] != "L":
        return None
    name = re.split("[ -]", unicodedata.name(character, "UNKNOWN"))[0]
    return "CJK" if name in _PARTS_OF_CJK else name if name not in {"MODIFIER", "FULLWIDTH", "FEMININE"} else "LATIN"


def guess_language(words: Mapping[str, int]) -> tuple[str | None, float]:
    """Guess a language by its most frequent words.

    Args:
        words: the lower-cased words of a text with their counts.

    Returns:
        The code of the language, and the share of the words that are frequent words of this language. The code is None
        if the tables contain none of the words.
    """
    total = sum(words.values())
    shares = {code: share_of_words(words, code) for code in FUNCTION_WORDS} if total else {}
    best = max(shares, key=lambda code: shares[code], default=None)
    return (best, shares[best]) if best is not None and shares[best] else (None, 0.0)


def guess_foreign(line: str, expected: Collection[str]) -> str | None:
    """Guess the language of a line from the frequent words of each language.

    Return None unless the line is clearly in none of the expected languages.

    Args:
        line: the text.
        expected: the expected languages, as codes that `short_code` returns.
    """
    words, known = line.lower().split(), _find_languages()
    hits = [known[word] for word in dict.fromkeys(words) if word in known]
    usual = sum(not languages.isdisjoint(expected) for languages in hits)
    if len(hits) < max(_FOREIGN_HITS, _FOREIGN_SHARE * len(words), _FOREIGN_FACTOR * usual):
        return None
    counts = Counter(language for languages in hits for language in languages)
    best, count = counts.most_common(1)[0]
    return best if count >= max(_FOREIGN_HITS, _FOREIGN_SHARE * len(words), _FOREIGN_FACTOR * usual) else None


@cache
def _find_languages() -> dict[str, frozenset[str]]:
    """For each frequent word, return the languages in which it is frequent."""
    languages: dict[str, set[str]] = {}
    for code, (_, words) in FUNCTION_WORDS.items():
        for word in (word for word in words if len(word) > 1):
            languages.setdefault(word, set()).add(code)
    return {word: frozenset(codes) for word, codes in languages.items()}


def share_of_words(words: Mapping[str, int], code: str) -> float:
    """Return the share of the words of a text that are frequent words of a language."""
    total = sum(words.values())
    return sum(words.get(word, 0) for word in FUNCTION_WORDS[code][1]) / total if total else 0.0
