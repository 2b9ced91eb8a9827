"""Things in text that are not words, such as URLs and placeholders. They are copied into the translation.

Networks ruin things that they did not see in training. nmt/translation/protection.py says how they are copied.
"""

import functools
import re
from collections.abc import Iterator

_FILE_ENDINGS = (
    "aac|apk|avi|bak|bat|bin|bmp|bz2|cfg|conf|cpp|css|csv|dat|db|deb|dll|docx?|epub|exe|flac|gif|gz|h|hpp|html?|ico|ini"
    "|iso|jar|java|jpe?g|js|json|jsx|log|m4a|md|mkv|mov|mp3|mp4|mpe?g|msi|odp|ods|odt|ogg|otf|pdf|php|png|pptx?|ps1|py"
    "|rar|rb|rpm|rs|rtf|sh|sql|svg|tar|tgz|tiff?|toml|ts|tsv|tsx|ttf|txt|vue|wav|webm|webp|woff2?|xlsx?|xml|ya?ml|zip|zst"
)

# The kinds of things, in order of priority.
_PATTERNS = {
    "code": r"``.+?``|`[^`]+`",
    "url": r"(?:https?|ftps?|file)://[^\s<>\"“”]+|mailto:[^\s<>\"]+|www\.[^\s<>\"“”]+",
    "e-mail": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "placeholder": (
        r"\$\{[^{}\s]*\}|\{\{\{?[^{}]*\}?\}\}|\{[\w.:,!\[\]-]*\}|%\([\w.]+\)[#0 +-]?\d*(?:\.\d+)?[a-zA-Z]"
        r"|%\d+\$[#0 +-]?\d*(?:\.\d+)?[a-zA-Z@]|%[#0+-]?\d*(?:\.\d+)?(?:l{0,2}[dufxs]|@)(?!\w)|\$[A-Z_][A-Z0-9_]+\b"
        r"|<[A-Z][A-Z0-9_]*>|%[A-Z_]{2,}%"
    ),
    "path": r"(?<![\w/])(?:~|\.{1,2})?/[\w.@+-]+(?:/[\w.@+-]*)*(?<!\.)|\b[A-Za-z]:\\[\w.\\ -]*[\w\\]",
    "file name": rf"\b[\w-]+(?:[./][\w-]+)*\.(?:{_FILE_ENDINGS})\b(?!\.\w)",
    "domain": r"\b(?:[\w-]+\.)+(?:com|org|net|edu|gov|io|info|eu|de|fr|uk)\b(?:/[^\s<>\"]*)?",
    "mention": r"(?<![\w@#&])[@#][^\W\d_]\w*(?:[.-]\w+)*",
    "date": (
        r"\b\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?\b"
        r"|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
    ),
    "number": (
        r"(?<![\w.,])[+−-]?(?:[$€£¥] ?)?\d{1,3}(?:[\u00a0\u202f'’]\d{3})+(?:[.,]\d+)?"
        r"(?: ?(?:%|€|\$|£|°C|°F|km|kg|m))?(?!\w)|"
        r"(?<![\w.,])[+−-]?(?:[$€£¥] ?)?\d+(?:[.,:/]\d+)+(?: ?(?:%|‰|°C|°F|°|[kMGT]?i?B|[kcmµn]?m[²³]?|km/h|mph|[kmµ]?g"
        r"|[kMG]?Hz|[kM]?W|V|h|min|ms|s|€|\$|£))?(?![\w])"
        r"|(?<![\w.,])[+−-]?(?:[$€£¥] ?)?\d{3,}(?: ?(?:%|€|\$|£|km|kg|m))?(?!\w)"
    ),
    "emoji": (
        r"(?:[\U0001f1e6-\U0001f1ff]{2}|[\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]"
        r"[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
        r"(?:\u200d[\u2600-\u27bf\u2b50\U0001f000-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*)+"
    ),
}
_KINDS = list(_PATTERNS)
_TRAILING = ".,;:!?…'\"’”»"  # at the end of a URL, these marks belong to the sentence
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">", '"': '"', "“": "”", "'": "'", "«": "»"}

# A thing begins with one of these characters, or contains it. Text without them is surely without things.
_SUSPICIOUS = re.compile(r"[@#%`{$<\\/_\u2600-\u27bf\U0001f000-\U0001faff]|\d[.,:/-]\d|\d{3}|\w\.\w|www\.")


def may_have_things(text: str) -> bool:
    """Return whether a text can contain things. The test takes about a microsecond."""
    return _SUSPICIOUS.search(text) is not None


@functools.cache
def _compile() -> re.Pattern[str]:
    """Compile the pattern of all things, with a group for each kind. This takes longer than a short translation."""
    return re.compile("|".join(f"(?P<k{number}>{pattern})" for number, pattern in enumerate(_PATTERNS.values())))


def find_things(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end and the kind of each thing in a text."""
    if not may_have_things(text):
        return
    done = 0
    for match in _compile().finditer(text):
        start, end, kind = match.start(), match.end(), _KINDS[(match.lastindex or 1) - 1]
        if kind in ("url", "domain", "path"):
            while end > start + 1 and (text[end - 1] in _TRAILING or _is_unpaired(text[start:end])):
                end -= 1
        start, end = _widen(text, max(start, done), end)
        if start >= done:
            yield start, end, kind
        done = max(done, end)


def _is_unpaired(url: str) -> bool:
    return url[-1] in ")]}" and url.count(url[-1]) > url.count({")": "(", "]": "[", "}": "{"}[url[-1]])


def _widen(text: str, start: int, end: int) -> tuple[int, int]:
    """Add letters that touch a thing, as in {0}s, and brackets that contain nothing else."""
    while start and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    while start and end < len(text) and _PAIRS.get(text[start - 1]) == text[end]:
        start, end = start - 1, end + 1
    return start, end
