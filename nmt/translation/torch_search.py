"""The search of segments with PyTorch, in batches. It serves where the native library does not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from nmt.checkpoint.folder import Model, load_model
from nmt.errors import ConfigError, MachineError, ModelError
from nmt.model.candidates import Shortlist
from nmt.native.packing import find_unpackable_part
from nmt.search.finished import Hypothesis
from nmt.search.forced import score_targets
from nmt.search.loop import Search, decode
from nmt.search.options import MbrOptions, Options, SampleOptions
from nmt.search.sampling import sample
from nmt.search.scorer import EnsembleScorer, ModelScorer
from nmt.system.devices import choose_device
from nmt.system.machine import return_memory
from nmt.translation.batches import max_segments, plan_batches
from nmt.translation.constraints import build_constraints
from nmt.translation.request import Segment
from nmt.translation.search import Identify

# Unused memory is returned to the system after this number of hypotheses. This halves the memory use.
TRIM_ROWS = 1280


@dataclass(frozen=True, kw_only=True)
class FoundHypothesis:
    """A hypothesis as plain values. See `nmt.translation.search.Found`."""

    ids: list[int]
    score: float
    attention: list[list[float]] | None
    token_log_probabilities: list[float] | None = None


class TorchSearch:
    """Searches segments in batches. See `nmt.translation.search.SegmentSearch`.

    Args:
        models: one model, or the members of an ensemble.
        identify: distinguishes the hypotheses of an n-best list.
        batch_size: the maximum number of segments that are searched at once. The default depends on the beam.
        shortlist: whether to use the shortlist of the first model that has one.
        edges: the edges of the target tokens (see `nmt.search.loop.Search.edges`).
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        identify: Identify,
        batch_size: int | None = None,
        shortlist: bool = True,
        edges: bytes = b"",
    ) -> None:
        self.batch_size = batch_size
        members = [ModelScorer(model.network) for model in models]
        self._search = Search(
            scorer=members[0] if len(members) == 1 else EnsembleScorer(members),
            constraints=build_constraints(models[0].tokenizers.target),
            shortlist=choose_shortlist(models) if shortlist else None,
            identify=identify,
            edges=edges,
        )
        self._rows = 0  # the number of hypotheses since unused memory was last returned

    def max_segments(self, options: Options | MbrOptions) -> int:
        return max_segments(options, self.batch_size)

    def search(self, segments: Sequence[Segment]) -> list[list[FoundHypothesis]]:
        results: list[list[FoundHypothesis]] = [[] for _ in segments]
        for indices in plan_batches(segments, self.batch_size):
            for index, found in zip(indices, self._search_batch([segments[index] for index in indices]), strict=True):
                results[index] = [_to_plain(hypothesis) for hypothesis in found]
        return results

    def score(
        self, segments: Sequence[Segment], targets: Sequence[Sequence[int]], *, shortlist: bool = True
    ) -> list[list[float]]:
        search = self._search if shortlist else replace(self._search, shortlist=None)
        results: list[list[float]] = [[] for _ in segments]
        for indices in plan_batches(segments, self.batch_size):
            batch, own = [segments[index] for index in indices], [targets[index] for index in indices]
            for index, scores in zip(indices, score_targets(search, batch, own), strict=True):
                results[index] = scores
        return results

    def _search_batch(self, batch: Sequence[Segment]) -> list[list[Hypothesis]]:
        options = batch[0].options
        search = sample if isinstance(options, SampleOptions) else decode
        found: list[list[Hypothesis]] = search(self._search, batch, options)  # type: ignore[arg-type]
        self._rows += len(batch) * options.rows
        if self._rows >= TRIM_ROWS:  # memory must be returned because batches of different shapes fragment it
            self._rows = 0
            return_memory()
        return found


def _to_plain(hypothesis: Hypothesis) -> FoundHypothesis:
    attention = None if hypothesis.attention is None else hypothesis.attention.tolist()
    return FoundHypothesis(ids=hypothesis.ids, score=hypothesis.score, attention=attention)


def load_models(folders: Sequence[str | Path], *, device: str, precision: str, threads: int | None) -> list[Model]:
    """Load models for PyTorch. See `Translator.load` for the arguments and errors."""
    torch_device = choose_device(device)
    if torch_device.type == "cuda" and precision == "int8":
        raise ConfigError("precision int8: only on a CPU; choose device cpu, or precision auto or fp32")
    if threads:
        torch.set_num_threads(threads)
    models = [load_model(folder, torch_device) for folder in folders]
    if precision == "int8":
        if part := next(filter(None, (find_unpackable_part(model.config.model) for model in models)), None):
            raise ConfigError(f"precision int8: not for models with {part}; choose precision auto or fp32")
        raise MachineError(
            "precision int8: the native library is missing; compile it with python -m nmt.native.build, or choose "
            "precision auto or fp32"
        )
    for model in models:
        if not all(parameter.isfinite().all() for parameter in model.network.parameters()):
            raise ModelError("the model's weights are not numbers: its training diverged; use another checkpoint")
    return models


def choose_shortlist(models: Sequence[Model]) -> Shortlist | None:
    """Return the first shortlist that one of the models has. Return None if no model has a shortlist.

    If one of the models copies source tokens, the shortlist of a sentence also contains its source tokens.
    """
    shortlist = next((model.shortlist for model in models if model.shortlist), None)
    copies = any(model.network.output.copies for model in models)
    return shortlist.with_source_tokens(models[0].tokenizers.target.producible) if shortlist and copies else shortlist
