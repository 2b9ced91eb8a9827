"""The translator: texts in, translations out, in the same order.

texts -> requests -> segments of ids -> batches of similar length -> search -> translations of segments -> of texts

Batches are searched in this process, or by worker processes on several cores.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch

from nmt.checkpoint.folder import Model, load_model
from nmt.errors import ConfigError
from nmt.search.constraints import build_constraints
from nmt.search.options import Options
from nmt.search.scorer import Scorer
from nmt.system.machine import choose_device
from nmt.translation.batches import BatchSearch, max_segments, plan_batches
from nmt.translation.load import build_scorers, check_ensemble, choose_shortlist, combine_scorers
from nmt.translation.request import Request, Translation
from nmt.translation.segments import Segment, Segmenter, choose_language, join_segments
from nmt.translation.workers import Workers, can_fork

logger = logging.getLogger(__name__)

MAX_TOKENS = 200  # of a segment; an LSTM trained on sentences translates longer ones badly


class Translator:
    """One model, or an ensemble of models with the same vocabularies.

    >>> translator = Translator.load("runs/m30k")  # doctest: +SKIP
    >>> translator.translate(["A man rides a horse."])  # doctest: +SKIP
    ['Ein Mann reitet ein Pferd.']

    A model with several languages can translate into all of them in one call:

    >>> translator.translate([Request("A man.", to="de"), Request("A man.", to="fr")])  # doctest: +SKIP
    ['Ein Mann.', 'Un homme.']
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        scorers: Sequence[Scorer[Any]] | None = None,
        batch_size: int | None = None,
        shortlist: bool = True,
        workers: int = 0,
    ) -> None:
        """A translator of models that are in memory already; see also `load`.

        Args:
            models: one, or the members of an ensemble.
            scorers: what computes each model; by default PyTorch, in the precision of the weights.
            batch_size: the number of segments that are searched at once; by default it depends on the beam.
            shortlist: whether to use the shortlist of the first model that has one.
            workers: worker processes that search batches for this one. They are forked here.

        Raises:
            ConfigError: there is no model.
            ModelError: the models do not fit together.
            MachineError: the system cannot start the workers.
        """
        check_ensemble(models)
        self.tokenizers = models[0].tokenizers
        self.data = models[0].config.data
        self.batch_size = batch_size
        trained = min(model.config.data.max_length for model in models)  # all have seen sentences of this length
        self._segmenter = Segmenter(self.tokenizers.source, self.data, max(MAX_TOKENS, trained))
        self._search = BatchSearch(
            scorer=combine_scorers(models, scorers),
            shortlist=choose_shortlist(models) if shortlist else None,
            tokenizers=self.tokenizers,
            constraints=build_constraints(self.tokenizers.target),
            single_thread=scorers is not None and can_fork(),
        )
        self._workers: Workers[Sequence[Segment], list[list[Translation]]] | None = (
            Workers(self._search, workers) if workers else None
        )

    @classmethod
    def load(
        cls,
        *folders: str | Path,
        device: str = "auto",
        precision: str = "auto",
        shortlist: bool = True,
        threads: int | None = None,
        batch_size: int | None = None,
    ) -> Self:
        """Load the models in these folders: model folders, or output folders of nmt-train.

        Args:
            folders: one, or one for each member of an ensemble.
            device: auto (a GPU if there is one), cpu or cuda.
            precision: of matrix products: fp32, bf16, int8, or auto, the fastest that costs no quality on this machine.
            shortlist: whether to use the first shortlist that a folder has.
            threads: the number of cores to use, by default one. On Linux without a GPU these are worker processes, which are
                forked here and ended by `close`, and torch is set to one thread; elsewhere they are torch's threads.
            batch_size: the number of segments that are searched at once; by default it depends on the beam.

        Raises:
            ModelError: a folder is missing or damaged, or the models do not fit together.
            MachineError: the device is "cuda" and there is no GPU.
            ConfigError: the device does not have the precision, or a model cannot be packed for it.
        """
        place = choose_device(device)
        if place.type == "cuda" and precision not in ("auto", "fp32"):
            raise ConfigError(f"precision {precision}: only on a CPU; choose device cpu, or precision auto or fp32")
        forking = place.type == "cpu" and can_fork()
        if threads:
            torch.set_num_threads(1 if forking else threads)
        models = [load_model(folder, place) for folder in folders]
        scorers = build_scorers(models, precision) if place.type == "cpu" else None
        workers = threads if threads and threads > 1 and forking else 0
        return cls(models, scorers=scorers, batch_size=batch_size, shortlist=shortlist, workers=workers)

    def translate(
        self,
        texts: Iterable[str | Request],
        options: Options | None = None,
        *,
        to: str | None = None,
        tag: str | None = None,
        split: bool = False,
    ) -> list[str]:
        """The best translation of each text, or its first sample; an empty string for a blank text.

        See `nbest` for the arguments and errors.
        """
        return [best[0].text for best in self.nbest(texts, options, to=to, tag=tag, split=split)]

    def nbest(
        self,
        texts: Iterable[str | Request],
        options: Options | None = None,
        *,
        to: str | None = None,
        tag: str | None = None,
        split: bool = False,
    ) -> list[list[Translation]]:
        """The `options.nbest` best translations of each text, best first. With `SampleOptions`, its samples.

        A text that is translated in parts, because it is too long or `split` is set, has only one translation, or its samples.

        Args:
            texts: what to translate. The other arguments apply to plain strings, and to what a `Request` leaves out.
            options: how to search or sample; by default a beam search with the defaults of `SearchOptions`.
            to: the target language, for models with several.
            tag: translate in the manner of the training corpora with this tag.
            split: translate each sentence separately.

        Raises:
            ConfigError: the model does not have a language or a tag.
        """
        if isinstance(texts, str):
            raise TypeError("translate a list of texts, not a single string")
        lines = []
        for number, text in enumerate(texts, start=1):
            request = _complete(Request(text) if isinstance(text, str) else text, options, to, tag, split)
            lines.append(self._segmenter.split(request, f"line {number}"))
        # The same segment is searched only once.
        segments = list(dict.fromkeys(segment for line in lines for segment in line))
        found = dict(zip(segments, self._search_segments(segments), strict=True))
        return [join_segments(line, [found[segment] for segment in line]) for line in lines]

    def _search_segments(self, segments: Sequence[Segment]) -> list[list[Translation]]:
        """The translations of each segment."""
        plan = plan_batches(segments, self.batch_size, self.processes)
        batches = [[segments[index] for index in indices] for indices in plan]
        if self._workers and not self._workers.close.alive:
            logger.warning("an error or Ctrl-C has ended the workers; continuing on one core, load the model again")
            self._workers = None
        found = self._workers.map(batches) if self._workers and len(batches) > 1 else map(self._search, batches)
        results: list[list[Translation]] = [[] for _ in segments]
        for indices, translations in zip(plan, found, strict=True):
            for index, result in zip(indices, translations, strict=True):
                results[index] = result
        return results

    @property
    def processes(self) -> int:
        """The number of processes that search."""
        return self._workers.count if self._workers else 1

    def max_segments(self, options: Options) -> int:
        """The number of segments that are searched at once with these options."""
        return max_segments(options, self.batch_size)

    def target_language(self, to: str | None = None) -> str:
        """The language to translate into: `to`, which may be None if the model has only one.

        Raises:
            ConfigError: it is missing, or the model does not translate into it.
        """
        return choose_language(self.data, to)

    def close(self) -> None:
        """End the worker processes, if there are any. The translator continues without them."""
        if self._workers:
            self._workers.close()
            self._workers = None


def _complete(request: Request, options: Options | None, to: str | None, tag: str | None, split: bool) -> Request:
    """The request, with the values of the call where it has none."""
    return replace(
        request,
        to=to if request.to is None else request.to,
        tag=tag if request.tag is None else request.tag,
        split=request.split or split,
        options=options if request.options is None else request.options,
    )
