"""Packed networks: what they hold, and what is refused."""

import contextlib
import mmap
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_tools import PRECISIONS, make_network, make_sentences, make_shortlist, packed, tensors_of, view

from nmt.config.schema import ModelConfig
from nmt.errors import ModelError
from nmt.native import library, packing
from nmt.native.engine import Engine
from nmt.native.library import FLOAT32, INT8
from nmt.native.packing import PackedNetwork, PackedTensor
from nmt.search.options import SearchOptions
from nmt.search.sentence import Sentence

pytestmark = pytest.mark.skipif(library.load() is None, reason="the native library is not compiled")

SIZE = 30
HEADER = 128  # more bytes than the header has


def content_of(precision: int = INT8, **settings: Any) -> bytes:
    """A packed file, with a shortlist and metadata."""
    network, shortlist = (
        make_network(3, SIZE, **{"encoder_size": 8, "decoder_size": 8, **settings}),
        make_shortlist(3, SIZE, 3),
    )
    lists = packing.PackedShortlist(
        frequent=view(shortlist.frequent.astype("i4")), best=view(shortlist.best.astype("i4"))
    )
    return bytes(
        packing.pack(
            network.config,
            tensors_of(network),
            source_size=SIZE,
            target_size=SIZE,
            precision=precision,
            shortlist=lists,
            metadata=b"about the model",
        )
    )


def open_bytes(content: bytes) -> PackedNetwork:
    memory = mmap.mmap(-1, max(1, len(content)))
    memory.write(content)
    return PackedNetwork(memory)


def search(network: PackedNetwork) -> None:
    """Search with a network whose weights may be anything. Only what is refused in an orderly way may fail."""
    engine, sources = Engine([network]), [(5, 29, 3), (3,), (*range(4, 29), 3)]
    sentences = [Sentence(source=ids) for ids in sources]
    for options in (SearchOptions(beam=1), SearchOptions(beam=4, nbest=3, attention=True, coverage_penalty=0.1)):
        with contextlib.suppress(ModelError, ValueError):
            engine.search(sentences, options)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_packed_file_is_the_same_every_time(precision: int) -> None:
    content = content_of(precision)
    assert content == content_of(precision)
    search(open_bytes(content))


@pytest.mark.parametrize("length", [0, 1, 8, 63, 64, 500, -1])
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(ModelError, match="damaged"):
        open_bytes(content_of()[:length])


def test_a_longer_file_is_refused() -> None:
    with pytest.raises(ModelError, match="damaged"):
        open_bytes(content_of() + bytes(64))


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, HEADER - 1), value=st.integers(0, 255), precision=st.sampled_from([INT8, FLOAT32]))
def test_a_changed_header_is_refused_or_harmless(position: int, value: int, precision: int) -> None:
    content = bytearray(content_of(precision))
    content[position] = value
    try:
        network = open_bytes(bytes(content))
    except ModelError:
        return
    search(network)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    precision=st.sampled_from([INT8, FLOAT32]),
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
)
def test_changed_weights_are_harmless(seed: int, precision: int, cell: str) -> None:
    content, generator = bytearray(content_of(precision, cell=cell)), random.Random(seed)
    for _ in range(generator.randrange(1, 200)):
        content[generator.randrange(HEADER, len(content))] = generator.choice([0, 255, 127, generator.randrange(256)])
    try:
        network = open_bytes(bytes(content))
    except ModelError:  # the shortlist has other tokens
        return
    search(network)


def test_a_tensor_of_another_shape_is_refused() -> None:
    network = make_network(3, SIZE)
    tensors = tensors_of(network)
    tensors["output.bias"] = PackedTensor(shape=(SIZE - 1,), values=tensors["output.bias"].values)
    with pytest.raises(ModelError, match=r"output\.bias"):
        packing.pack(network.config, tensors, source_size=SIZE, target_size=SIZE, precision=INT8)


def test_int8_tensors_with_scales_are_read() -> None:
    network, tensors = make_network(3, SIZE), {}
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2:
            scale = parameter.abs().amax(dim=1).clamp_min(1e-30) / 127
            levels = (parameter / scale[:, None]).round().to(torch.int8)
            parameter.copy_(levels.float() * scale[:, None])
            tensors[name] = PackedTensor(
                shape=tuple(parameter.shape), values=view(levels.numpy()), scales=view(scale.numpy())
            )
    rest = {name: tensor for name, tensor in tensors_of(network).items() if name not in tensors}
    content = packing.pack(network.config, {**rest, **tensors}, source_size=SIZE, target_size=SIZE, precision=FLOAT32)
    sentences, options = make_sentences(3, SIZE, [3, 6]), SearchOptions(beam=3, nbest=3)
    found = Engine([PackedNetwork(content)]).search(sentences, options)
    assert found == Engine([packed(network, FLOAT32)]).search(sentences, options)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"cell": "layer_norm_lstm"}, "model.cell=layer_norm_lstm"),
        ({"output": "copy"}, "model.output=copy"),
        ({"encoder_stack": "gnmt"}, "model.encoder_stack=gnmt"),
        ({}, None),
    ],
)
def test_parts_that_cannot_be_packed(settings: dict[str, str], part: str | None) -> None:
    assert packing.find_unpackable_part(ModelConfig(**settings)) == part  # type: ignore[arg-type]
