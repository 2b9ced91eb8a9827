"""Lack of memory: recognizing it among the errors of all libraries."""

# Words in errors other than MemoryError, from torch on a CPU and on a GPU, C++ and NVIDIA's libraries. The last two are
# about tensors that no memory could hold.
_WORDS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "ALLOC_FAILED",
    "calculation overflowed",
    "multiplication overflow",
)
# The whole message of oneDNN if memory is short. If a kernel is missing, it continues with "descriptor".
_ONEDNN = "could not create a primitive"


def is_shortage(error: BaseException) -> bool:
    """Return whether an error says that there is too little memory."""
    message = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and (message == _ONEDNN or any(word in message for word in _WORDS))
    )
