"""Text to text: lines in, translations out, in the same order.

lines -> segments -> ids -> batches of like length -> search -> ids -> text -> lines

Batches are searched here, or by worker processes on several cores.
"""

import contextlib
import itertools
import logging
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from nmt.checkpoint.folder import Model, load_model
from nmt.errors import ConfigError, ModelError
from nmt.model.candidates import Shortlist
from nmt.search.constraints import Constraint, build_constraints
from nmt.search.finished import Hypothesis
from nmt.search.loop import decode
from nmt.search.options import Options, SampleOptions, SearchOptions
from nmt.search.packed.engine import build_scorer, unknown_part
from nmt.search.sampling import sample
from nmt.search.scorer import EnsembleScorer, ModelScorer, Scorer
from nmt.search.sentence import Sentence
from nmt.system.machine import choose_device, one_thread, return_memory
from nmt.tokenizers.base import Tokenizers, names
from nmt.translation.request import Translation, joined_best, joined_samples, of_line, one_line
from nmt.translation.workers import Workers, can_fork
from nmt.types import EOS

logger = logging.getLogger(__name__)

MAX_PIECES = 200  # of a segment; LSTMs trained on sentences lose the thread in longer ones
SEGMENTS, ROWS = 96, 640  # of a batch, and its hypotheses: more make no step cheaper, and fall out of the caches
BATCH_PIECES = 4096  # of the sources in a batch, padding counted
TRIM_ROWS = 1280  # after so many hypotheses what lies unused goes back to the system: half of what translating takes
SHARE = 4  # segments that a worker gets at least: with fewer a batch takes about as long as with them all
_SENTENCE_END = re.compile(r"(?<=[.!?…।॥؟۔።៕])\s+|(?<=[。！？])\s*")
_SPACE = re.compile(r"\s+")


class Translator:
    """One model, or several with the same vocabularies as an ensemble.

    >>> Translator.load("runs/m30k").translate(["A man rides a horse."])  # doctest: +SKIP
    ['Ein Mann reitet ein Pferd.']
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
        """A translator in this process.

        Args:
            models: one, or an ensemble.
            scorers: what search sees of each model; by default the model itself, in the precision of its weights.
            batch_size: most segments searched at once; by default SEGMENTS, fewer if that were more than ROWS hypotheses.
            shortlist: whether to use the shortlist of the first model that has one.
            workers: processes that search batches besides this one. They are forked here and now.

        Raises:
            ModelError: the models do not fit together.
        """
        _check_ensemble(models)
        members = scorers or [ModelScorer(model.network) for model in models]
        self.tokenizers = models[0].tokenizers
        self.data = models[0].config.data
        learned = min(model.config.data.max_length for model in models)  # the longest that all have learned from
        self.max_pieces = max(MAX_PIECES, learned)
        self.batch_size = batch_size
        self._search = Search(
            scorer=members[0] if len(members) == 1 else EnsembleScorer(members),
            shortlist=_shortlist(models) if shortlist else None,
            tokenizers=self.tokenizers,
            constraints=build_constraints(self.tokenizers.target),
            alone=scorers is not None and can_fork(),
        )
        self._workers: Workers[Any, list[list[Translation]]] | None = (
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
        """The models in these folders, outputs of nmt-train or model folders.

        Args:
            folders: one, or those of an ensemble.
            device: auto (a GPU if there is one), cpu or cuda.
            precision: of the products: auto (the fastest on this machine that costs no quality), fp32, bf16 or int8.
            shortlist: whether to use the first shortlist that a folder holds.
            threads: how many cores to use. On Linux without a GPU these are processes, forked here, which `close` ends, and torch
                is told to use one thread; elsewhere torch's threads. By default one core, this process.
            batch_size: most segments searched at once.

        Raises:
            ModelError: a folder is missing or damaged, or the models do not fit together.
            MachineError: device "cuda" where there is no GPU.
            ConfigError: a precision that the device does not have, or that a model cannot be packed for.
        """
        place = choose_device(device)
        if place.type == "cuda" and precision not in ("auto", "fp32"):
            raise ConfigError(f"precision {precision}: only on a CPU; choose device cpu, or precision auto or fp32")
        forking = place.type == "cpu" and can_fork()
        if threads:
            torch.set_num_threads(1 if forking else threads)
        models = [load_model(folder, place) for folder in folders]
        scorers = _packed(models, precision) if place.type == "cpu" else None
        workers = threads if threads and threads > 1 and forking else 0
        return cls(models, scorers=scorers, batch_size=batch_size, shortlist=shortlist, workers=workers)

    @property
    def processes(self) -> int:
        """How many processes search."""
        return self._workers.count if self._workers else 1

    def most_segments(self, rows: int) -> int:
        """How many segments are searched at once, where each has so many hypotheses."""
        return self.batch_size or max(1, min(SEGMENTS, ROWS // rows))

    def close(self) -> None:
        """Ends the worker processes, if there are any. It goes on translating without them."""
        if self._workers:
            self._workers.close()
            self._workers = None

    def target(self, to: str | None = None) -> str:
        """The language to translate into: `to`, which is only needed for models of several.

        Raises:
            ConfigError: it is missing, or none of the model's.
        """
        languages = self.data.target_languages
        if to in languages or (to is None and len(languages) == 1):
            return to or languages[0]
        choice = "not said into which language" if to is None else f"no translation into {to}"
        raise ConfigError(f"{choice}; choose {' or '.join(languages)} (--to)")

    def translate(
        self,
        lines: Sequence[str],
        options: Options | None = None,
        *,
        to: str | None = None,
        tag: str | None = None,
        split: bool = False,
    ) -> list[str]:
        """The best translation of each line, or its first sample; an empty string for a line without text. See `nbest`."""
        return [best[0].text for best in self.nbest(lines, options, to=to, tag=tag, split=split)]

    def nbest(
        self,
        lines: Sequence[str],
        options: Options | None = None,
        numbers: Sequence[int] | None = None,
        *,
        to: str | None = None,
        tag: str | None = None,
        split: bool = False,
    ) -> list[list[Translation]]:
        """The `options.nbest` best translations of each line, best first; of a line that is translated in parts, only one.
        With `SampleOptions` its samples.

        Args:
            lines: of text, any length.
            options: of the search, or of sampling; by default a search with beam 5.
            numbers: of the lines, for warnings; by default from 1.
            to: the target language, for models of several.
            tag: of the training corpora whose like the lines are, for models with tags; by default those without.
            split: translate each sentence of a line by itself, since a model that learned from sentences leaves out most of a
                paragraph. Sentences end at full stops and their like before a space, which abbreviations have too.

        Raises:
            ConfigError: the model has no such language or tag.
        """
        options = options or SearchOptions()
        head = self._head(to, tag)
        segments = [
            [head + part for part in self._segments(line, number, split)]
            for number, line in zip(numbers or range(1, len(lines) + 1), lines, strict=True)
        ]
        found = iter(self._searched([segment for line in segments for segment in line], options))
        join = joined_samples if isinstance(options, SampleOptions) else joined_best
        return [of_line([next(found) for _ in line], join) for line in segments]

    # ---- lines and segments

    def _head(self, to: str | None, tag: str | None) -> list[int]:
        """The ids of what stands before each segment."""
        if tag is not None and tag not in self.data.corpus_tags:
            known = f"choose {' or '.join(self.data.corpus_tags)}, or none" if self.data.corpus_tags else "it has none"
            raise ConfigError(f"tag {tag}: the model was not trained with it; {known} (--tag)")
        return self.tokenizers.source.encode_tags(self.data.tags_before(self.target(to), tag))

    def _segments(self, line: str, number: int, split: bool) -> list[list[int]]:
        """The line's ids, in parts of at most `max_pieces`, for each sentence if `split`; none for a line without text."""
        segments = []
        for text in _SENTENCE_END.split(line.strip()) if split else [line.strip()]:
            parts = [part for part in self._parts(text) if part]
            if len(parts) > 1:
                pieces = sum(map(len, parts))
                logger.warning("line %d: %d pieces, translated in %d parts", number, pieces, len(parts))
            segments += parts
        return segments

    def _parts(self, text: str) -> list[list[int]]:
        """Ids of a text, cut in halves until none has more than `max_pieces`."""
        ids = self.tokenizers.source.encode(text)
        if len(ids) <= self.max_pieces or len(text) == 1:
            return [ids]
        cut = _middle(text)
        return [part for half in (text[:cut].strip(), text[cut:].strip()) if half for part in self._parts(half)]

    # ---- batches

    def _searched(self, segments: list[list[int]], options: Options) -> list[list[Translation]]:
        """Translations of each segment, searched in batches of like length, those of the longest first."""
        order = sorted(range(len(segments)), key=lambda index: len(segments[index]), reverse=True)
        batches = self._batches(order, segments, options.rows)
        work = [([segments[index] for index in batch], options) for batch in batches]
        workers = self._living_workers() if len(work) > 1 else None
        found = workers.map(work) if workers else [self._search(batch) for batch in work]
        results: list[list[Translation]] = [[] for _ in segments]
        for batch, translations in zip(batches, found, strict=True):
            for index, result in zip(batch, translations, strict=True):
                results[index] = result
        return results

    def _living_workers(self) -> Workers[Any, list[list[Translation]]] | None:
        """The workers, if there are any; those that an error has ended are given up."""
        if self._workers and not self._workers.close.alive:
            logger.warning("an error or Ctrl-C has ended the worker processes: one core goes on; load the model again")
            self._workers = None
        return self._workers

    def _batches(self, order: list[int], segments: list[list[int]], rows: int) -> list[list[int]]:
        """`order`, from long to short, in parts: at least one for each worker where that pays."""
        size = self.most_segments(rows)
        lengths = [len(segments[index]) + 1 for index in order]
        shares = min(self.processes, len(order) // SHARE) if len(order) < self.processes * size else 1
        return [
            [order[place] for place in batch]
            for part in _parted(lengths, shares)
            for batch in _cut(part, lengths, size)
        ]


def _parted(lengths: list[int], count: int) -> list[range]:
    """The places of `lengths` in so many neighbouring parts, or fewer, of about the same sum."""
    ends = list(itertools.accumulate(lengths))
    parts = [int((end - length / 2) * max(count, 1) / ends[-1]) for end, length in zip(ends, lengths, strict=True)]
    return [range(bisect_left(parts, part), bisect_right(parts, part)) for part in sorted(set(parts))]


def _cut(places: range, lengths: list[int], size: int) -> Iterator[range]:
    """Parts of `places` with at most `size` segments and BATCH_PIECES pieces, or with one segment."""
    while places:
        end = max(1, min(size, BATCH_PIECES // lengths[places[0]]))  # the first is the longest
        yield places[:end]
        places = places[end:]


@dataclass(kw_only=True)
class Search:
    """From a batch of segments to their translations: what a worker does."""

    scorer: Scorer[Any]
    shortlist: Shortlist | None
    tokenizers: Tokenizers
    constraints: Sequence[Constraint]
    alone: bool  # in one thread of torch; processes are how several cores are used
    rows: int = 0  # hypotheses since memory was last returned

    def __call__(self, batch: tuple[list[list[int]], Options]) -> list[list[Translation]]:
        """The n best translations of each segment, in ids without EOS, or its samples."""
        segments, options = batch
        sentences = [Sentence(source=[*segment, EOS]) for segment in segments]
        with one_thread() if self.alone else contextlib.nullcontext():
            found = self._found(sentences, options)
        self._tidy(len(segments) * options.rows)
        return [
            [self._translation(segment, hypothesis) for hypothesis in hypotheses]
            for segment, hypotheses in zip(segments, found, strict=True)
        ]

    def _found(self, sentences: Sequence[Sentence], options: Options) -> list[list[Hypothesis]]:
        if isinstance(options, SampleOptions):
            return sample(self.scorer, sentences, options, constraints=self.constraints, shortlist=self.shortlist)
        return decode(self.scorer, sentences, options, constraints=self.constraints, shortlist=self.shortlist)

    def _tidy(self, rows: int) -> None:
        """Batches of ever new shapes break up the memory."""
        self.rows += rows
        if self.rows >= TRIM_ROWS:
            self.rows = 0
            return_memory()

    def _translation(self, source: list[int], hypothesis: Hypothesis) -> Translation:
        alignment, attention = [], []
        if hypothesis.attention is not None and source:
            weights = hypothesis.attention[:-1, : len(source)]
            alignment, attention = weights.argmax(dim=-1).tolist(), weights.tolist()
        return Translation(
            text=one_line(self.tokenizers.target.decode(hypothesis.ids)),
            score=hypothesis.score,
            source_tokens=self.tokenizers.source.pieces(source),
            tokens=self.tokenizers.target.pieces(hypothesis.ids),
            alignment=alignment,
            attention=attention,
        )


def _middle(text: str) -> int:
    """Where to cut a text in two: nearest to its middle where a sentence ends, else between words, else anywhere."""
    half = len(text) // 2
    for boundary in (_SENTENCE_END, _SPACE):
        if cuts := [match.end() for match in boundary.finditer(text) if 0 < match.end() < len(text)]:
            return min(cuts, key=lambda cut: abs(cut - half))
    return half


def _packed(models: Sequence[Model], precision: str) -> list[Scorer[Any]]:
    """What search sees of each model on a CPU. Raises what `build_scorer` does."""
    with one_thread():  # a table's sums, too, shall not depend on how many there are
        scorers = [build_scorer(model.network, precision) for model in models]
    if unknown := dict.fromkeys(part for model in models if (part := unknown_part(model.config.model))):
        logger.info(
            "%s: cannot be packed for int8; the model itself translates, in fp32 and slower", ", ".join(unknown)
        )
    return scorers


def _check_ensemble(models: Sequence[Model]) -> None:
    if not models:
        raise ConfigError("no model; name at least one model folder")
    first = models[0]
    for other in models[1:]:
        if _languages(first) != _languages(other):
            languages = f"one translates {_languages(first)}, the other {_languages(other)}"
            raise ModelError(f"{first.name} and {other.name}: no ensemble, {languages}; name models of one direction")
        for side in ("source", "target"):
            ours, theirs = getattr(first.tokenizers, side), getattr(other.tokenizers, side)
            if names(ours) != names(theirs):
                raise ModelError(f"{first.name} and {other.name}: no ensemble, their {side} vocabularies differ")


def _shortlist(models: Sequence[Model]) -> Shortlist | None:
    """That of the first model that has one; source pieces are in it if a model copies them."""
    first = next((model.shortlist for model in models if model.shortlist), None)
    copies = any(model.network.output.copies for model in models)
    return first.copying(models[0].tokenizers.target.tags) if first and copies else first


def _languages(model: Model) -> str:
    data = model.config.data
    return f"{', '.join(data.source_languages)} to {', '.join(data.target_languages)}"
