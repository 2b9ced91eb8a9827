"""The structures and functions of nmt.h in Python."""

import ctypes
import functools

from nmt.errors import MachineError
from nmt.system.native_library import open_library

VERSION = 1  # of packed files, NMT_VERSION of nmt.h

INT8, FLOAT32 = 0, 1
CELLS = {"lstm": 0, "gru": 1, "rnn": 2}
DECODERS = {"input_feeding": 0, "parallel": 1}
ATTENTIONS = {"dot": 0, "general": 1, "additive": 2, "multi_head": 3}
BRIDGES = {"none": 0, "final": 1, "mean": 2}

OK, NO_MEMORY, BAD_FILE, BAD_ARGUMENT, NOT_A_NUMBER, STOPPED = range(6)


class Architecture(ctypes.Structure):
    """The C structure `nmt_architecture` of nmt.h."""

    _fields_ = [
        *(
            (name, ctypes.c_int32)
            for name in ("precision", "cell", "decoder", "attention", "attention_heads", "bridge")
        ),
        *((name, ctypes.c_int32) for name in ("layer_norm", "residual")),
        *((name, ctypes.c_int32) for name in ("source_size", "target_size", "embedding_size")),
        *((name, ctypes.c_int32) for name in ("encoder_layers", "encoder_size", "decoder_layers", "decoder_size")),
        *((name, ctypes.c_int32) for name in ("tied", "frequent", "best")),
        ("embedding_scale", ctypes.c_float),
    ]


class TensorPointer(ctypes.Structure):
    """The C structure `nmt_tensor` of nmt.h."""

    _fields_ = [
        ("values", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("rows", ctypes.c_int64),
    ]


class TermPointer(ctypes.Structure):
    """The C structure `nmt_term` of nmt.h."""

    _fields_ = [
        ("ids", ctypes.c_void_p),
        ("forms_end", ctypes.c_void_p),
        ("forms", ctypes.c_int32),
        ("initial", ctypes.c_int32),
        ("positions", ctypes.c_void_p),
        ("position_count", ctypes.c_int32),
    ]


class SentencePointer(ctypes.Structure):
    """The C structure `nmt_sentence` of nmt.h."""

    _fields_ = [
        ("ids", ctypes.c_void_p),
        ("length", ctypes.c_int32),
        ("prefix", ctypes.c_void_p),
        ("prefix_length", ctypes.c_int32),
        ("arcs", ctypes.c_void_p),
        ("arcs_end", ctypes.c_void_p),
        ("states", ctypes.c_int32),
        ("terms", ctypes.c_void_p),
        ("term_count", ctypes.c_int32),
        ("sample", ctypes.c_int32),
    ]


Identify = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32), ctypes.c_int32)


class NativeOptions(ctypes.Structure):
    """The C structure `nmt_options` of nmt.h."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("beam", "nbest", "min_length", "max_length_extra")),
        *((name, ctypes.c_int32) for name in ("exact", "attention", "shortlist")),
        *((name, ctypes.c_double) for name in ("max_length_factor", "length_penalty", "coverage_penalty")),
        ("banned", ctypes.c_void_p),
        ("banned_count", ctypes.c_int32),
        ("edges", ctypes.c_char_p),
        *((name, ctypes.c_int32) for name in ("sampling", "forced", "seed", "top_k")),
        ("temperature", ctypes.c_double),
        ("no_repeat_ngram_size", ctypes.c_int32),
        ("group", ctypes.c_int32),
        ("identify", Identify),
    ]


class NativeHypotheses(ctypes.Structure):
    """The C structure `nmt_hypotheses` of nmt.h."""

    _fields_ = [
        ("count", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("sentences", "log_probabilities", "scores")),
        *((name, ctypes.c_void_p) for name in ("ids_end", "attention_end", "ids")),
        *((name, ctypes.c_void_p) for name in ("token_log_probabilities", "attention")),
    ]


@functools.cache
def load() -> ctypes.CDLL | None:
    """Open the library and declare its functions. Return None where `open_library` returns None."""
    library = open_library()
    if library is None:
        return None
    library.nmt_packed_size.restype = ctypes.c_int64
    library.nmt_packed_size.argtypes = [ctypes.POINTER(Architecture), ctypes.c_int64]
    library.nmt_pack.argtypes = [
        ctypes.POINTER(Architecture),
        ctypes.POINTER(TensorPointer),
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    library.nmt_open.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_void_p)]
    library.nmt_close.argtypes = [ctypes.c_void_p]
    library.nmt_close.restype = None
    library.nmt_metadata.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64)]
    library.nmt_metadata.restype = ctypes.c_void_p
    library.nmt_search.argtypes = [
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_int32,
        ctypes.POINTER(SentencePointer),
        ctypes.c_int32,
        ctypes.POINTER(NativeOptions),
        ctypes.POINTER(NativeHypotheses),
    ]
    library.nmt_free_hypotheses.argtypes = [ctypes.POINTER(NativeHypotheses)]
    library.nmt_free_hypotheses.restype = None
    library.nmt_variant.restype = ctypes.c_char_p
    return library


def require() -> ctypes.CDLL:
    """Load the library. Raises MachineError: the library is not available."""
    library = load()
    if library is None:
        raise MachineError("the native library is missing; run python -m nmt.native.build, which compiles it")
    return library


def variant() -> str | None:
    """Return the name of the variant of the code that runs on this processor, or None if `load` returns None."""
    library = load()
    return library.nmt_variant().decode() if library else None
