"""The machine: devices, cores, precision, memory."""

import contextlib
import ctypes
import functools
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import torch

from nmt.errors import MachineError

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")  # of cgroup v2: quota and period in microseconds, or "max 100000"
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def choose_device(name: str) -> torch.device:
    """The device that `training.device` or `--device` asks for. Raises MachineError if it is missing."""
    if name == "cuda" and not torch.cuda.is_available():
        raise MachineError("device cuda: this machine has no GPU that torch can use; choose device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def default_threads(processes: int) -> int:
    """CPU threads per process, for a training with this many processes on this machine."""
    threads = torch.get_num_threads()
    if processes == 1:  # torch ignores quotas
        return threads if "OMP_NUM_THREADS" in os.environ else min(threads, cores())
    # With several processes, torchrun sets OMP_NUM_THREADS=1 unless the user has set it.
    return threads if threads > 1 else max(1, cores() // processes)


def cores() -> int:
    """Physical cores that this process may use: hardware threads of a core share its arithmetic units.

    If a container has a quota of CPU time, at most this quota, rounded up to whole cores.
    """
    own, quota = count_own_cores(), _quota()
    return min(own, quota) if quota else own


def count_own_cores() -> int:
    try:
        paths = [f"/sys/devices/system/cpu/cpu{number}/topology" for number in os.sched_getaffinity(0)]
        return len({(Path(path) / "thread_siblings_list").read_text("ascii") for path in paths})
    except (AttributeError, OSError):  # not Linux
        return os.cpu_count() or 1


def _quota() -> int | None:
    """The quota of the control group, in cores."""
    try:
        quota, period = CPU_MAX.read_text("ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or no quota is set
        return None


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread for the length of the block, so that results do not depend on the number of threads.

    With several threads torch splits rows; the remainders take a scalar code path that rounds differently.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype for autocast: bfloat16, or None for float32.

    Raises:
        MachineError: bf16 is requested, but this processor cannot run recurrent layers in it.
    """
    if precision == "bf16" and not runs_bf16(device.type):
        raise MachineError(
            "precision bf16: this processor cannot run recurrent layers in bfloat16; choose auto or fp32"
        )
    return torch.bfloat16 if precision == "bf16" or (precision == "auto" and _multiplies_bf16(device)) else None


@functools.cache
def runs_bf16(device_type: str) -> bool:
    """Whether recurrent layers run in bfloat16, natively or emulated. oneDNN needs AVX-512 for them."""
    layer = torch.nn.LSTM(1, 1, device=device_type)
    try:
        with torch.inference_mode(), torch.autocast(device_type, torch.bfloat16):
            layer(torch.zeros(1, 1, 1, device=device_type))
    except RuntimeError:
        return False
    return True


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def product_dtype(like: torch.Tensor) -> torch.dtype:
    """The dtype of matrix products: that of autocast if it is enabled, else that of the tensor."""
    device = like.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else like.dtype


def keep_memory() -> None:
    """Let malloc keep large freed blocks for the next update instead of returning them to the system.

    The activations of an update take tens of megabytes in a few blocks. By default glibc maps such blocks each time, and the
    kernel clears every page: a quarter of the time of an update. `return_memory` bounds the memory that this costs.
    """
    if libc := _glibc():
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def return_memory() -> None:
    """Return free memory between blocks in use to the system.

    Batches of varying shapes fragment the memory that `keep_memory` keeps: without this, a training held four times as much
    as it needs.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
