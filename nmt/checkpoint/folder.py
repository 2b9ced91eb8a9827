"""Model folders: safetensors, YAML and the tokenizer's own files. Nothing in them is unpickled.

A checkpoint is a complete model folder together with the state of the training, from which the training can continue:

    config.yaml            the whole configuration
    tokenizer.model        or source.model and target.model, or .json: the tokenizer's own file
    model.safetensors      the weights for translation: their moving average, if the training keeps one; in float32, or in a
                           folder written by nmt-export as int8 NAME with float32 NAME.scale for each row of a matrix
    shortlist.safetensors  the target tokens to consider for each source token; only after training, if it costs no quality
    training.safetensors   the raw weights and the optimizer's moments    } read only to
    state.json             position, best score, patience                 } continue training
    checksums.sha256       of all of these files
"""

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.checkpoint.run_folder import BEST, CHECKPOINTS
from nmt.config.load import dump_config, parse_config, read_yaml
from nmt.config.schema import Config
from nmt.errors import ConfigError, ModelError
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.system.files import add_file, reason, verify_checksums, whole_folder
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import load_tokenizers, save_tokenizers

CONFIG, WEIGHTS, SHORTLIST = "config.yaml", "model.safetensors", "shortlist.safetensors"
TRAINING_WEIGHTS, TRAINING_STATE = "training.safetensors", "state.json"
TRAINING_FILES = (TRAINING_WEIGHTS, TRAINING_STATE)
SCALE = ".scale"  # suffix of the tensor with the scale of each row of an int8 matrix


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network with everything that it needs to translate text."""

    network: Seq2Seq
    tokenizers: Tokenizers
    config: Config
    name: str
    """The folder as the caller named it, for messages."""
    shortlist: Shortlist | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """What a training needs besides the model in order to continue."""

    tensors: dict[str, Tensor]
    progress: str
    """A JSON text."""


def build_network(config: Config, tokenizers: Tokenizers) -> Seq2Seq:
    """Build a network with initial weights, which depend on nothing but the configuration and `training.seed`."""
    generator = torch.Generator().manual_seed(config.training.seed)
    sizes = {"source_size": tokenizers.source.size, "target_size": tokenizers.target.size}
    return Seq2Seq(config.model, **sizes, generator=generator)


class _SkipInitialization(TorchFunctionMode):
    """Leave the parameters of new modules uninitialized, since they are read from a file next.

    Initializing them took half of the time to load a model. torch's own way, the device "meta", imports about a hundred
    modules, which takes even longer.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        initializes = getattr(function, "__module__", None) == nn.init.__name__
        return None if initializes else function(*args, **(kwargs or {}))


def save_model(
    folder: Path,
    weights: dict[str, Tensor],
    tokenizers: Tokenizers,
    config: Config,
    training: TrainingState | None = None,
) -> None:
    """Write a model folder completely or not at all, replacing an older one.

    Raises:
        MachineError: the disk is full, or the folder cannot be written. An older folder is kept.
    """
    with whole_folder(folder) as draft:
        (draft / CONFIG).write_text(dump_config(config), encoding="utf-8")
        save_tokenizers(tokenizers, draft)
        save_tensors(draft / WEIGHTS, weights)
        if training:
            save_tensors(draft / TRAINING_WEIGHTS, training.tensors)
            (draft / TRAINING_STATE).write_text(training.progress, encoding="utf-8")


def load_model(folder: str | Path, device: torch.device | None = None) -> Model:
    """Load the model in a model folder, or the best one in a training's output folder.

    The files that only training reads may be missing and are not checked.

    Raises:
        ModelError: the folder does not exist, or a file in it is missing, damaged or unreadable.
    """
    path = model_folder(folder)
    files = verify_checksums(path, unread=TRAINING_FILES)
    config = load_folder_config(path)
    tokenizers = load_tokenizers(config.tokenizer, path, config.data.tags)
    sizes = {"source_size": tokenizers.source.size, "target_size": tokenizers.target.size}
    with _SkipInitialization():
        network = Seq2Seq(config.model, **sizes, generator=None)
    load_weights(network, dequantize(load_tensors(path / WEIGHTS)), path / WEIGHTS)
    network.requires_grad_(False)
    return Model(
        network=network.to(device or "cpu"),
        tokenizers=tokenizers,
        config=config,
        name=str(folder),
        shortlist=load_shortlist(path / SHORTLIST, tokenizers) if SHORTLIST in files else None,
    )


def model_folder(folder: str | Path) -> Path:
    """The folder with the model's files: `folder` itself, or the best checkpoint of the training that wrote `folder`.

    Raises:
        ModelError: the folder does not exist or holds no model.
    """
    folder = Path(folder)
    if folder.is_symlink() and not folder.exists():
        raise ModelError(f"{folder}: a link to a missing folder; copy the folder that it points to, with cp -rL")
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; name the --output folder of nmt-train or a model folder")
    if (folder / BEST).is_dir():
        return (folder / BEST).resolve()
    if (folder / CONFIG).is_file():
        return folder
    if (folder / CHECKPOINTS).is_dir():
        raise ModelError(f"{folder}: training has not chosen a best checkpoint yet; name one in {folder / CHECKPOINTS}")
    raise ModelError(f"{folder}: not a model folder ({CONFIG} is missing); name the --output folder of nmt-train")


def load_folder_config(folder: Path) -> Config:
    """Load the configuration in a model folder.

    It must name every key of `model`: a default may have changed since the folder was written.

    Raises:
        ModelError: the configuration is missing, damaged or incomplete.
    """
    path = folder / CONFIG
    try:
        content = read_yaml(path)
        config = parse_config(content, where=str(path), trained=True)
        given = content.get("model") or {}
        missing = [f"model.{key.name}" for key in fields(config.model) if key.name not in given]
        if missing:
            raise ConfigError(f"{path}: lacks {', '.join(missing)}")
        return config
    except ConfigError as error:
        raise ModelError(f"{error}; the folder was damaged or written by another version of nmt") from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Load a .safetensors file. Raises ModelError where it cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({reason(error)}); copy the whole folder again") from error


def dequantize(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Multiply the int8 matrices (R, C) by the float32 scales of their rows (R,). Other weights are returned as they are."""
    return {
        name: weight if (scale := weights.get(name + SCALE)) is None else weight.float() * scale.unsqueeze(-1)
        for name, weight in weights.items()
        if not name.endswith(SCALE)
    }


def load_weights(network: Seq2Seq, weights: dict[str, Tensor], where: Path) -> None:
    """Copy weights, named as by `unique_weights`, into a network.

    Raises:
        ModelError: a weight is missing or not known to the network, or its shape or type differs. `where` names the file.
    """
    parameters = unique_weights(network)
    if different := parameters.keys() ^ weights.keys():
        raise ModelError(
            f"{where}: does not fit {CONFIG} (differs in {', '.join(sorted(different)[:3])}); copy the folder again"
        )
    for name, parameter in parameters.items():
        if parameter.shape != weights[name].shape:
            shapes = f"{tuple(weights[name].shape)} instead of {tuple(parameter.shape)}"
            raise ModelError(f"{where}: does not fit {CONFIG} ({name} is {shapes}); copy the folder again")
        if not weights[name].is_floating_point():
            raise ModelError(f"{where}: {name} has integers without {name}{SCALE}; copy the folder again")
        parameter.copy_(weights[name])


def save_shortlist(folder: Path, shortlist: Shortlist) -> None:
    """Add a shortlist to a model folder, or replace it. The folder is valid at every moment.

    Raises:
        MachineError: the folder cannot be written.
    """
    tensors = {"frequent": shortlist.frequent, "best": shortlist.best}
    add_file(folder, SHORTLIST, save({name: torch.from_numpy(ids).int() for name, ids in tensors.items()}))


def load_shortlist(path: Path, tokenizers: Tokenizers) -> Shortlist:
    """Load what `save_shortlist` wrote. Raises ModelError where it does not fit the vocabularies."""
    tensors = load_tensors(path)
    try:
        frequent, best = tensors["frequent"].long().numpy(), tensors["best"].long().numpy()
        if len(best) != tokenizers.source.size:
            raise ValueError(f"{len(best)} source tokens instead of {tokenizers.source.size}")
        return Shortlist(target_size=tokenizers.target.size, frequent=frequent, best=best)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: does not fit the vocabularies ({reason(error)}); copy the folder again") from error


def unique_weights(network: Seq2Seq) -> dict[str, Tensor]:
    """The network's weights by name. A weight that several modules share appears once."""
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a .safetensors file.

    Raises:
        OSError: the file cannot be written. The caller turns it into a message.
    """
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:  # it contains the operating system's error as text
        match = re.search(r"os error (\d+)", str(error))
        raise OSError(int(match[1]) if match else 0, os.strerror(int(match[1])) if match else str(error)) from error


def load_training_state(folder: Path) -> TrainingState:
    """Load what `save_model` wrote as `training`. Raises ModelError where a file is missing or damaged."""
    try:
        progress = (folder / TRAINING_STATE).read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{folder / TRAINING_STATE}: cannot be read ({reason(error)})") from error
    return TrainingState(tensors=load_tensors(folder / TRAINING_WEIGHTS), progress=progress)
