"""Functions that count cores, look for a GPU, and tune malloc. They need no torch."""

import ctypes
import math
import os
from pathlib import Path

# In cgroup v2, this file contains the quota of CPU time and the period, both in microseconds. Without a quota, the file
# contains "max 100000".
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from glibc's malloc.h
# At least one of these files exists where torch can use a GPU: of NVIDIA, of AMD, or in the Linux of Windows.
GPU_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))


def cores() -> int:
    """Count the physical cores that this process may use.

    Hardware threads are not counted, because the hardware threads of one core share the arithmetic units of the core.
    If a container has a quota of CPU time, the result is at most this quota, rounded up to whole cores.
    """
    own = count_own_cores()
    try:
        quota, period = CPU_MAX.read_text("ascii").split()
        return min(own, math.ceil(int(quota) / int(period)) or own)
    except (OSError, ValueError):  # the file does not exist, or no quota is set
        return own


def count_own_cores() -> int:
    """Count the physical cores on which this process may run. A quota of CPU time is ignored."""
    try:
        paths = [f"/sys/devices/system/cpu/cpu{number}/topology" for number in os.sched_getaffinity(0)]
        return len({(Path(path) / "thread_siblings_list").read_text("ascii") for path in paths})
    except (AttributeError, OSError):  # not Linux
        return os.cpu_count() or 1


def may_have_gpu() -> bool:
    """Return whether the machine may have a GPU that torch can use. If it has one, the result is True."""
    return any(path.exists() for path in GPU_FILES)


def keep_memory() -> None:
    """Let malloc keep large freed blocks for the next batch instead of returning them to the system.

    The activations of a batch take tens of megabytes in a few blocks. By default, glibc requests such large blocks from
    the kernel again for each batch. The kernel then clears every page of the blocks, which takes a quarter of the
    training time. Call `return_memory` regularly to limit the memory that malloc keeps.
    """
    if libc := _glibc():
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def return_memory() -> None:
    """Return free memory to the system, including free memory between used blocks.

    After `keep_memory`, batches of varying shapes fragment the memory that malloc keeps. Without this function,
    training used four times the memory that it needs.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    name = "CS_GNU_LIBC_VERSION"
    return ctypes.CDLL(None) if name in os.confstr_names and os.confstr(name) else None
