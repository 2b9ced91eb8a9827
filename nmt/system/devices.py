"""Functions that choose the device, the number of threads and the precision of torch."""

import functools
import os

import torch

from nmt.errors import MachineError
from nmt.system.machine import cores


def choose_device(name: str) -> torch.device:
    """Return the torch device for a value of `training.device` or `--device`: auto, cpu or cuda.

    Raises:
        MachineError: the name is cuda, and torch can use no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise MachineError("device cuda: this machine has no GPU that torch can use; choose device cpu or auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def default_threads(processes: int) -> int:
    """Return the default number of CPU threads of a process. `processes` is the number of processes on the machine."""
    threads = torch.get_num_threads()
    if processes == 1:  # the default of torch can exceed the quota of a container
        return threads if "OMP_NUM_THREADS" in os.environ else min(threads, cores())
    # With several processes, torchrun sets OMP_NUM_THREADS=1 unless the user has set it.
    return threads if threads > 1 else max(1, cores() // processes)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the dtype for autocast: torch.bfloat16, or None to compute in float32 without autocast.

    Raises:
        MachineError: the precision is bf16, but the device cannot run recurrent layers in bfloat16.
    """
    if precision == "bf16" and not runs_bf16(device.type):
        raise MachineError(
            "precision bf16: this processor cannot run recurrent layers in bfloat16; choose auto or fp32"
        )
    if precision == "auto":  # emulated bfloat16 is slower than float32
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.cpu.get_capabilities()
            native = able.get("avx512_bf16") or able.get("amx_bf16")
        return torch.bfloat16 if native else None
    return torch.bfloat16 if precision == "bf16" else None


@functools.cache
def runs_bf16(device_type: str) -> bool:
    """Return whether a device can run recurrent layers in bfloat16. Emulated bfloat16 counts, too.

    On a CPU, oneDNN needs AVX-512 to run recurrent layers in bfloat16.
    """
    layer = torch.nn.LSTM(1, 1, device=device_type)
    try:
        with torch.inference_mode(), torch.autocast(device_type, torch.bfloat16):
            layer(torch.zeros(1, 1, 1, device=device_type))
    except RuntimeError:
        return False
    return True


def product_dtype(like: torch.Tensor) -> torch.dtype:
    """Return the dtype of matrix products with the tensor `like`.

    This is the dtype of autocast if autocast is enabled, and the dtype of the tensor otherwise.
    """
    device = like.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else like.dtype
