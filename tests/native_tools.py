"""Networks in the native library, for tests."""

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nmt.config.schema import ModelConfig
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.native import packing
from nmt.native.library import FLOAT32, INT8
from nmt.native.packing import PackedNetwork, PackedTensor

PRECISIONS = [pytest.param(FLOAT32, id="fp32"), pytest.param(INT8, id="int8")]


def view(array: NDArray[Any]) -> memoryview:
    """The bytes of an array."""
    return memoryview(array.data).cast("B")


def tensors_of(network: Seq2Seq) -> dict[str, PackedTensor]:
    """The weights of a network, as packing reads them."""
    arrays = {name: parameter.detach().float().numpy().copy() for name, parameter in network.named_parameters()}
    return {name: PackedTensor(shape=array.shape, values=view(array)) for name, array in arrays.items()}


def pack(network: Seq2Seq, precision: int, shortlist: Shortlist | None = None) -> mmap.mmap:
    """The content of a packed file."""
    lists = None
    if shortlist:
        frequent, best = shortlist.frequent.astype(np.int32), shortlist.best.astype(np.int32)
        lists = packing.PackedShortlist(frequent=view(frequent), best=view(best))
    return packing.pack(
        network.config,
        tensors_of(network),
        source_size=network.source_size,
        target_size=network.target_size,
        precision=precision,
        shortlist=lists,
    )


def packed(network: Seq2Seq, precision: int, shortlist: Shortlist | None = None) -> PackedNetwork:
    """A network in the native library."""
    return PackedNetwork(pack(network, precision, shortlist))


def make_network(seed: int, size: int, strength: float = 0.3, **settings: object) -> Seq2Seq:
    """A random network whose vocabularies have `size` tokens, with weights larger than at the start of training."""
    config = ModelConfig(dropout=0, embedding_dropout=0, output_dropout=0, **settings)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    network = Seq2Seq(config, source_size=size, target_size=size, generator=generator).requires_grad_(False)
    for parameter in network.parameters():
        magnitude = max(0.1, float(parameter.abs().mean()))
        parameter.add_(strength * magnitude * torch.randn(parameter.shape, generator=generator))
    network.output.bias.add_(torch.randn(size, generator=generator))
    return network


def make_shortlist(seed: int, size: int, count: int) -> Shortlist:
    """A random shortlist with `count` tokens for each source token."""
    generator = np.random.default_rng(seed)
    return Shortlist(
        target_size=size,
        frequent=generator.integers(3, size, count),
        best=generator.integers(3, size, (size, count)),
    )


def make_sentences(seed: int, size: int, lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """Random sentences with these lengths, without EOS."""
    generator = np.random.default_rng(seed)
    return [(*generator.integers(4, size, length).tolist(), 3) for length in lengths]
