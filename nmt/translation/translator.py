"""The translator. It translates a list of texts and returns the translations in the same order.

texts -> requests -> segments -> search -> hypotheses -> translations of segments -> translations of texts

With several threads, the segments are divided into parts. While the other threads search, this thread still splits the
next texts into segments.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from nmt.checkpoint.packed import PackedModel
from nmt.checkpoint.text_model import TextModel
from nmt.search.options import MbrOptions, Options, asks_for_attention
from nmt.system.texts import as_list
from nmt.translation.guards import repair
from nmt.translation.load import check_ensemble, load_packed_models
from nmt.translation.mbr import rank_by_risk
from nmt.translation.native_search import NativeSearch
from nmt.translation.output import build_translation, keep_text, write_text
from nmt.translation.plain import is_plain
from nmt.translation.request import Alternative, PairScore, Request, RequestSettings, Segment, Translation
from nmt.translation.search import SegmentSearch
from nmt.translation.segments import Segmenter, choose_language, has_spaces, join_segments

if TYPE_CHECKING:  # these modules import torch
    from nmt.checkpoint.folder import Model

T = TypeVar("T")
R = TypeVar("R")

PART = 64  # the number of segments that a thread translates at once


class Translator:
    """Translates texts with one model, or with an ensemble of models that have the same vocabularies.

    >>> translator = Translator.load("runs/m30k")  # doctest: +SKIP
    >>> translator.translate(["A man rides a horse."])  # doctest: +SKIP
    ['Ein Mann reitet ein Pferd.']

    A model with several languages can translate into all of them in one call:

    >>> translator.translate([Request("A man.", to="de"), Request("A man.", to="fr")])  # doctest: +SKIP
    ['Ein Mann.', 'Un homme.']

    Several threads can share a translator. A forked process can use the translator of its parent too.

    A translator that `load` created can be pickled. The process that unpickles it loads the models again, from the same
    folders and with the same arguments.
    """

    _loader: Callable[[], Self] | None = None  # creates an equal translator; None if the models were not loaded here

    def __init__(
        self,
        models: Sequence[TextModel],
        *,
        batch_size: int | None = None,
        shortlist: bool = True,
        threads: int = 1,
    ) -> None:
        """Create a translator from models that are already in memory. `load` reads models from folders.

        Args:
            models: one model, or the members of an ensemble, all from `nmt.checkpoint.folder.load_model`, or all from
                `nmt.checkpoint.packed.load_packed`.
            batch_size: the maximum number of segments that are searched at once. The default depends on the beam.
            shortlist: whether to use the shortlist of the first model that has one.
            threads: the number of threads that search packed models.

        Raises:
            ConfigError: `models` is empty.
            ModelError: the languages, the vocabularies or the rules of normalization of the models differ.
        """
        check_ensemble(models)
        self.tokenizers = models[0].tokenizers
        self.data = models[0].config.data
        self.batch_size = batch_size
        single = all(model.config.data.single_sentences for model in models)
        guard = all(model.config.data.several_sentences is not None for model in models)  # it is None before 0.3
        limit = min(model.config.data.max_segment_tokens for model in models)
        self._validation = models[0].config.validation
        penalty = self._validation.length_penalty
        self.segmenter = Segmenter(self.tokenizers, self.data, limit, split=single, guard=guard, length_penalty=penalty)
        encoder = self.segmenter.term_encoder
        identify = partial(write_text, self.tokenizers)
        self._search: SegmentSearch
        packed = [model for model in models if isinstance(model, PackedModel)]
        if packed:
            self.threads = threads
            self._search = NativeSearch(
                packed, identify=identify, batch_size=batch_size, shortlist=shortlist, edges=lambda: encoder.edges
            )
        else:
            from nmt.translation.torch_search import TorchSearch  # slow to import

            self.threads = 1  # torch's own threads share the work of a batch
            loaded = cast("Sequence[Model]", models)
            self._search = TorchSearch(
                loaded, identify=identify, batch_size=batch_size, shortlist=shortlist, edges=encoder.edges
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
        """Create a translator from the models in folders.

        Args:
            folders: a model folder or the output folder of nmt-train. For an ensemble, one folder for each model.
            device: `auto`, `cpu` or `cuda`. `auto` selects a GPU if the machine has one.
            precision: the precision of matrix products: `auto`, `fp32` or `int8`. `auto` is int8 where the native
                library translates, and fp32 otherwise.
            shortlist: whether to use the shortlist of the first model that has one.
            threads: the number of CPU cores to use, by default one.
            batch_size: the maximum number of segments that are searched at once. The default depends on the beam.

        Raises:
            ModelError: a folder is missing or damaged, or the languages, the vocabularies or the rules of normalization
                of the models differ.
            MachineError: the device is `cuda` but the machine has no GPU, or int8 needs the native library, which is
                missing.
            ConfigError: the device or a model does not support the precision.
        """
        models: Sequence[TextModel] | None = load_packed_models(folders, device=device, precision=precision)
        if models is None:
            from nmt.translation.torch_search import load_models  # slow to import

            models = load_models(folders, device=device, precision=precision, threads=threads)
        translator = cls(models, batch_size=batch_size, shortlist=shortlist, threads=threads or 1)
        # Paths are made absolute, because the process that unpickles a copy may have another working directory.
        paths = [os.path.abspath(folder) if os.path.exists(folder) else folder for folder in folders]
        translator._loader = partial(
            cls.load,
            *paths,
            device=device,
            precision=precision,
            shortlist=shortlist,
            threads=threads,
            batch_size=batch_size,
        )
        return translator

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()]]:
        if self._loader is None:
            raise TypeError("a translator of models in memory cannot be pickled; create it with Translator.load")
        return self._loader, ()

    def check(self, *, to: str | None = None, tag: str | None = None) -> None:
        """Check the arguments `to` and `tag` of `translate` and `nbest` without translating anything.

        Raises:
            ConfigError: the target language is missing, or the model does not have the language or the tag.
        """
        self.segmenter.tag_ids(to, tag)

    def translate(
        self,
        texts: str | Request | Iterable[str | Request],
        options: Options | MbrOptions | None = None,
        **settings: Unpack[RequestSettings],
    ) -> list[str]:
        """Return the best translation of each text, or the first sample. The translation of a blank text is empty.

        See `nbest` for the arguments and errors.
        """
        return [best[0].text for best in self.nbest(texts, options, **settings)]

    def nbest(
        self,
        texts: str | Request | Iterable[str | Request],
        options: Options | MbrOptions | None = None,
        **settings: Unpack[RequestSettings],
    ) -> list[list[Translation]]:
        """Return the n best translations of each text, the best first. With sampling, return the samples of each text.

        A text that is too long is translated in parts. If `split` is true, each sentence is translated separately.

        Args:
            texts: an iterable of the texts to translate. A single string or `Request` is one text.
            options: the options of search, sampling or minimum Bayes risk decoding. The default is `SearchOptions()`.
            settings: `to`, `tag`, `split`, `guard`, `terms`, `markup`, `protect` and `numbers` of `Request`, for all
                texts. The settings of a `Request` take precedence over these and over `options`.

        Raises:
            ConfigError: the target language is missing, the model does not have a language or a tag, terms are given
                with sampling, or a text has markup and lxml is not installed.
            TypeError: an item of `texts` is neither a string nor a `Request`, or a setting is unknown. The message
                gives the position of the item, or the settings.
        """
        requests = _complete(texts, {"options": options, **settings})
        if all(map(is_plain, requests)):
            found = self._translate_requests(requests)
            return [self.add_words(*pair) for pair in zip(requests, found, strict=True)]
        from nmt.translation.protection import finish, prepare  # slow to import

        tasks = [prepare(request, f"line {number}", self.segmenter) for number, request in enumerate(requests, start=1)]
        pairs = list(zip(requests, tasks, strict=True))
        plain = [one for request, task in pairs for one in (task.requests if task else [request])]
        rest = iter(self._translate_requests(plain))
        results = []
        for request, task in pairs:
            if task is None:
                results.append(self.add_words(request, next(rest)))
            else:
                parts = list(itertools.islice(rest, len(task.requests)))
                results.append(finish(task, parts, self.segmenter, self.target_language(request.to)))
        return results

    def _translate_requests(self, requests: Sequence[Request]) -> list[list[Translation]]:
        """Translate plain requests. Return the n best translations of each."""
        lines: list[list[Segment]] = []
        found: dict[Segment, list[Translation]] = {}
        for translations in self._map(self.translate_segments, self._divide(requests, lines)):
            found |= translations
        return [
            join_segments(line, [found[segment] for segment in line], self.segmenter.separator(request))
            for line, request in zip(lines, requests, strict=True)
        ]

    def add_words(self, request: Request, translations: list[Translation]) -> list[Translation]:
        """Add the words and their alignment to translations of a request, if its options ask for attention."""
        if request.options is None or not asks_for_attention(request.options):
            return translations
        from nmt.translation import alignment, confidence  # usually not needed

        language = self.target_language(request.to)
        calibration = confidence.Calibration.of_config(self._validation)
        rated = [replace(one, words=confidence.rate_words(one, language, calibration)) for one in translations]
        return alignment.add_word_alignment(request, rated, self.segmenter, language)

    def alternatives(self, text: str | Request, prefix: str = "", count: int = 5) -> list[Alternative]:
        """Return what else could be next in a translation: the most probable next words, the most probable first.

        Args:
            text: the text to translate.
            prefix: the translation up to the position. It can end within a word, and is then completed.
            count: the maximum number of words.

        Raises:
            ConfigError: the target language is missing, the model does not have a language or a tag, or the options
                are not `SearchOptions`.
        """
        from nmt.translation.alternatives import find_alternatives

        request = Request(text) if isinstance(text, str) else text
        return find_alternatives(self, replace(request, prefix=prefix or request.prefix), count)

    def score(
        self,
        texts: str | Request | Iterable[str | Request],
        translations: str | Iterable[str],
        *,
        to: str | None = None,
        tag: str | None = None,
    ) -> list[PairScore]:
        """Compute the probability of given translations of texts, in one pass with teacher forcing.

        A text is never divided, and options of search have no effect. If the translator uses a shortlist, probabilities
        are relative to the candidates of the text and the tokens of its translation.

        Args:
            texts: the texts, as for `nbest`.
            translations: a translation of each text.
            to: the target language. It is required if the model has several target languages.
            tag: a tag of training corpora.

        Raises:
            ConfigError: the target language is missing, or the model does not have a language or a tag.
            TypeError: an item has another type.
            ValueError: there are more or fewer translations than texts.
        """
        requests = _complete(texts, {"to": to, "tag": tag})
        targets = as_list(translations, "translations", (str,))
        if len(requests) != len(targets):
            raise ValueError(f"{len(requests)} texts have {len(targets)} translations; give one for each text")
        size = PART if self.threads > 1 else max(1, len(requests))
        parts = (slice(first, first + size) for first in range(0, len(requests), size))
        scores = self._map(lambda part: self.score_part(requests[part], targets[part]), parts)
        return list(itertools.chain.from_iterable(scores))

    def score_part(
        self, requests: Sequence[Request], translations: Sequence[str], *, shortlist: bool = True
    ) -> list[PairScore]:
        """Score translations in this thread. `shortlist=False` ignores the shortlist."""
        target, normalizer = self.tokenizers.target, self.tokenizers.normalizers.target
        segments = [self.segmenter.encode_whole(request) for request in requests]
        texts = [normalizer.normalize(text).strip() for text in translations]
        ids = [target.encode(text) for text in texts]
        return [
            PairScore(tokens=target.tokens(own), token_log_probabilities=scores, words=len(text.split()))
            for own, scores, text in zip(
                ids, self._search.score(segments, ids, shortlist=shortlist), texts, strict=True
            )
        ]

    def _divide(self, requests: Sequence[Request], lines: list[list[Segment]]) -> Iterator[list[Segment]]:
        """Split requests into segments. Append the segments of each request to `lines`.

        Yield the segments in parts, for each thread one part at a time. Equal segments are in only one part.
        """
        known, part = set[Segment](), list[Segment]()
        for number, request in enumerate(requests, start=1):
            line = self.segmenter.split(request, f"line {number}")
            lines.append(line)
            for segment in line:
                if segment not in known:
                    known.add(segment)
                    part.append(segment)
            if self.threads > 1 and len(part) >= PART:
                yield part
                part = []
        yield part

    def translate_segments(self, segments: Sequence[Segment]) -> dict[Segment, list[Translation]]:
        """Translate segments. Return a list of translations for each segment."""
        results = {segment: [keep_text(self.tokenizers, segment)] for segment in segments if segment.verbatim}
        searched = [segment for segment in segments if not segment.verbatim]
        found = self._search.search(searched)
        if any(segment.mbr for segment in searched):
            found = rank_by_risk(self._search, searched, found, partial(write_text, self.tokenizers))
        spaces = has_spaces(self.data.target_languages)
        if any(segment.read_terms for segment in searched):
            from nmt.translation.unused_terms import force_unused_terms  # rarely needed

            found = force_unused_terms(self._search, searched, found, self.tokenizers, spaces=spaces)
        found, before, left = repair(self._search, searched, found, self.tokenizers)
        for segment, hypotheses, searched_again, fault in zip(searched, found, before, left, strict=True):
            results[segment] = [
                build_translation(
                    self.tokenizers,
                    segment,
                    hypothesis,
                    searched_again=searched_again,
                    fault=fault,
                    spaces=spaces,
                )
                for hypothesis in hypotheses
            ]
        return results

    def _map(self, function: Callable[[T], R], values: Iterable[T]) -> Iterator[R]:
        """Yield the result of a function for each value. Several threads call the function."""
        if self.threads == 1:
            yield from map(function, values)
            return
        from concurrent.futures import ThreadPoolExecutor  # slow to import

        pool = ThreadPoolExecutor(self.threads)
        try:
            yield from pool.map(function, values)
        finally:
            pool.shutdown(cancel_futures=True)

    @property
    def is_native(self) -> bool:
        """Whether the native library searches. Otherwise, PyTorch does, and translates batches faster."""
        return isinstance(self._search, NativeSearch)

    def max_segments(self, options: Options | MbrOptions) -> int:
        """Return the maximum number of segments that are searched at once with these options."""
        return self._search.max_segments(options)

    def target_language(self, to: str | None = None) -> str:
        """Return the target language `to`. If `to` is None, return the only target language of the model.

        Raises:
            ConfigError: `to` is None and the model has several target languages, or the model does not have `to`.
        """
        return choose_language(self.data, to)


def _complete(texts: str | Request | Iterable[str | Request], settings: dict[str, Any]) -> list[Request]:
    """Return the requests for texts. A request without a setting gets the setting of the call."""
    allowed = ("options", *RequestSettings.__annotations__)
    if unknown := next((name for name in settings if name not in allowed), None):
        raise TypeError(f"unknown setting {unknown}; the settings are {', '.join(allowed)}")
    given: list[str | Request] = as_list(texts, "texts", (str, Request))
    requests = [Request(text) if isinstance(text, str) else text for text in given]
    call = {name: value for name, value in settings.items() if value is not None}
    return [
        replace(request, **{name: value for name, value in call.items() if getattr(request, name) is None})
        for request in requests
    ]
