"""The mean of several models' weights: often as good as their ensemble, at the cost of one (Junczys-Dowmunt et al. 2016)."""

from collections.abc import Sequence
from pathlib import Path

from nmt.checkpoint import CheckpointFolder, Model, load_model, save_model, unique_weights
from nmt.errors import ModelError
from nmt.files import check_new
from nmt.tokenizers.base import names


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
    sums = {name: weight.double() for name, weight in unique_weights(first.network).items()}
    for folder in folders[1:]:
        model = load_model(folder)
        _check(first, model)
        for name, weight in unique_weights(model.network).items():
            sums[name] += weight
    weights = {name: (total / len(folders)).float() for name, total in sums.items()}
    save_model(output, weights, first.tokenizers, first.config)


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
