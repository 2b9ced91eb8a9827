"""Standard input and standard output as streams of bytes."""

import os
import sys
from typing import BinaryIO, cast

from nmt.commands.process import standard_output
from nmt.errors import DataError


def open_stdin() -> BinaryIO:
    """Open standard input as unbuffered bytes. A thread that waits for input would hold the lock of a buffer."""
    if sys.stdin is None:
        raise DataError("standard input is closed; give text on it")
    # If the pipe were non-blocking, an empty pipe would look like the end of the input.
    os.set_blocking(sys.stdin.fileno(), True)
    return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))


def open_stdout() -> BinaryIO:
    """Open standard output as buffered bytes. Unbuffered writes, as with `python -u`, could be partial."""
    descriptor = standard_output().fileno()
    os.set_blocking(descriptor, True)
    return cast(BinaryIO, open(descriptor, "wb", closefd=False))
