"""A model folder made smaller: matrices as 8-bit integers with a scale for each row.

Everything that reads a model folder multiplies them out (nmt/checkpoint/folder.py), so such a folder serves for whatever an
ordinary one does but to go on training.
"""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint.folder import (
    SCALE,
    TRAINING_FILES,
    WEIGHTS,
    load_model,
    load_tensors,
    model_folder,
    multiplied_out,
    save_tensors,
)
from nmt.errors import ModelError
from nmt.search.packed.engine import unknown_part
from nmt.system.files import check_new, verify_checksums, whole_folder

LARGEST = 127  # of the integers; −128 would stand alone
SCALE_BITS = 16  # of a scale's significand: with seven of an integer the product is exact in float32


def export(folder: str | Path, output: str | Path) -> None:
    """Write the model in `folder`, a model folder or the output of a training, to the new folder `output` as int8.

    Raises:
        ModelError: no such model, a damaged one, one whose weights are not numbers, or with parts that do not run in int8.
        DataError: there is something at `output`.
        MachineError: the disk is full, or the place cannot be written.
    """
    output = Path(output)
    check_new(output)
    model = load_model(folder)  # whatever is wrong with it is told before anything is written
    path = model_folder(folder)
    if part := unknown_part(model.config.model):
        raise ModelError(f"{path}: no int8 for models with {part}; use the folder as it is")
    names = verify_checksums(path, unread=TRAINING_FILES).difference(TRAINING_FILES)
    weights = quantised(multiplied_out(load_tensors(path / WEIGHTS)), path / WEIGHTS)
    with whole_folder(output) as draft:
        for name in names - {WEIGHTS}:
            shutil.copyfile(path / name, draft / name)
        save_tensors(draft / WEIGHTS, weights)


def quantised(weights: dict[str, Tensor], where: Path) -> dict[str, Tensor]:
    """Weights with each matrix as int8 and a float32 scale for each row, under its name and `SCALE`. Vectors stay.

    Raises ModelError, naming `where`, for weights that are not numbers.
    """
    result = dict(weights)
    for name, matrix in weights.items():
        if not matrix.isfinite().all():
            raise ModelError(
                f"{where}: {name} holds values that are not numbers: training diverged; use another checkpoint"
            )
        if matrix.dim() == 2:
            scale = scales(matrix)
            result[name], result[name + SCALE] = integers(matrix, scale), scale
    return result


def scales(matrix: Tensor) -> Tensor:
    """For each row of (R, C) what 1 stands for, (R,): its largest value is LARGEST, to SCALE_BITS.

    So integers times scale is exact, LARGEST times scale as well, and whoever quantises the product in the same way has the same
    integers again. A row of zeros, or as good as zeros, has the scale 1.
    """
    exact = matrix.abs().amax(dim=1) / LARGEST
    mantissa, exponent = exact.frexp()
    rounded = ((mantissa * 2**SCALE_BITS).round() / 2**SCALE_BITS).ldexp(exponent)
    return torch.where(exact < torch.finfo(torch.float32).tiny * 2**SCALE_BITS, 1.0, rounded)


def integers(matrix: Tensor, scale: Tensor) -> Tensor:
    """A matrix (R, C) as int8 multiples of its rows' scales (R,)."""
    return (matrix / scale.unsqueeze(1)).round().clamp(-LARGEST, LARGEST).to(torch.int8)
