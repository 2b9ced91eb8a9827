"""Networks in the native library, for tests."""

import mmap
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
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
from nmt.search.constraints import Constraint
from nmt.search.loop import Search
from nmt.search.scorer import EnsembleScorer, ModelScorer
from nmt.search.sentence import Sentence

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


def make_search(
    networks: Sequence[Seq2Seq],
    shortlist: Shortlist | None = None,
    constraints: Sequence[Constraint[Sentence]] = (),
) -> Search[Sentence]:
    """The Python search with one network or an ensemble."""
    scorers = [ModelScorer(network) for network in networks]
    scorer = scorers[0] if len(scorers) == 1 else EnsembleScorer(scorers)
    return Search(scorer=scorer, shortlist=shortlist, constraints=constraints)


def make_shortlist(seed: int, size: int, count: int) -> Shortlist:
    """A random shortlist with `count` tokens for each source token."""
    generator = np.random.default_rng(seed)
    return Shortlist(
        target_size=size,
        frequent=generator.integers(3, size, count),
        best=generator.integers(3, size, (size, count)),
    )


def make_sentences(seed: int, size: int, lengths: Sequence[int]) -> list[Sentence]:
    """Random sentences with these lengths, without EOS."""
    generator = np.random.default_rng(seed)
    return [Sentence(source=(*generator.integers(4, size, length).tolist(), 3)) for length in lengths]


architectures = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(["lstm", "gru", "rnn"]),
        "decoder": st.sampled_from(["input_feeding", "parallel"]),
        "attention": st.sampled_from(["dot", "general", "additive", "multi_head"]),
        "attention_heads": st.sampled_from([1, 2]),
        "bridge": st.sampled_from(["none", "final", "mean"]),
        "tied_embeddings": st.sampled_from(["none", "two_way", "three_way"]),
        "layer_norm": st.booleans(),
        "residual": st.booleans(),
        "embedding_size": st.integers(1, 20),
        "encoder_layers": st.integers(1, 3),
        "decoder_layers": st.integers(1, 3),
        "encoder_size": st.sampled_from([2, 6, 16, 34]),
        "decoder_size": st.sampled_from([2, 6, 16, 38]),
    }
)
searches = st.fixed_dictionaries(
    {
        "beam": st.sampled_from([1, 2, 3, 5, 16]),
        "length_penalty": st.sampled_from([0.0, 1.0, 1.5]),
        "coverage_penalty": st.sampled_from([0.0, 0.0, 0.2]),
        "min_length": st.sampled_from([0, 1, 4]),
        "max_length_factor": st.sampled_from([0.5, 2.0]),
        "max_length_extra": st.sampled_from([0, 5]),
        "no_repeat_ngram_size": st.sampled_from([0, 0, 2, 3]),
        "exact": st.booleans(),
        "attention": st.booleans(),
    }
)


def build(seed: int, size: int, architecture: dict[str, Any]) -> Seq2Seq:
    """A random network with one of `architectures`."""
    if architecture["attention"] == "dot":
        architecture = {**architecture, "decoder_size": architecture["encoder_size"]}
    return make_network(seed, size, **architecture)
