"""A quick test for plain text, so that what other text needs is imported only for such text."""

from nmt.data.things import may_have_things
from nmt.translation.request import Request


def is_plain(request: Request) -> bool:
    """Return whether a request has surely neither markup nor things that are taken out."""
    if request.markup is not None:
        return False
    return request.protect is False or request.prefix is not None or not may_have_things(request.text)
