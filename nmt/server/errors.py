"""The error that a client of the server can correct."""

from nmt.errors import NmtError

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
