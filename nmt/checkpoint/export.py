"""Export of a model to a smaller folder. Its matrices are 8-bit integers with a scale for each row.

When the folder is loaded, the integers are converted to float32 (nmt/checkpoint/folder.py). An exported folder can
therefore be used like any model folder, except to continue training.
"""

from collections.abc import Set
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint.folder import Model, dequantize, load_model
from nmt.checkpoint.manifest import MANIFEST, SCALE, WEIGHTS, verify_folder
from nmt.checkpoint.run_folder import find_model_folder
from nmt.checkpoint.tensors import load_tensors, save_tensors
from nmt.errors import ModelError
from nmt.native.packing import find_unpackable_part
from nmt.system.files import check_new, whole_folder
from nmt.system.opening import read_file

MAX_INT8 = 127  # the largest integer; -128 is not used, so that the range is symmetric
# The number of bits in the significand of a scale. The product of a scale and a 7-bit integer is then exact in float32.
SCALE_BITS = 16


def export(folder: str | Path, output: str | Path) -> None:
    """Write the model in `folder` to the new folder `output`, with its matrices in int8.

    Args:
        folder: a model folder, or the output folder of a training run. The best checkpoint of a run is exported.
        output: the folder to write. It must not exist.

    Raises:
        ModelError: the folder contains no model or a damaged model, a weight is not finite, or a part of the network
            does not support int8.
        DataError: `output` exists already.
        MachineError: the disk is full, or `output` cannot be written.
    """
    output = Path(output)
    model, path = load_for_export(folder, output)
    if part := find_unpackable_part(model.config.model):
        raise ModelError(f"{path}: no int8 for models with {part}; use the folder as it is")
    write_int8(path, output)


def load_for_export(folder: str | Path, output: Path) -> tuple[Model, Path]:
    """Load the model in `folder`, so that its faults are reported before anything is written. Return its folder, too.

    Raises:
        ModelError: the folder contains no model or a damaged model.
        DataError: `output` exists already.
    """
    check_new(output)
    return load_model(folder), find_model_folder(folder)


def write_int8(path: Path, output: Path, leave_out: Set[str] = frozenset()) -> None:
    """Write the model folder `path` to the folder `output`, with its matrices in int8.

    Args:
        path: a sound model folder.
        output: the folder to write.
        leave_out: the names of files that are not written.

    Raises:
        ModelError: a weight is not finite.
        MachineError: the disk is full, or `output` cannot be written.
    """
    weights = quantize_matrices(dequantize(load_tensors(path / WEIGHTS, MANIFEST[WEIGHTS].max_bytes)), path / WEIGHTS)
    with whole_folder(output) as draft:
        for name in verify_folder(path) - {WEIGHTS} - leave_out:
            (draft / name).write_bytes(read_file(path / name, MANIFEST[name].max_bytes))
        save_tensors(draft / WEIGHTS, weights)


def quantize_matrices(weights: dict[str, Tensor], where: Path) -> dict[str, Tensor]:
    """Replace each matrix NAME by int8 integers, and add the float32 scales of its rows as NAME + `SCALE`.

    Vectors are not changed.

    Raises:
        ModelError: a weight is not finite. The message contains `where`, the path of the file.
    """
    result = dict(weights)
    for name, matrix in weights.items():
        if not matrix.isfinite().all():
            raise ModelError(
                f"{where}: {name} holds values that are not numbers: training diverged; use another checkpoint"
            )
        if matrix.dim() == 2:
            scale = compute_row_scales(matrix)
            result[name], result[name + SCALE] = quantize_rows(matrix, scale), scale
    return result


def compute_row_scales(matrix: Tensor) -> Tensor:
    """Compute a scale for each row of a matrix (rows, columns), as a vector (rows,).

    The scale is the largest absolute value of the row divided by MAX_INT8, rounded to SCALE_BITS. The product of a
    scale and an integer is then exact in float32. If the loaded weights are quantized again for int8 inference, this
    therefore gives the same integers. A row of zeros, or of values near the smallest float32, has the scale 1.
    """
    exact = matrix.abs().amax(dim=1) / MAX_INT8
    mantissa, exponent = exact.frexp()
    rounded = ((mantissa * 2**SCALE_BITS).round() / 2**SCALE_BITS).ldexp(exponent)
    return torch.where(exact < torch.finfo(torch.float32).tiny * 2**SCALE_BITS, 1.0, rounded)


def quantize_rows(matrix: Tensor, scale: Tensor) -> Tensor:
    """Divide each row of a matrix (rows, columns) by a scale (rows,), and round to integers, as int8."""
    return (matrix / scale.unsqueeze(1)).round_().to(torch.int8)
