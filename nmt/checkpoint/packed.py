"""Packed models: models in the form that the native library maps into memory.

A model is packed when it is first used. The packed file is kept in the model folder, or in the user's cache if the
folder cannot be written. It contains the configuration, so that later translations need no YAML.
"""

import json
import logging
import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from mmap import mmap
from pathlib import Path
from typing import Literal

from nmt.checkpoint.manifest import (
    CONFIG,
    MANIFEST,
    PACKED,
    SCALE,
    SHORTLIST,
    WEIGHTS,
    verify_folder,
    verify_packed_folder,
)
from nmt.checkpoint.run_folder import find_model_folder
from nmt.checkpoint.tensor_file import MappedTensor, map_tensors
from nmt.checkpoint.text_model import TextModel, load_model_tokenizers
from nmt.config.build import build_config
from nmt.config.parsing import Fault, copy_sections, to_plain
from nmt.config.schema import Config
from nmt.errors import MachineError, ModelError
from nmt.native.library import FLOAT32, INT8, VERSION
from nmt.native.packing import (
    PackedNetwork,
    PackedShortlist,
    PackedTensor,
    find_unpackable_part,
    list_tensors,
    map_file,
    pack,
)
from nmt.system.files import CHECKSUMS, add_file, read_checksums, write_whole
from nmt.system.opening import open_file
from nmt.tokenizers.base import Tokenizers

logger = logging.getLogger(__name__)

Precision = Literal["int8", "fp32"]
_KINDS: dict[Precision, int] = {"int8": INT8, "fp32": FLOAT32}


@dataclass(frozen=True, kw_only=True)
class PackedModel(TextModel):
    """A packed network, and everything else that is needed to translate text."""

    network: PackedNetwork
    has_shortlist: bool


def load_packed(folder: str | Path, precision: Precision) -> PackedModel | None:
    """Load a model for the native library. If the model is not packed yet, pack it, and keep the packed file.

    `folder` is a model folder, or the output folder of a training run. The best checkpoint of a run is loaded.

    Returns:
        The model, or None if the library cannot use it. `nmt.checkpoint.folder.load_model` then loads the model, or
        says what is wrong with it.

    Raises:
        ModelError: the folder does not exist, or a file in it is missing, damaged or unreadable.
        MachineError: the native library is missing.
    """
    path = find_model_folder(folder)
    sums = read_checksums(path)
    packed = [VERSION, precision, *(sums.get(name) for name in (CONFIG, WEIGHTS, SHORTLIST))]
    key = sha256(json.dumps(packed).encode()).hexdigest()  # what was packed, and in which form
    beside = path / PACKED if precision == "int8" else None
    files = verify_packed_folder(path)
    cache = _find_cache()
    places = [beside if PACKED in files else None, cache / f"{key}.nmt" if cache else None]
    for place in filter(None, places):
        if place.exists() and (model := _open_packed(place, path, files, key, str(folder))):
            return model
    return _pack(path, key, str(folder), precision, beside, cache)


def _find_cache() -> Path | None:
    """Return the folder of packed files in the user's cache. It may not exist. None if the user has no home."""
    try:
        given = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(given) if os.path.isabs(given) else Path.home() / ".cache") / "nmt"
    except RuntimeError:
        return None


def _open_packed(place: Path, path: Path, files: set[str], key: str, name: str) -> PackedModel | None:
    """Open a packed file. Return None if it does not belong to the model, or was packed by another version."""
    with open_file(place, MANIFEST[PACKED].max_bytes) as stream:
        try:
            network = PackedNetwork(map_file(stream), str(place))
            metadata = json.loads(network.metadata)
            if metadata["key"] != key:
                return None
            faults: list[Fault] = []
            config = build_config(copy_sections(metadata["config"]), faults, trained=True)
        except (ModelError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
    tokenizers = load_model_tokenizers(path, files, config)
    if faults or not _fits(network, tokenizers):
        return None
    return PackedModel(
        tokenizers=tokenizers,
        config=config,
        name=name,
        network=network,
        has_shortlist=network.architecture.frequent > 0,
    )


def _fits(network: PackedNetwork, tokenizers: Tokenizers) -> bool:
    sizes = (network.architecture.source_size, network.architecture.target_size)
    return sizes == (tokenizers.source.size, tokenizers.target.size)


def _pack(
    path: Path, key: str, name: str, precision: Precision, beside: Path | None, cache: Path | None
) -> PackedModel | None:
    """Pack the model in a folder, and try to keep the packed file."""
    from nmt.checkpoint.configuration import load_folder_config  # this needs YAML, which is slow to import

    files = verify_folder(path)
    config = load_folder_config(path)
    if find_unpackable_part(config.model):
        return None
    tokenizers = load_model_tokenizers(path, files, config)
    try:
        packed = _pack_network(path, files, key, config, tokenizers, precision)
        network = PackedNetwork(packed)
    except (ModelError, ValueError):
        return None
    _keep(memoryview(packed), key, beside, cache)
    return PackedModel(
        tokenizers=tokenizers,
        config=config,
        name=name,
        network=network,
        has_shortlist=SHORTLIST in files,
    )


def _pack_network(
    path: Path, files: set[str], key: str, config: Config, tokenizers: Tokenizers, precision: Precision
) -> mmap:
    """Pack the network of a model. Raises ValueError or ModelError: the library cannot use a file."""
    tensors = _read_weights(map_tensors(path / WEIGHTS, MANIFEST[WEIGHTS].max_bytes))
    if tensors.keys() != set(list_tensors(config.model)):
        raise ValueError("the file has other tensors than the network")
    shortlist = None
    if SHORTLIST in files:
        shortlist = _read_shortlist(map_tensors(path / SHORTLIST, MANIFEST[SHORTLIST].max_bytes), tokenizers)
    metadata = {"key": key, "config": to_plain(asdict(config))}
    return pack(
        config.model,
        tensors,
        source_size=tokenizers.source.size,
        target_size=tokenizers.target.size,
        precision=_KINDS[precision],
        shortlist=shortlist,
        metadata=json.dumps(metadata).encode(),
    )


def _read_weights(mapped: dict[str, MappedTensor]) -> dict[str, PackedTensor]:
    """Convert weights for the library. Raises ValueError: a weight is neither float32 nor int8 with scales."""
    scales = {name + SCALE for name in mapped} & mapped.keys()  # names of parameters may also end with SCALE
    tensors = {}
    for name, weight in mapped.items():
        if name in scales:
            continue
        scale = mapped[name + SCALE] if name + SCALE in scales else None
        fits = scale is None or (scale.type == "F32" and scale.shape == weight.shape[:1])
        if weight.type != ("F32" if scale is None else "I8") or not fits:
            raise ValueError(f"{name} has another type")
        tensors[name] = PackedTensor(shape=weight.shape, values=weight.values, scales=scale.values if scale else None)
    return tensors


def _read_shortlist(mapped: dict[str, MappedTensor], tokenizers: Tokenizers) -> PackedShortlist:
    """Convert a shortlist for the library. Raises ValueError: it does not fit the vocabularies."""
    if mapped.keys() != {"frequent", "best"} or any(tensor.type != "I32" for tensor in mapped.values()):
        raise ValueError("it has other tensors")
    frequent, best = mapped["frequent"], mapped["best"]
    if len(frequent.shape) != 1 or len(best.shape) != 2 or best.shape[0] != tokenizers.source.size:
        raise ValueError("it has other shapes")
    return PackedShortlist(frequent=frequent.values, best=best.values)


def _keep(content: memoryview, key: str, beside: Path | None, cache: Path | None) -> None:
    """Write a packed file into the model folder or the cache. If both fail, the model is packed again next time."""
    if beside and _is_writable(beside.parent):
        try:
            add_file(beside.parent, beside.name, content)
            return
        except (MachineError, ModelError, OSError) as error:
            logger.debug("%s", error)
    if cache:
        try:
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(cache / f"{key}.nmt", content)
        except (MachineError, OSError) as error:
            logger.debug("%s", error)


def _is_writable(folder: Path) -> bool:
    """Return whether a packed file can be added to a folder.

    Nothing is written through links: they may lead out of the folder of a stranger, and in a cache of the Hugging Face
    hub, other folders share the files to which they lead.
    """
    paths = (folder / CHECKSUMS, folder / PACKED)
    return os.access(folder, os.W_OK) and os.access(paths[0], os.W_OK) and not any(path.is_symlink() for path in paths)
