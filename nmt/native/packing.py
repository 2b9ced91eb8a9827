"""Packed networks: the tensors of a model in the form that the native library reads, in int8 or float32.

A packed file begins with metadata of the caller, such as the configuration. It is mapped into memory, so processes that
use the same model share it.
"""

import ctypes
import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from nmt.config.schema import ModelConfig
from nmt.errors import ModelError
from nmt.native import library
from nmt.native.library import (
    ATTENTIONS,
    BAD_FILE,
    BRIDGES,
    CELLS,
    DECODERS,
    NO_MEMORY,
    NOT_A_NUMBER,
    OK,
    Architecture,
    TensorPointer,
)

_ARCHITECTURE_OFFSET = 24  # the position of the architecture in `FileHeader` of network.h

PACKABLE: dict[str, tuple[object, ...]] = {
    "cell": tuple(CELLS),
    "decoder": tuple(DECODERS),
    "attention": tuple(ATTENTIONS),
    "encoder_stack": ("bidirectional",),
    "encoder_transitions": (1,),
    "decoder_transitions": (1,),
    "coverage": (False,),
    "context_gate": (False,),
    "output": ("softmax",),
}
"""The values of the keys of `model` with which a network can be packed."""


def find_unpackable_part(model: ModelConfig) -> str | None:
    """Return the first part of a network that cannot be packed, as `model.key=value`, or None if all can be packed."""
    values = {key: getattr(model, key) for key in PACKABLE}
    return next((f"model.{key}={value}" for key, value in values.items() if value not in PACKABLE[key]), None)


@dataclass(frozen=True, kw_only=True)
class PackedTensor:
    """A tensor in memory: float32, or int8 with a float32 scale for each row."""

    shape: tuple[int, ...]
    values: memoryview
    scales: memoryview | None = None


@dataclass(frozen=True, kw_only=True)
class PackedShortlist:
    """A shortlist as arrays of int32: the frequent tokens (tokens,), and the best of each source token (V, tokens)."""

    frequent: memoryview
    best: memoryview


def list_tensors(model: ModelConfig) -> Iterator[str]:
    """List the names of a network's tensors in the order in which pack.c reads them."""
    directions = ("forward_layer", "backward_layer")
    yield "target_embedding.weight" if model.tied_embeddings == "three_way" else "source_embedding.weight"
    yield "target_embedding.weight"
    for index in range(model.encoder_layers):
        for direction in directions:
            yield from _list_layer(f"encoder.layers.{index}.{direction}")
        if model.layer_norm:
            yield from (f"encoder.norms.{index}.weight", f"encoder.norms.{index}.bias")
    if model.bridge != "none":
        yield from ("decoder.bridge.linear.weight", "decoder.bridge.linear.bias")
    for index in range(model.decoder_layers):
        yield from _list_layer(f"decoder.layers.{index}")
        if model.layer_norm:
            yield from (f"decoder.norms.{index}.weight", f"decoder.norms.{index}.bias")
    attention = {
        "dot": (),
        "general": ("key.weight",),
        "additive": ("query.weight", "query.bias", "key.weight", "score.weight"),
        "multi_head": tuple(
            f"{part}.{kind}" for part in ("query", "key", "value", "output") for kind in ("weight", "bias")
        ),
    }
    yield from (f"decoder.attention.{name}" for name in attention[model.attention])
    yield from ("decoder.combine.weight", "decoder.combine.bias")
    yield "output.weight" if model.tied_embeddings == "none" else "project.weight"
    yield "output.bias"


def _list_layer(prefix: str) -> Iterator[str]:
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        yield f"{prefix}.fused.{name}"


def shapes_of(model: ModelConfig, source_size: int, target_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape that each tensor of a network must have."""
    E, C, H = model.embedding_size, model.encoder_size, model.decoder_size
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[model.cell]
    states = model.decoder_layers * (2 if model.cell == "lstm" else 1)
    shapes: dict[str, tuple[int, ...]] = {
        "source_embedding.weight": (source_size, E),
        "target_embedding.weight": (target_size, E),
        "decoder.bridge.linear.weight": (states * H, C),
        "decoder.bridge.linear.bias": (states * H,),
        "decoder.combine.weight": (H, C + H),
        "decoder.combine.bias": (H,),
        "project.weight": (E, H),
        "output.weight": (target_size, H),
        "output.bias": (target_size,),
    }
    layers = {
        f"encoder.layers.{i}.{d}_layer": (C if i else E, C // 2)
        for i in range(model.encoder_layers)
        for d in ("forward", "backward")
    }
    feeding = model.decoder == "input_feeding"
    layers |= {f"decoder.layers.{i}": (H if feeding else H + C, H) for i in range(1, model.decoder_layers)}
    layers["decoder.layers.0"] = (E + H if feeding else E, H)
    for prefix, (inputs, size) in layers.items():
        wanted = ((gates * size, inputs), (gates * size, size), (gates * size,), (gates * size,))
        shapes |= dict(zip(_list_layer(prefix), wanted, strict=True))
    for side, count, size in (("encoder", model.encoder_layers, C), ("decoder", model.decoder_layers, H)):
        shapes |= {f"{side}.norms.{index}.{kind}": (size,) for index in range(count) for kind in ("weight", "bias")}
    sizes = {"key": (H, C), "value": (H, C), "query": (H, H), "output": (C, H), "score": (1, H)}
    for part, shape in sizes.items():
        shapes[f"decoder.attention.{part}.weight"] = shape
        shapes[f"decoder.attention.{part}.bias"] = shape[:1]
    return {name: shapes[name] for name in list_tensors(model)}


def describe_architecture(
    model: ModelConfig, source_size: int, target_size: int, precision: int, shortlist: PackedShortlist | None = None
) -> Architecture:
    """Describe a network for the library."""
    return Architecture(
        precision=precision,
        cell=CELLS[model.cell],
        decoder=DECODERS[model.decoder],
        attention=ATTENTIONS[model.attention],
        attention_heads=model.attention_heads if model.attention == "multi_head" else 1,
        bridge=BRIDGES[model.bridge],
        layer_norm=model.layer_norm,
        residual=model.residual,
        source_size=source_size,
        target_size=target_size,
        embedding_size=model.embedding_size,
        encoder_layers=model.encoder_layers,
        encoder_size=model.encoder_size,
        decoder_layers=model.decoder_layers,
        decoder_size=model.decoder_size,
        tied=model.tied_embeddings != "none",
        frequent=shortlist.frequent.nbytes // 4 if shortlist else 0,
        best=shortlist.best.nbytes // 4 // source_size if shortlist else 0,
        embedding_scale=model.embedding_scale,
    )


def pack(
    model: ModelConfig,
    tensors: Mapping[str, PackedTensor],
    *,
    source_size: int,
    target_size: int,
    precision: int,
    shortlist: PackedShortlist | None = None,
    metadata: bytes = b"",
) -> mmap.mmap:
    """Pack a network. Return the content of a packed file, in memory.

    Args:
        model: the architecture, which `find_unpackable_part` accepts.
        tensors: the tensors by the names of the weights of `Seq2Seq`.
        source_size, target_size: the sizes of the vocabularies.
        precision: `INT8` or `FLOAT32` of nmt/native/library.py.
        shortlist: the shortlist, if the model has one.
        metadata: any bytes, which `PackedNetwork.metadata` returns.

    Raises:
        ModelError: a tensor is missing or has a wrong shape, or a weight is not a number.
        MachineError: the library is missing.
        MemoryError: memory cannot be allocated.
    """
    native = library.require()
    shapes = shapes_of(model, source_size, target_size)
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape:
            found = tensors[name].shape if name in tensors else "missing"
            raise ModelError(f"{name} is {found} instead of {shape}; copy the whole folder again")
    architecture = describe_architecture(model, source_size, target_size, precision, shortlist)
    size = native.nmt_packed_size(architecture, len(metadata))
    if not size:
        raise ModelError("the network is too large for the native library; use PyTorch (NMT_NATIVE=off)")
    names = list(list_tensors(model))
    pointers = (TensorPointer * len(names))(*(_point(tensors[name]) for name in names))
    try:
        packed = mmap.mmap(-1, size)
    except OSError as error:
        raise MemoryError from error
    frequent, best = (_address(shortlist.frequent), _address(shortlist.best)) if shortlist else (None, None)
    status = native.nmt_pack(
        architecture, pointers, len(names), frequent, best, metadata, len(metadata), _address(memoryview(packed))
    )
    check_status(status, "the network")
    return packed


class PackedNetwork:
    """A packed network that is open. The memory is released with the object."""

    def __init__(self, content: mmap.mmap, where: str = "the packed network") -> None:
        """Check and open the content of a packed file. Raises ModelError: the content is damaged."""
        self._library, self._content = library.require(), content
        self.handle = ctypes.c_void_p()
        status = self._library.nmt_open(_address(memoryview(content)), len(content), ctypes.byref(self.handle))
        check_status(status, where)

    @property
    def architecture(self) -> Architecture:
        """The architecture of the network, with the sizes of its vocabularies."""
        return Architecture.from_buffer_copy(self._content, _ARCHITECTURE_OFFSET)

    @property
    def metadata(self) -> bytes:
        """The metadata with which the network was packed."""
        size = ctypes.c_int64()
        address = self._library.nmt_metadata(self.handle, ctypes.byref(size))
        return ctypes.string_at(address, size.value)

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._library.nmt_close(self.handle)


def map_file(stream: BinaryIO) -> mmap.mmap:
    """Map an open file into memory. Changes are not written."""
    return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


def check_status(status: int, where: str) -> None:
    """Raise the error that belongs to the status of a function of the library."""
    if status == OK:
        return
    if status == NO_MEMORY:
        raise MemoryError
    if status == BAD_FILE:
        raise ModelError(f"{where}: damaged, or packed by another version of nmt; delete it, it is packed again")
    if status == NOT_A_NUMBER:
        raise ModelError("the model's weights are not numbers: its training diverged; use another checkpoint")
    raise ValueError(f"{where}: the native library refuses the arguments")


def _point(tensor: PackedTensor) -> TensorPointer:
    scales = None if tensor.scales is None else _address(tensor.scales)
    size = math.prod(tensor.shape)
    return TensorPointer(values=_address(tensor.values), scales=scales, size=size, rows=tensor.shape[0])


def _address(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view.cast("B") if view.format != "B" else view))
