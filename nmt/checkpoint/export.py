"""Write a smaller model folder: matrices as 8-bit integers with a scale for each row.

Loading dequantizes them (nmt/checkpoint/folder.py), so such a folder can be used like any other, except to continue training.
"""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint.folder import (
    SCALE,
    TRAINING_FILES,
    WEIGHTS,
    dequantize,
    load_model,
    load_tensors,
    model_folder,
    save_tensors,
)
from nmt.errors import ModelError
from nmt.search.packed.arithmetic import quantize_rows
from nmt.search.packed.engine import unpackable_part
from nmt.system.files import check_new, verify_checksums, whole_folder

LARGEST = 127  # of the integers; -128 is not used, so that the range is symmetric
SCALE_BITS = 16  # of a scale's significand: times the seven bits of an integer, the product is exact in float32


def export(folder: str | Path, output: str | Path) -> None:
    """Write the model in `folder` to the new folder `output`, with its matrices in int8.

    Args:
        folder: a model folder, or the output folder of a training, of which the best checkpoint is taken.
        output: the folder to write. It must not exist.

    Raises:
        ModelError: the folder holds no model or a damaged one, its weights are not finite, or parts of it do not run in int8.
        DataError: `output` exists already.
        MachineError: the disk is full, or `output` cannot be written.
    """
    output = Path(output)
    check_new(output)
    model = load_model(folder)  # reports whatever is wrong with the model before anything is written
    path = model_folder(folder)
    if part := unpackable_part(model.config.model):
        raise ModelError(f"{path}: no int8 for models with {part}; use the folder as it is")
    names = verify_checksums(path, unread=TRAINING_FILES).difference(TRAINING_FILES)
    weights = quantize_matrices(dequantize(load_tensors(path / WEIGHTS)), path / WEIGHTS)
    with whole_folder(output) as draft:
        for name in names - {WEIGHTS}:
            shutil.copyfile(path / name, draft / name)
        save_tensors(draft / WEIGHTS, weights)


def quantize_matrices(weights: dict[str, Tensor], where: Path) -> dict[str, Tensor]:
    """Replace each matrix NAME by NAME in int8 and the float32 scale of each row under NAME + `SCALE`. Vectors are kept.

    Raises:
        ModelError: a weight is not finite. `where` names the file.
    """
    result = dict(weights)
    for name, matrix in weights.items():
        if not matrix.isfinite().all():
            raise ModelError(
                f"{where}: {name} holds values that are not numbers: training diverged; use another checkpoint"
            )
        if matrix.dim() == 2:
            scale = row_scales(matrix)
            result[name], result[name + SCALE] = quantize_rows(matrix, scale), scale
    return result


def row_scales(matrix: Tensor) -> Tensor:
    """The scale (R,) of each row of a matrix (R, C): its largest absolute value divided by LARGEST, rounded to SCALE_BITS.

    Integers times scale is then exact in float32, so quantizing the product again gives the same integers; the int8 engine
    therefore computes with the exported ones. The scale of a row of zeros, or of values near the smallest float32, is 1.
    """
    exact = matrix.abs().amax(dim=1) / LARGEST
    mantissa, exponent = exact.frexp()
    rounded = ((mantissa * 2**SCALE_BITS).round() / 2**SCALE_BITS).ldexp(exponent)
    return torch.where(exact < torch.finfo(torch.float32).tiny * 2**SCALE_BITS, 1.0, rounded)
