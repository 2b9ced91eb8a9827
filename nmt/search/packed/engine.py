"""The engine, a scorer that computes with a packed network.

A packed network is a copy of a trained network, optimized for inference on a CPU. The engine implements the interface
`Scorer`, through which search uses every network.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear

from nmt.config.schema import ModelConfig
from nmt.errors import ConfigError, MachineError, ModelError
from nmt.model.candidates import Candidates
from nmt.model.seq2seq import Seq2Seq
from nmt.model.state import DecoderState
from nmt.search.packed import kernels
from nmt.search.packed.arithmetic import (
    ARITHMETICS,
    COARSE_TOLERANCE,
    Arithmetic,
    CandidateProduct,
    Int8,
    multiplies_int8_exactly,
)
from nmt.search.packed.attention import Int8KeysValues, KeysValues
from nmt.search.packed.decoder import pack_decoder
from nmt.search.packed.encoder import PackedEncoder
from nmt.search.scorer import ModelScorer, Prediction, Scorer

VECTOR_SIZE = 32  # the number of elements that torch's loops process at once

# A network can be packed if each of these keys of its configuration has one of these values.
PACKABLE: dict[str, tuple[object, ...]] = {
    "cell": ("lstm", "gru", "rnn"),
    "encoder_stack": ("bidirectional",),
    "encoder_transitions": (1,),
    "decoder_transitions": (1,),
    "decoder": ("parallel", "input_feeding"),
    "attention": ("dot", "general", "additive", "multi_head"),
    "coverage": (False,),
    "context_gate": (False,),
    "output": ("softmax",),
}


def find_unpackable_part(config: ModelConfig) -> str | None:
    """Return the first part of a network that cannot be packed, as `model.key=value`, or None if all can be packed."""
    values = {key: getattr(config, key) for key in PACKABLE}
    return next((f"model.{key}={value}" for key, value in values.items() if value not in PACKABLE[key]), None)


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """The state of a batch. The hypotheses of a sentence share the keys and values of the sentence."""

    attended: KeysValues | Int8KeysValues  # B rows
    decoder: DecoderState  # N rows
    output: CandidateProduct  # for B sentences
    length: int  # S, before it is padded to a multiple of `LENGTH_MULTIPLE`

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "EngineState":
        decoder = self.decoder.select(rows)
        if sentences is None:
            return replace(self, decoder=decoder)
        attended, output = self.attended.select(sentences), self.output.select(sentences)
        return replace(self, attended=attended, decoder=decoder, output=output)


class Engine:
    """A scorer that computes with one packed network on a CPU."""

    def __init__(self, network: Seq2Seq, arithmetic: Arithmetic) -> None:
        with torch.inference_mode():
            self.device = torch.device("cpu")
            self.target_size = network.target_size
            self.arithmetic = arithmetic
            # Whether each row of all matrices fills whole vectors of the processor. If the last elements of a row do
            # not fill a vector, torch processes these elements with other code, which rounds differently.
            encoder_size, decoder_size = network.config.encoder_size, network.config.decoder_size
            self.fits = encoder_size % (2 * VECTOR_SIZE) == 0 and decoder_size % VECTOR_SIZE == 0
            self.embedding = network.source_embedding.scaled
            self.encoder = PackedEncoder(network.encoder, arithmetic)
            self.decoder = pack_decoder(network, arithmetic, bounded=self.encoder.bounded)
            project = network.project
            self.project = (
                arithmetic.product(project.weight, None, bounded=True) if isinstance(project, Linear) else None
            )
            self.softmax = arithmetic.softmax_weights(
                network.output.weight, network.output.bias, bounded=self.project is None
            )

    @property
    def tolerance(self) -> float:
        """The rounding error of log P in nats (see `Arithmetic.tolerance`).

        In int8, the error is larger if rows do not fill whole vectors of the processor, or if torch uses several
        threads.
        """
        if isinstance(self.arithmetic, Int8) and not (self.fits and torch.get_num_threads() == 1):
            return COARSE_TOLERANCE
        return self.arithmetic.tolerance

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> EngineState:
        encoded = self.encoder(self.embedding[source], lengths)
        return EngineState(
            attended=self.decoder.attention.start(encoded),
            decoder=self.decoder.start(encoded),
            output=self.softmax.select_candidates(candidates),
            length=source.size(1),
        )

    def step(self, tokens: Tensor, state: EngineState) -> tuple[Prediction, EngineState]:
        vector, weights, decoder = self.decoder.step(tokens, state.decoder, state.attended)
        scores = state.output(vector if self.project is None else self.project(vector))
        prediction = Prediction(log_probabilities=log_softmax_(scores), attention=weights[:, : state.length])
        return prediction, replace(state, decoder=decoder)


def log_softmax_(scores: Tensor) -> Tensor:
    """Compute the log-softmax of each row. The scores may be overwritten."""
    if not kernels.AVAILABLE:
        return scores.log_softmax(dim=-1)
    kernels.log_softmax(scores.numpy())
    return scores


def build_scorer(network: Seq2Seq, precision: str) -> Scorer[Any]:
    """Build the scorer of a network for a CPU.

    The scorer is an `Engine` with a packed copy of the network, or a `ModelScorer` with the network itself if a part of
    the network cannot be packed.

    Args:
        network: a network on the CPU.
        precision: fp32, bf16, int8 or auto. auto means int8 if this machine multiplies int8 exactly, and fp32
            otherwise.

    Raises:
        ConfigError: the precision is bf16 or int8, but the network cannot be packed.
        MachineError: the precision is int8, but this machine does not multiply int8 exactly.
        ModelError: a weight is not finite. In int8, this fault would otherwise remain hidden.
    """
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise ModelError("the model's weights are not numbers: its training diverged; use another checkpoint")
    if part := find_unpackable_part(network.config):
        if precision not in ("auto", "fp32"):
            raise ConfigError(f"precision {precision}: not for models with {part}; choose precision auto or fp32")
        return ModelScorer(network)
    exact = precision in ("auto", "int8") and multiplies_int8_exactly()
    if precision == "int8" and not exact:
        raise MachineError("precision int8: this processor does not compute it exactly; choose precision auto or fp32")
    if precision == "auto":
        precision = "int8" if exact else "fp32"
    kernels.compile_loops()
    return Engine(network, ARITHMETICS[precision]())
