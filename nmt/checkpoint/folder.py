"""Model folders: safetensors, YAML and the tokenizer's own file. Nothing in them is unpickled.

A checkpoint is a complete model folder, with the training's state beside the model so that it can go on:

    config.yaml            the whole configuration
    tokenizer.model        or source.model and target.model, or .json: the tokenizer's own file
    model.safetensors      the weights to translate with: the moving average, where training keeps one; in float32, or from
                           nmt-export as int8 NAME with float32 NAME.scale for each row of a matrix
    shortlist.safetensors  which target pieces to consider; where training is done and they cost no quality
    training.safetensors   raw weights and optimiser moments       } only for going on with
    state.json             position, best score, patience          } training
    checksums.sha256       of all of these

A training's output folder holds `checkpoints/update-00001000/`, ... and `best`, a link to one of them.
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

from nmt.config.load import dump_config, parse_config, read_yaml
from nmt.config.schema import Config
from nmt.errors import ConfigError, ModelError
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.system.files import add_file, reason, verify_checksums, whole_folder
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import load_tokenizers, save_tokenizers

BEST, CHECKPOINTS = "best", "checkpoints"
CONFIG, WEIGHTS, SHORTLIST = "config.yaml", "model.safetensors", "shortlist.safetensors"
TRAINING_WEIGHTS, TRAINING_STATE = "training.safetensors", "state.json"
TRAINING_FILES = (TRAINING_WEIGHTS, TRAINING_STATE)
SCALE = ".scale"  # behind the name of a matrix: what its integers are multiplied by, row by row


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network with what it needs to translate text."""

    network: Seq2Seq
    tokenizers: Tokenizers
    config: Config
    name: str
    shortlist: Shortlist | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """What training needs besides the model to go on: tensors by name, and a JSON text."""

    tensors: dict[str, Tensor]
    progress: str


def build_network(config: Config, tokenizers: Tokenizers) -> Seq2Seq:
    """A network with initial weights, a pure function of `training.seed`."""
    return _network(config, tokenizers, torch.Generator().manual_seed(config.training.seed))


def _network(config: Config, tokenizers: Tokenizers, generator: torch.Generator | None) -> Seq2Seq:
    sizes = {"source_size": tokenizers.source.size, "target_size": tokenizers.target.size}
    return Seq2Seq(config.model, **sizes, generator=generator)


class _Undrawn(TorchFunctionMode):
    """Leaves the weights of new modules as the memory is. To draw them took half the time that a model took to load.

    torch's own way to skip this, its device "meta", imports some hundred modules, which takes longer than to draw.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        drawing = getattr(function, "__module__", None) == nn.init.__name__
        return None if drawing else function(*args, **(kwargs or {}))


def save_model(
    folder: Path,
    weights: dict[str, Tensor],
    tokenizers: Tokenizers,
    config: Config,
    training: TrainingState | None = None,
) -> None:
    """Write a model folder, whole or not at all. Raises MachineError (a full disk, say); what was there before stays."""
    with whole_folder(folder) as draft:
        (draft / CONFIG).write_text(dump_config(config), encoding="utf-8")
        save_tokenizers(tokenizers, draft)
        save_tensors(draft / WEIGHTS, weights)
        if training:
            save_tensors(draft / TRAINING_WEIGHTS, training.tensors)
            (draft / TRAINING_STATE).write_text(training.progress, encoding="utf-8")


def load_model(folder: str | Path, device: torch.device | None = None) -> Model:
    """The model in a model folder, or the best one in a training's output folder.

    What only training reads is neither needed nor checked.

    Raises:
        ModelError: no such folder, a missing, damaged or unreadable file.
    """
    path = model_folder(folder)
    files = verify_checksums(path, unread=TRAINING_FILES)
    config = load_folder_config(path)
    tokenizers = load_tokenizers(config.tokenizer, path, config.data.tags)
    with _Undrawn():
        network = _network(config, tokenizers, generator=None)
    load_weights(network, multiplied_out(load_tensors(path / WEIGHTS)), path / WEIGHTS)
    network.requires_grad_(False)
    return Model(
        network=network.to(device or "cpu"),
        tokenizers=tokenizers,
        config=config,
        name=str(folder),
        shortlist=_load_shortlist(path / SHORTLIST, tokenizers) if SHORTLIST in files else None,
    )


def model_folder(folder: str | Path) -> Path:
    """The folder with the model's files: `folder` itself, or the best checkpoint of a training in it."""
    folder = Path(folder)
    if folder.is_symlink() and not folder.exists():
        raise ModelError(f"{folder}: a link that leads nowhere; copy the folder that it meant, with cp -rL")
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
    """The configuration in a model folder. It names every key of the network, whose defaults may have changed since."""
    path = folder / CONFIG
    try:
        content = read_yaml(path)
        config = parse_config(content, where=str(path), trained=True)
        named = content.get("model") or {}
        missing = [f"model.{key.name}" for key in fields(config.model) if key.name not in named]
        if missing:
            raise ConfigError(f"{path}: lacks {', '.join(missing)}")
        return config
    except ConfigError as error:
        raise ModelError(f"{error}; the folder was damaged or written by another version of nmt") from error


def load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({reason(error)}); copy the whole folder again") from error


def multiplied_out(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with matrices that are stored as integers and scales in float32."""
    return {
        name: weight if (scale := weights.get(name + SCALE)) is None else weight.float() * scale.unsqueeze(-1)
        for name, weight in weights.items()
        if not name.endswith(SCALE)
    }


def load_weights(network: Seq2Seq, weights: dict[str, Tensor], where: Path) -> None:
    """Put weights saved by `unique_weights` into a network. Raises ModelError where they do not fit."""
    missing = unique_weights(network).keys() ^ weights.keys()
    if missing:
        raise ModelError(
            f"{where}: does not fit {CONFIG} (differs in {', '.join(sorted(missing)[:3])}); copy the folder again"
        )
    with torch.no_grad():
        for name, parameter in unique_weights(network).items():
            if parameter.shape != weights[name].shape:
                shapes = f"{tuple(weights[name].shape)} instead of {tuple(parameter.shape)}"
                raise ModelError(f"{where}: does not fit {CONFIG} ({name} is {shapes}); copy the folder again")
            if not weights[name].is_floating_point():
                raise ModelError(f"{where}: {name} has integers without {name}{SCALE}; copy the folder again")
            parameter.copy_(weights[name])


def save_shortlist(folder: Path, shortlist: Shortlist) -> None:
    """Put a shortlist into a model folder, which is whole at every moment. Raises MachineError: it cannot be written."""
    tensors = {"frequent": shortlist.frequent, "best": shortlist.best}
    add_file(folder, SHORTLIST, save({name: torch.from_numpy(ids).int() for name, ids in tensors.items()}))


def _load_shortlist(path: Path, tokenizers: Tokenizers) -> Shortlist:
    """What `save_shortlist` wrote. Raises ModelError where it does not fit the vocabularies."""
    tensors = load_tensors(path)
    try:
        frequent, best = tensors["frequent"].long().numpy(), tensors["best"].long().numpy()
        if len(best) != tokenizers.source.size:
            raise ValueError(f"{len(best)} source pieces instead of {tokenizers.source.size}")
        return Shortlist(target_size=tokenizers.target.size, frequent=frequent, best=best)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: does not fit the vocabularies ({reason(error)}); copy the folder again") from error


def unique_weights(network: Seq2Seq) -> dict[str, Tensor]:
    """The network's weights by name, shared ones once."""
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a .safetensors file. Raises OSError, which the caller should explain."""
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:  # it wraps the operating system's error in text of its own
        match = re.search(r"os error (\d+)", str(error))
        raise OSError(int(match[1]) if match else 0, os.strerror(int(match[1])) if match else str(error)) from error


def load_training_state(folder: Path) -> TrainingState:
    """What `save_model` wrote as `training`. Raises ModelError where a file is missing or damaged."""
    try:
        progress = (folder / TRAINING_STATE).read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{folder / TRAINING_STATE}: cannot be read ({reason(error)})") from error
    return TrainingState(tensors=load_tensors(folder / TRAINING_WEIGHTS), progress=progress)
