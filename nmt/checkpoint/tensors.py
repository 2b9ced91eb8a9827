"""Functions that read tensors of torch from .safetensors files, and write them."""

import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from nmt.checkpoint.tensor_file import map_tensors

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def load_tensors(path: Path, max_bytes: int = 1 << 40) -> dict[str, Tensor]:
    """Load a .safetensors file of at most `max_bytes`. The tensors are views of the file. Changes are not written.

    Raises:
        ModelError: the file cannot be read, or its header is damaged.
    """
    tensors = {}
    for name, (type_, shape, values) in map_tensors(path, max_bytes).items():
        # torch refuses an empty buffer.
        flat = torch.frombuffer(values, dtype=_TYPES[type_]) if values else torch.empty(0, dtype=_TYPES[type_])
        tensors[name] = flat.reshape(shape)
    return tensors


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a .safetensors file.

    Raises:
        OSError: the file cannot be written. The caller converts this to an error of nmt.
    """
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:  # the text of this error contains the error number of the operating system
        match = re.search(r"os error (\d+)", str(error))
        raise OSError(int(match[1]) if match else 0, os.strerror(int(match[1])) if match else str(error)) from error
