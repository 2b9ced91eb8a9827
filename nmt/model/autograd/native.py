"""Calls of the native library with tensors: the functions of nmt/native/train.h in Python.

The library has loops of training over the time steps of a batch. All its arrays are contiguous float32 tensors.
"""

import ctypes
import functools
import itertools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from nmt.system.devices import product_dtype
from nmt.system.native_library import open_library

logger = logging.getLogger(__name__)

LANES = 16  # the sizes of layers are multiples of this
NO_MEMORY = 1  # the status NMT_NO_MEMORY

_ADDRESS, _INT32, _INT64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64


class LSTMArrays(ctypes.Structure):
    """The C structure `nmt_train_lstm` of train.h."""

    _fields_ = [
        *((name, _INT32) for name in ("inputs", "size")),
        *((name, _ADDRESS) for name in ("weights", "transposed", "bias", "input_mask", "state_mask")),
        *((name, _ADDRESS) for name in ("left", "gates", "cells", "d_gates", "d_hidden", "d_cell")),
    ]


class NormArrays(ctypes.Structure):
    """The C structure `nmt_train_norm` of train.h."""

    _fields_ = [*((name, _ADDRESS) for name in ("gain", "bias", "normalized", "scales", "d_outputs"))]


class DecoderArrays(ctypes.Structure):
    """The C structure `nmt_train_decoder` of train.h."""

    _fields_ = [
        *((name, _INT32) for name in ("steps", "batch", "size", "sources", "layers", "residual")),
        ("lstms", ctypes.POINTER(LSTMArrays)),
        ("norms", ctypes.POINTER(NormArrays)),
        *((name, _ADDRESS) for name in ("keys", "values", "mask", "weights", "transposed", "bias")),
        *((name, _ADDRESS) for name in ("queries", "vectors", "attention", "d_vectors", "d_attention")),
        *((name, _ADDRESS) for name in ("d_sums", "d_scores")),
    ]


class SoftmaxArrays(ctypes.Structure):
    """The C structure `nmt_train_softmax` of train.h."""

    _fields_ = [
        *((name, _INT64) for name in ("size", "tokens")),
        *((name, _ADDRESS) for name in ("vectors", "weights", "transposed", "bias", "weight_sums", "targets")),
        ("label_smoothing", ctypes.c_double),
        ("d_vectors", _ADDRESS),
    ]


_ARGUMENTS: dict[str, Sequence[type]] = {
    "nmt_pack_matrix": [_ADDRESS, _INT64, _INT64, _INT64, _INT64, _ADDRESS],
    "nmt_multiply": [_INT64, _INT64, _INT64, _ADDRESS, _ADDRESS, _ADDRESS],
    "nmt_lstm_forward": [ctypes.POINTER(LSTMArrays), _INT32, _INT32, _INT32, _INT32, _ADDRESS],
    "nmt_lstm_backward": [ctypes.POINTER(LSTMArrays), _INT32, _INT32, _INT32, _INT32, _ADDRESS],
    "nmt_decoder_forward": [ctypes.POINTER(DecoderArrays), _INT32, _INT32],
    "nmt_decoder_backward": [ctypes.POINTER(DecoderArrays), _INT32, _INT32],
    "nmt_softmax": [ctypes.POINTER(SoftmaxArrays), _INT64, _INT64, _ADDRESS, ctypes.POINTER(ctypes.c_double)],
    "nmt_unpack_matrix": [_ADDRESS, _INT64, _INT64, _INT64, _INT64, _ADDRESS, _INT64, _INT64],
}


@functools.cache
def load() -> ctypes.CDLL | None:
    """Open the library and declare the functions of train.h. Return None where `open_library` returns None."""
    native = open_library()
    if native is None:
        return None
    try:
        for name, types in _ARGUMENTS.items():
            getattr(native, name).argtypes = types
        native.nmt_matrix_size.restype = _INT64
        native.nmt_matrix_size.argtypes = [_INT64, _INT64]
    except AttributeError:
        logger.warning(
            "the native library is older than nmt, so PyTorch trains without it, more slowly; to compile it again, run "
            "python -m nmt.native.build"
        )
        return None
    return native


def require() -> ctypes.CDLL:
    """Return the library, where `is_usable` has returned True."""
    native = load()
    assert native is not None
    return native


def is_usable(like: Tensor, *sizes: int) -> bool:
    """Return whether the library can compute with tensors like `like` in layers of these sizes.

    It needs float32 on a CPU, and sizes that are multiples of 16. The environment variable NMT_NATIVE=off switches the
    library off.
    """
    return (
        like.device.type == "cpu"
        and like.dtype == product_dtype(like) == torch.float32
        and all(size > 0 and size % LANES == 0 for size in sizes)
        and load() is not None
    )


def pack(matrix: Tensor) -> Tensor:
    """Return the packed form of a matrix (K, N), the right factor of products."""
    native, (K, N) = require(), matrix.shape
    packed = matrix.new_empty(native.nmt_matrix_size(K, N))
    native.nmt_pack_matrix(matrix.data_ptr(), *matrix.stride(), K, N, packed.data_ptr())
    return packed


def unpack(packed: Tensor, K: int, N: int, first: int, transposed: Tensor) -> None:  # noqa: N803 (dimensions)
    """Write some rows of a packed matrix (K, N) to the columns of a matrix: row `first` + i of K to column i."""
    rows, native = transposed.size(1), require()
    row, column = transposed.stride(1), transposed.stride(0)
    native.nmt_unpack_matrix(packed.data_ptr(), K, N, first, rows, transposed.data_ptr(), row, column)


def address(tensor: Tensor | None) -> int | None:
    """Return the address of a contiguous tensor, or None."""
    if tensor is None:
        return None
    assert tensor.is_contiguous()
    return tensor.data_ptr()


def count_threads(rows: int) -> int:
    """Return the number of ranges into which `run_rows` divides rows."""
    return max(1, min(torch.get_num_threads(), rows))


def run_rows(function: Callable[[int, int], int], rows: int) -> None:
    """Call `function(first, count)` for ranges of rows that together are all rows. Each thread of torch has a range.

    The function returns a status of the library. Raises MemoryError, or RuntimeError for another fault.
    """
    threads = count_threads(rows)
    bounds = [rows * thread // threads for thread in range(threads + 1)]
    ranges = [(begin, end - begin) for begin, end in itertools.pairwise(bounds)]
    if threads == 1:
        statuses = [function(*ranges[0])]
    else:
        statuses = list(_pool(threads).map(lambda part: function(*part), ranges))
    if NO_MEMORY in statuses:
        raise MemoryError
    if any(statuses):
        raise RuntimeError(f"the native library returned the status {max(statuses)}")


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="nmt-rows")
