"""The file of the native library (nmt/native/), for the packages that call its functions."""

import ctypes
import functools
import logging
import os
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

LIBRARY = Path(__file__).parents[1] / "native" / ("libnmt.dylib" if sys.platform == "darwin" else "libnmt.so")
INTERFACE = 6  # NMT_INTERFACE of nmt.h
OFF = "off"  # the value of NMT_NATIVE that switches the library off


@functools.cache
def open_library() -> ctypes.CDLL | None:
    """Open the library. Return None if the environment variable NMT_NATIVE switches it off.

    If the library cannot be loaded, a warning is logged, and the result is also None.
    """
    if os.environ.get("NMT_NATIVE") == OFF:
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.nmt_version.restype = ctypes.c_int32
        if (version := library.nmt_version()) != INTERFACE:
            raise OSError(f"version {version} of its interface instead of {INTERFACE}; it is out of date")
    except (OSError, AttributeError) as error:
        logger.warning(
            "the native library cannot be loaded (%s); PyTorch computes instead, more slowly. To compile it, run "
            "python -m nmt.native.build",
            error,
        )
        return None
    return library
