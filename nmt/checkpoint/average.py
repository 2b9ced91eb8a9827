"""The mean of several models' weights: often as good as their ensemble, at the cost of one (Junczys-Dowmunt et al. 2016)."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint.folder import Model, load_model, save_model, unique_weights
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.errors import ModelError
from nmt.system.files import check_new
from nmt.tokenizers.base import names

logger = logging.getLogger(__name__)

ALIKE = 0.5  # cosine: of weights from one beginning it is above 0.95, of others about 0.02


def average(folders: Sequence[str | Path], output: str | Path) -> None:
    """Write a model folder with the mean of the weights of models, those of one training say, and the first one's configuration.

    Args:
        folders: model folders, or output folders of trainings, of which the best checkpoint is meant.
        output: the folder to write, a new one.

    Raises:
        ModelError: a folder holds no model or a damaged one, or two are of different networks or vocabularies.
        DataError: there is something at `output`.
        MachineError: the disk is full, or the place cannot be written.
    """
    output = Path(output)
    check_new(output)
    first = load_model(folders[0])
    own = unique_weights(first.network)
    sums = {name: weight.double() for name, weight in own.items()}
    for folder in folders[1:]:
        model = load_model(folder)
        _check(first, model)
        others = unique_weights(model.network)
        if (likeness := cosine(own, others)) < ALIKE:
            logger.warning(
                "%s: shares no beginning with %s (the cosine of their weights is %.2f), so their mean hardly translates; "
                "use them as an ensemble",
                *(model.name, first.name, likeness),
            )
        for name, weight in others.items():
            sums[name] += weight
    weights = {name: (total / len(folders)).float() for name, total in sums.items()}
    save_model(output, weights, first.tokenizers, first.config)


def cosine(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    """Of all weights of two like networks, each as one vector."""
    a, b = (torch.cat([given[name].flatten() for name in weights]) for given in (weights, others))
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def newest_checkpoints(folder: str | Path, count: int) -> list[Path]:
    """The newest checkpoints in a training's output folder, so many. Raises ModelError: there are not as many."""
    found = CheckpointFolder(Path(folder)).all()
    if len(found) < count:
        raise ModelError(
            f"{folder}: holds {len(found)} checkpoints, not {count}; ask for fewer, or train with a larger "
            "training.keep_checkpoints"
        )
    return found[-count:]


def _check(first: Model, other: Model) -> None:
    different = [f"model.{key}" for key in first.config.model.unlike(other.config.model)]
    if not all(
        names(getattr(first.tokenizers, side)) == names(getattr(other.tokenizers, side))
        for side in ("source", "target")
    ):
        different.append("the vocabulary")
    if different:
        raise ModelError(
            f"{other.name}: differs from {first.name} in {', '.join(different)}; average models of one configuration"
        )
