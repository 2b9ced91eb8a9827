"""Average the weights of models: often as good as their ensemble at the cost of one model (Junczys-Dowmunt et al. 2016)."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint.folder import Model, load_model, save_model, unique_weights
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.errors import ModelError
from nmt.system.files import check_new

logger = logging.getLogger(__name__)

RELATED = 0.5  # the cosine of models from one training is above 0.95, that of independently trained ones about 0.02


def average(folders: Sequence[str | Path], output: str | Path) -> None:
    """Write a model folder with the mean of the weights of several models and the configuration of the first.

    The mean is computed in float64 and rounded once. A warning is logged for a model that is not related to the first one,
    since the mean of independently trained networks hardly translates.

    Args:
        folders: model folders, or output folders of trainings, of which the best checkpoint is taken.
        output: the folder to write. It must not exist.

    Raises:
        ModelError: a folder holds no model or a damaged one, or the models differ in network or vocabulary.
        DataError: `output` exists already.
        MachineError: the disk is full, or `output` cannot be written.
    """
    output = Path(output)
    check_new(output)
    first = load_model(folders[0])
    weights = unique_weights(first.network)
    sums = {name: weight.double() for name, weight in weights.items()}
    for folder in folders[1:]:
        model = load_model(folder)
        check_same_kind(first, model)
        others = unique_weights(model.network)
        if (similarity := cosine(weights, others)) < RELATED:
            logger.warning(
                "%s: not related to %s (the cosine of their weights is %.2f), so their mean hardly translates; "
                "use them as an ensemble",
                *(model.name, first.name, similarity),
            )
        for name, weight in others.items():
            sums[name] += weight
    means = {name: (total / len(folders)).float() for name, total in sums.items()}
    save_model(output, means, first.tokenizers, first.config)


def cosine(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    """The cosine of the weights of two networks with the same parameters, each taken as one vector."""
    a, b = (torch.cat([given[name].flatten() for name in weights]) for given in (weights, others))
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def newest_checkpoints(folder: str | Path, count: int) -> list[Path]:
    """The newest `count` checkpoints in a training's output folder, oldest first.

    Raises:
        ModelError: the folder holds fewer checkpoints.
    """
    found = CheckpointFolder(Path(folder)).all()
    if len(found) < count:
        raise ModelError(
            f"{folder}: holds {len(found)} checkpoints, not {count}; ask for fewer, or train with a larger "
            "training.keep_checkpoints"
        )
    return found[-count:]


def check_same_kind(first: Model, other: Model) -> None:
    """Check that two models have the same network and vocabularies. Raises ModelError."""
    different = [f"model.{key}" for key in first.config.model.list_differences(other.config.model)]
    different += [
        f"the {side} vocabulary"
        for side in ("source", "target")
        if getattr(first.tokenizers, side).vocabulary() != getattr(other.tokenizers, side).vocabulary()
    ]
    if different:
        raise ModelError(
            f"{other.name}: differs from {first.name} in {', '.join(different)}; average models of one configuration"
        )
