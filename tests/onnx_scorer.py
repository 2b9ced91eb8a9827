"""A scorer that computes with exported ONNX graphs, so that nmt's own search runs with onnxruntime."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.model.candidates import Candidates
from nmt.search.scorer import Prediction
from nmt.types import EOS


@dataclass(frozen=True, kw_only=True)
class OnnxState:
    """The state of B sentences and their N hypotheses."""

    memory: dict[str, NDArray[Any]]  # keys, values and mask of B sentences
    state: NDArray[np.float32]  # (N, P, H)

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "OnnxState":
        chosen = replace(self, state=self.state[rows.numpy()])
        if sentences is None:
            return chosen
        return replace(chosen, memory={name: value[sentences.numpy()] for name, value in self.memory.items()})


class OnnxScorer:
    """A scorer of the graphs in a folder, over the whole vocabulary."""

    tolerance = 2e-5
    device = torch.device("cpu")

    def __init__(self, folder: Path, target_size: int) -> None:
        self.target_size = target_size
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        paths = (folder / "encoder.onnx", folder / "step.onnx")
        self.encoder, self.decoder = (onnxruntime.InferenceSession(str(path), options) for path in paths)

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> OnnxState:
        assert len(candidates.union().tokens) == self.target_size - EOS
        names = ("keys", "values", "mask", "state")
        found = self.encoder.run(names, {"tokens": source.numpy(), "lengths": lengths.numpy()})
        memory = dict(zip(names[:3], found, strict=False))
        return OnnxState(memory=memory, state=found[3])

    def step(self, tokens: Tensor, state: OnnxState) -> tuple[Prediction, OnnxState]:
        inputs = {"tokens": tokens.numpy(), "state": state.state, **state.memory}
        log_probabilities, attention, after = self.decoder.run(["log_probabilities", "attention", "next_state"], inputs)
        prediction = Prediction(
            log_probabilities=torch.from_numpy(log_probabilities[:, EOS:].copy()), attention=torch.from_numpy(attention)
        )
        return prediction, replace(state, state=after)
