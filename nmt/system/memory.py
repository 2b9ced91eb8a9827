"""Functions that recognize out-of-memory errors, whichever library raises them, and measure memory."""

import sys

# Words in the out-of-memory messages of torch (on a CPU and on a GPU), of C++ and of NVIDIA's libraries. The last two
# messages are about tensors that are too large for any memory.
_WORDS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "ALLOC_FAILED",
    "calculation overflowed",
    "multiplication overflow",
)
# If memory is short, this is oneDNN's whole message. If a kernel is missing, "descriptor" follows in the message.
_ONEDNN = "could not create a primitive"


def is_shortage(error: BaseException) -> bool:
    """Return whether the cause of an error is a lack of memory."""
    message = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and (message == _ONEDNN or any(word in message for word in _WORDS))
    )


def peak_memory() -> int | None:
    """Return the largest amount of memory that this process has used so far, in bytes. Return None if it is unknown."""
    try:
        import resource  # Windows lacks it
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
