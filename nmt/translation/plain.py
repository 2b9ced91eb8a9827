"""A quick test for plain text, so that what other text needs is imported only for such text."""

import re

from nmt.translation.request import Request

# A thing begins with one of these characters, or contains it. Text without them is surely without things.
_SUSPICIOUS = re.compile(r"[@#%`{$<\\/_\u2600-\u27bf\U0001f000-\U0001faff]|\d[.,:/-]?\d\d|\w\.\w|www\.")


def may_have_things(text: str) -> bool:
    """Return whether a text can contain things. The test takes about a microsecond."""
    return _SUSPICIOUS.search(text) is not None


def is_plain(request: Request) -> bool:
    """Return whether a request has surely neither markup nor things that are taken out."""
    if request.markup is not None:
        return False
    return request.protect is False or request.prefix is not None or not may_have_things(request.text)
