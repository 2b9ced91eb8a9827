"""The search of segments with PyTorch: batches of segments, in this process or in worker processes on several cores."""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nmt.checkpoint.folder import Model, load_model
from nmt.errors import ConfigError
from nmt.model.candidates import Shortlist
from nmt.search.finished import Hypothesis
from nmt.search.loop import Search, decode
from nmt.search.options import Options, SampleOptions
from nmt.search.packed.engine import build_scorer, find_unpackable_part
from nmt.search.sampling import sample
from nmt.search.scorer import EnsembleScorer, ModelScorer, Scorer
from nmt.system.devices import choose_device, one_thread
from nmt.system.machine import return_memory
from nmt.system.processes import may_start_children
from nmt.translation.batches import max_segments, plan_batches
from nmt.translation.constraints import build_constraints
from nmt.translation.request import Segment
from nmt.translation.search import Identify
from nmt.translation.workers import Workers, can_fork

logger = logging.getLogger(__name__)

# Unused memory is returned to the system after this number of hypotheses. This halves the memory use.
TRIM_ROWS = 1280


@dataclass(frozen=True, kw_only=True)
class FoundHypothesis:
    """A hypothesis as plain values, which can be sent to another process. See `nmt.translation.search.Found`."""

    ids: list[int]
    score: float
    attention: list[list[float]] | None


@dataclass(kw_only=True)
class BatchSearch:
    """Searches one batch of segments, in this process or in a worker process."""

    search: Search[Segment]
    single_thread: bool  # whether torch must use only one thread, because other processes use the other cores
    rows: int = 0  # the number of hypotheses since unused memory was last returned

    def __call__(self, batch: Sequence[Segment]) -> list[list[FoundHypothesis]]:
        """Return a list of hypotheses for each segment: the n best hypotheses, or the samples."""
        options = batch[0].options
        with one_thread() if self.single_thread else contextlib.nullcontext():
            if isinstance(options, SampleOptions):
                found = sample(self.search, batch, options)
            else:
                found = decode(self.search, batch, options)
        self.rows += len(batch) * options.rows
        if self.rows >= TRIM_ROWS:  # memory must be returned because batches of different shapes fragment it
            self.rows = 0
            return_memory()
        return [[_to_plain(hypothesis) for hypothesis in hypotheses] for hypotheses in found]


def _to_plain(hypothesis: Hypothesis) -> FoundHypothesis:
    attention = None if hypothesis.attention is None else hypothesis.attention.tolist()
    return FoundHypothesis(ids=hypothesis.ids, score=hypothesis.score, attention=attention)


class TorchSearch:
    """Searches segments in batches. See `nmt.translation.search.SegmentSearch`.

    Args:
        models: one model, or the members of an ensemble.
        scorers: the scorer of each model. By default, PyTorch computes the scores in the precision of the weights.
        identify: distinguishes the hypotheses of an n-best list.
        batch_size: the maximum number of segments that are searched at once. The default depends on the beam.
        shortlist: whether to use the shortlist of the first model that has one.
        workers: the number of worker processes that search batches. They are forked immediately.

    Raises:
        MachineError: the system cannot start the workers.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        scorers: Sequence[Scorer[Any]] | None,
        identify: Identify,
        batch_size: int | None = None,
        shortlist: bool = True,
        workers: int = 0,
    ) -> None:
        self.batch_size = batch_size
        search = Search(
            scorer=combine_scorers(models, scorers),
            constraints=build_constraints(models[0].tokenizers.target),
            shortlist=choose_shortlist(models) if shortlist else None,
            identify=identify,
        )
        self.search_batch = BatchSearch(search=search, single_thread=scorers is not None and can_fork())
        self.workers: Workers[Sequence[Segment], list[list[FoundHypothesis]]] | None = (
            Workers(self.search_batch, workers) if workers else None
        )

    @property
    def processes(self) -> int:
        return self.workers.count if self.workers and not self.workers.inherited else 1

    def max_segments(self, options: Options) -> int:
        return max_segments(options, self.batch_size)

    def search(self, segments: Sequence[Segment]) -> list[list[FoundHypothesis]]:
        workers = self.workers
        if workers and workers.inherited:
            workers = self.workers = None
        elif workers and not workers.close.alive:
            logger.warning("an error or Ctrl-C has ended the workers; continuing on one core, load the model again")
            workers = self.workers = None
        plan = plan_batches(segments, self.batch_size, workers.count if workers else 1)
        batches = [[segments[index] for index in indices] for indices in plan]
        found = workers.map(batches) if workers and len(batches) > 1 else map(self.search_batch, batches)
        results: list[list[FoundHypothesis]] = [[] for _ in segments]
        for indices, hypotheses in zip(plan, found, strict=True):
            for index, result in zip(indices, hypotheses, strict=True):
                results[index] = result
        return results

    def close(self) -> None:
        if self.workers:
            self.workers.close()
            self.workers = None


@dataclass(frozen=True, kw_only=True)
class LoadedModels:
    """Models in memory, and how to search with them. The fields are arguments of `TorchSearch`."""

    models: list[Model]
    scorers: list[Scorer[Any]] | None
    workers: int


def load_models(folders: Sequence[str | Path], *, device: str, precision: str, threads: int | None) -> LoadedModels:
    """Load models, and build their scorers. See `Translator.load` for the arguments and errors."""
    torch_device = choose_device(device)
    if torch_device.type == "cuda" and precision not in ("auto", "fp32"):
        raise ConfigError(f"precision {precision}: only on a CPU; choose device cpu, or precision auto or fp32")
    forking = torch_device.type == "cpu" and can_fork()
    if threads:
        torch.set_num_threads(1 if forking else threads)
    models = [load_model(folder, torch_device) for folder in folders]
    scorers = build_scorers(models, precision) if torch_device.type == "cpu" else None
    workers = threads if threads and threads > 1 and forking and may_start_children() else 0
    return LoadedModels(models=models, scorers=scorers, workers=workers)


def build_scorers(models: Sequence[Model], precision: str) -> list[Scorer[Any]]:
    """Build a scorer for each model, with a precision for CPUs. See `build_scorer` for the errors."""
    with one_thread():  # precomputed tables must not depend on the number of threads
        scorers = [build_scorer(model.network, precision) for model in models]
    if unknown := dict.fromkeys(part for model in models if (part := find_unpackable_part(model.config.model))):
        logger.info("%s: cannot be packed for int8; PyTorch translates instead, slower and in fp32", ", ".join(unknown))
    return scorers


def combine_scorers(models: Sequence[Model], scorers: Sequence[Scorer[Any]] | None) -> Scorer[Any]:
    """Combine the scorers of all models into one scorer. If `scorers` is None, PyTorch computes the scores."""
    members = scorers or [ModelScorer(model.network) for model in models]
    return members[0] if len(members) == 1 else EnsembleScorer(members)


def choose_shortlist(models: Sequence[Model]) -> Shortlist | None:
    """Return the first shortlist that one of the models has. Return None if no model has a shortlist.

    If one of the models copies source tokens, the shortlist of a sentence also contains its source tokens.
    """
    shortlist = next((model.shortlist for model in models if model.shortlist), None)
    copies = any(model.network.output.copies for model in models)
    return shortlist.with_source_tokens(models[0].tokenizers.target.producible) if shortlist and copies else shortlist
