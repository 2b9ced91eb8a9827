"""Averaging of the weights of several models.

The averaged model often translates as well as an ensemble of the models, at the cost of a single model (Junczys-Dowmunt
et al. 2016).
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint.folder import Model, load_model, save_model, unique_weights
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.checkpoint.training_text import load_known_words, load_languages
from nmt.errors import ModelError
from nmt.system.files import check_new

logger = logging.getLogger(__name__)

# Two models are related if the cosine of their weights is at least this. The cosine is above 0.95 for models of one
# training run, and about 0.02 for models of different runs.
RELATED = 0.5


def average(folders: Sequence[str | Path], output: str | Path) -> None:
    """Write a model folder with the mean weights of several models. Its configuration is that of the first model.

    The mean is computed in float64 and rounded once. A warning is logged if a model is not related to the first model,
    because the mean of independently trained networks cannot translate.

    Args:
        folders: model folders, or output folders of training runs. The best checkpoint of a training run is used.
        output: the folder to write. It must not exist.

    Raises:
        ModelError: a folder contains no model or a damaged model, or the networks or the vocabularies differ.
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
    languages, words = load_languages(folders[0]), load_known_words(folders[0])
    save_model(output, means, first.tokenizers, first.config, languages=languages, words=words)


def cosine(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    """Compute the cosine between the weights of two networks. All weights of a network form one vector."""
    a, b = (torch.cat([given[name].flatten() for name in weights]) for given in (weights, others))
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def find_newest_checkpoints(folder: str | Path, count: int) -> list[Path]:
    """Return the newest `count` checkpoints in the output folder of a training run, the oldest first.

    Raises:
        ModelError: the folder contains fewer checkpoints.
    """
    found = CheckpointFolder(Path(folder)).all()
    if len(found) < count:
        raise ModelError(
            f"{folder}: holds {len(found)} checkpoints, not {count}; ask for fewer, or train with a larger "
            "training.keep_checkpoints"
        )
    return found[-count:]


def check_same_kind(first: Model, other: Model) -> None:
    """Check that two models have the same architecture, vocabularies and rules of normalization.

    Raises:
        ModelError: the models differ.
    """
    different = [f"model.{key}" for key in first.config.model.list_differences(other.config.model)]
    different += [
        f"the {side} vocabulary"
        for side in ("source", "target")
        if getattr(first.tokenizers, side).vocabulary() != getattr(other.tokenizers, side).vocabulary()
    ]
    if first.tokenizers.normalizers != other.tokenizers.normalizers:
        different.append("the rules of normalization")
    if different:
        raise ModelError(
            f"{other.name}: differs from {first.name} in {', '.join(different)}; average models of one configuration"
        )
