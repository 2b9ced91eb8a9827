"""The error that a client of the server can correct, and the messages for all other errors."""

import logging
import sqlite3
import traceback

from nmt.errors import NmtError
from nmt.system.files import reason

logger = logging.getLogger(__name__)

TOO_SLOW = "the translation took too long; send less text at once, or try again later"


class RequestError(NmtError):
    """A request that is refused. Each API writes it in its own form.

    Args:
        status: the status of the HTTP response.
        message: one line that says what is wrong and what is allowed. It never contains text of the request that could
            be private.
        retry_after: the number of seconds after which the client can try again.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


def explain(error: Exception, where: str) -> RequestError:
    """Log an error that the client cannot correct. Return the error that the client receives.

    The log has no messages of errors that can contain text of clients.

    Args:
        error: the error.
        where: the path of the route, or another name without text of clients.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, OSError | sqlite3.Error):
        logger.error("%s: %s", where, reason(error) if isinstance(error, OSError) else error)
        return RequestError(503, "the server cannot store data at the moment; try again later", 60.0)
    lines = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s: %s; this is a bug of nmt\n%s", where, type(error).__name__, lines.rstrip())
    return RequestError(500, "internal error")
