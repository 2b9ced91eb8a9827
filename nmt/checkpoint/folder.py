"""Model folders. They consist of safetensors, YAML and tokenizer files. Loading a model folder unpickles nothing.

A checkpoint is a model folder that also contains the training state, so that training can continue from it. The files:

    config.yaml            the whole configuration
    tokenizer.model        the tokenizer, if source and target share it. Otherwise, the files are source.model and
                           target.model. Some types of tokenizer write .json files instead
    normalization.json     the rules of text normalization. The file is missing if text is not normalized
    truecase.json          the usual case of source words. The file is missing if the case of text is not changed
    model.safetensors      the weights for translation. They are the moving average of the weights if training keeps
                           one. All tensors are float32, except in a folder written by nmt-export. There, a matrix NAME
                           is int8, and the tensor NAME.scale has a float32 scale for each row
    shortlist.safetensors  the target tokens to consider for each source token. The file is added after training, and
                           only if the shortlist does not reduce the quality
    languages.safetensors  a model that identifies the languages of the training text. The file is added after training
    words.safetensors      hashes of the source words of the training text. The file is added after training
    training.safetensors   the current weights and the optimizer's moments           } read only to
    state.json             the position in the data, the best score, the patience    } continue training
    checksums.sha256       the checksums of all these files
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.manifest import (
    CONFIG,
    KNOWN_WORDS,
    LANGUAGES,
    MANIFEST,
    SCALE,
    SHORTLIST,
    TRAINING_STATE,
    TRAINING_WEIGHTS,
    WEIGHTS,
    verify_folder,
)
from nmt.checkpoint.run_folder import find_model_folder
from nmt.checkpoint.tensors import load_tensors, save_tensors
from nmt.checkpoint.text_model import TextModel, load_model_tokenizers
from nmt.config.load import dump_config
from nmt.config.schema import Config
from nmt.data.check.languages import LanguageIdentifier
from nmt.data.known_words import KnownWords
from nmt.errors import ModelError
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.system.files import add_file, reason, whole_folder
from nmt.system.opening import read_file
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.files import save_tokenizers

_ALLOCATIONS = (torch.empty, torch.zeros, torch.ones, torch.full)
_SPARE = 1_000_000  # the number of values that may be allocated in addition to the values in the file
_MAX_TARGETS = 4096  # the largest number of target tokens for a source token in a shortlist


@dataclass(frozen=True, kw_only=True)
class Model(TextModel):
    """A network, and everything else that is needed to translate text."""

    network: Seq2Seq
    shortlist: Shortlist | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """The state that a training run needs, in addition to the model, in order to continue."""

    tensors: dict[str, Tensor]
    """The current weights and the optimizer's moments."""
    progress: str
    """The position in the data, the best score and the patience, as JSON."""


def build_network(config: Config, tokenizers: Tokenizers) -> Seq2Seq:
    """Build a network with initial weights. They depend only on the configuration and the sizes of the vocabularies."""
    generator = torch.Generator().manual_seed(config.training.seed)
    sizes = {"source_size": tokenizers.source.size, "target_size": tokenizers.target.size}
    return Seq2Seq(config.model, **sizes, generator=generator)


class _SkipInitialization(TorchFunctionMode):
    """A context in which the parameters of new modules are not initialized. They are read from a file later.

    Initialization would take half of the time of loading a model. torch's alternative, the device "meta", takes even
    longer, because it imports about a hundred modules.

    Args:
        max_values: the number of values for which memory may be allocated.

    Raises:
        MemoryError: the network needs more memory. The error is raised before this memory is allocated.
    """

    def __init__(self, max_values: int) -> None:
        super().__init__()
        self._left = max_values

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _ALLOCATIONS:
            self._left -= math.prod(args[0] if isinstance(args[0], tuple | list) else args)
            if self._left < 0:
                raise MemoryError
        initializes = getattr(function, "__module__", None) == nn.init.__name__
        return None if initializes else function(*args, **(kwargs or {}))


def save_model(
    folder: Path,
    weights: dict[str, Tensor],
    tokenizers: Tokenizers,
    config: Config,
    training: TrainingState | None = None,
    languages: LanguageIdentifier | None = None,
    words: KnownWords | None = None,
) -> None:
    """Write a model folder. An existing folder of the same name is replaced.

    If an error occurs or the process is killed, the existing folder is unchanged.

    Raises:
        MachineError: the disk is full, or the folder cannot be written.
    """
    with whole_folder(folder) as draft:
        (draft / CONFIG).write_text(dump_config(config), encoding="utf-8")
        save_tokenizers(tokenizers, draft)
        save_tensors(draft / WEIGHTS, weights)
        if languages:
            (draft / LANGUAGES).write_bytes(languages.to_bytes())
        if words:
            (draft / KNOWN_WORDS).write_bytes(words.to_bytes())
        if training:
            save_tensors(draft / TRAINING_WEIGHTS, training.tensors)
            (draft / TRAINING_STATE).write_text(training.progress, encoding="utf-8")


def load_model(folder: str | Path, device: torch.device | None = None) -> Model:
    """Load a model.

    `folder` is a model folder, or the output folder of a training run. The best checkpoint of a run is loaded. Files
    that only training reads are not checked, and may be missing.

    Raises:
        ModelError: the folder does not exist, or a file in it is missing, damaged or unreadable.
    """
    path = find_model_folder(folder)
    files = verify_folder(path)
    config = load_folder_config(path)
    tokenizers = load_model_tokenizers(path, files, config)
    weights = load_tensors(path / WEIGHTS, MANIFEST[WEIGHTS].max_bytes)
    check_scales(weights, path / WEIGHTS)
    network = build_empty_network(config, tokenizers, weights, path / WEIGHTS)
    load_weights(network, dequantize(weights), path / WEIGHTS)
    network.requires_grad_(False)
    return Model(
        network=network.to(device or "cpu"),
        tokenizers=tokenizers,
        config=config,
        name=str(folder),
        shortlist=load_shortlist(path / SHORTLIST, tokenizers) if SHORTLIST in files else None,
    )


def build_empty_network(config: Config, tokenizers: Tokenizers, weights: dict[str, Tensor], where: Path) -> Seq2Seq:
    """Build a network without initial weights. The sizes in the configuration are first compared with `weights`.

    For any configuration, the allocated memory is at most a small multiple of the size of the weights.

    Raises:
        ModelError: the weights do not fit the configuration. The message contains `where`, the path of the weights.
    """
    rows = {"source_embedding.weight": tokenizers.source.size, "target_embedding.weight": tokenizers.target.size}
    for name in rows.keys() & weights.keys():
        expected = (rows[name], config.model.embedding_size)
        if weights[name].shape != expected:
            shapes = f"{name} is {tuple(weights[name].shape)} instead of {expected}"
            raise ModelError(f"{where}: does not fit {CONFIG} and the vocabulary ({shapes}); copy the folder again")
    values = sum(weight.numel() for weight in weights.values())
    try:
        # Twice the values, because tied matrices are first allocated singly.
        with _SkipInitialization(max_values=2 * values + _SPARE):
            return Seq2Seq(
                config.model, source_size=tokenizers.source.size, target_size=tokenizers.target.size, generator=None
            )
    except MemoryError as error:
        fault = f"{CONFIG} describes a larger network than its {values:,} values"
        raise ModelError(f"{where}: does not fit {CONFIG} ({fault}); copy the folder again") from error


def check_scales(weights: dict[str, Tensor], where: Path) -> None:
    """Check that the scales of int8 matrices have the right types and shapes.

    Raises:
        ModelError: a type or a shape is wrong. The message contains `where`, the path of the file.
    """
    for name in (name for name in weights if name + SCALE in weights):
        matrix, scale = weights[name], weights[name + SCALE]
        if matrix.dtype != torch.int8 or scale.dtype != torch.float32 or scale.shape != matrix.shape[:1]:
            raise ModelError(f"{where}: {name}{SCALE} does not fit {name}; copy the folder again")


def dequantize(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Multiply each int8 matrix by the float32 scales of its rows. All other weights are returned unchanged."""
    scales = {name + SCALE for name in weights} & weights.keys()  # names of parameters may also end with SCALE
    return {
        name: weight.float() * weights[name + SCALE].unsqueeze(-1) if name + SCALE in scales else weight
        for name, weight in weights.items()
        if name not in scales
    }


def load_weights(network: Seq2Seq, weights: dict[str, Tensor], where: Path) -> None:
    """Copy weights into a network. Their names must be the names that `unique_weights` returns for this network.

    Raises:
        ModelError: a weight is missing, has an unknown name, or has a wrong shape or type. The message contains
            `where`, the path of the file.
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
    """Add a shortlist to a model folder, or replace its shortlist. After an interruption, the folder is still valid.

    Raises:
        MachineError: the folder cannot be written.
    """
    tensors = {"frequent": shortlist.frequent, "best": shortlist.best}
    add_file(folder, SHORTLIST, save({name: torch.from_numpy(ids).int() for name, ids in tensors.items()}))


def load_shortlist(path: Path, tokenizers: Tokenizers) -> Shortlist:
    """Load a shortlist that `save_shortlist` wrote.

    Raises:
        ModelError: the file cannot be read, or does not fit the vocabularies.
    """
    tensors = load_tensors(path, MANIFEST[SHORTLIST].max_bytes)
    try:
        if any(tensor.dtype != torch.int32 or tensor.shape[1:].numel() > _MAX_TARGETS for tensor in tensors.values()):
            raise ValueError(f"not int32, or wider than {_MAX_TARGETS}")
        frequent, best = tensors["frequent"].long().numpy(), tensors["best"].long().numpy()
        if len(best) != tokenizers.source.size:
            raise ValueError(f"{len(best)} source tokens instead of {tokenizers.source.size}")
        return Shortlist(target_size=tokenizers.target.size, frequent=frequent, best=best)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: does not fit the vocabularies ({reason(error)}); copy the folder again") from error


def unique_weights(network: Seq2Seq) -> dict[str, Tensor]:
    """Return the weights of a network by name. A weight that several modules share appears only once."""
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def load_training_state(folder: Path) -> TrainingState:
    """Load the training state from a checkpoint that `save_model` wrote.

    Raises:
        ModelError: a file is missing or damaged.
    """
    content = read_file(folder / TRAINING_STATE, MANIFEST[TRAINING_STATE].max_bytes)
    tensors = load_tensors(folder / TRAINING_WEIGHTS, MANIFEST[TRAINING_WEIGHTS].max_bytes)
    return TrainingState(tensors=tensors, progress=content.decode("utf-8", "replace"))
