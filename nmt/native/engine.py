"""Search with the native library: token ids in, hypotheses out. The Python search in nmt/search/ is its reference."""

import ctypes
import itertools
import os
from array import array
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from nmt.native import library
from nmt.native.library import STOPPED, Identify, NativeHypotheses, NativeOptions, SentencePointer
from nmt.native.packing import PackedNetwork, check_status
from nmt.search.options import Options, SearchOptions

SHARE = 64  # the number of sentences that a thread takes at once


@dataclass(frozen=True, kw_only=True)
class NativeHypothesis:
    """A translation of a sentence, as token ids."""

    ids: list[int]
    """The tokens of the translation, without EOS."""
    log_probability: float
    """Log P of the translation, including EOS."""
    score: float
    """The score that ranks the hypotheses of a sentence."""
    attention: list[list[float]] | None
    """The attention weights over the source tokens, for each token of the translation and for EOS. None unless the
    options ask for them."""


class Engine:
    """One packed network, or an ensemble of networks with the same vocabularies."""

    def __init__(self, networks: Sequence[PackedNetwork]) -> None:
        self._library, self._networks = library.require(), tuple(networks)
        self._handles = (ctypes.c_void_p * len(networks))(*(network.handle for network in networks))

    def supports(self, options: Options) -> bool:
        """Return whether the engine can search with these options. If not, the Python search must be used."""
        return isinstance(options, SearchOptions)

    def search(
        self,
        sentences: Sequence[Sequence[int]],
        options: SearchOptions,
        *,
        prefixes: Sequence[Sequence[int]] | None = None,
        forbidden: Sequence[int] = (),
        shortlist: bool = True,
        threads: int = 1,
        group: int = 0,
        identify: Callable[[int, list[int]], Hashable] | None = None,
    ) -> list[list[NativeHypothesis]]:
        """Search the n best translations of sentences. Return a list for each sentence, the best translation first.

        The result for a sentence depends neither on the other sentences nor on `threads` and `group`.

        Args:
            sentences: the ids of each sentence, EOS last.
            options: the options of the search.
            prefixes: the tokens with which the translations of each sentence begin.
            forbidden: tokens that no translation contains.
            shortlist: whether to use the shortlist of the first network, if it has one.
            threads: the number of threads.
            group: the number of sentences that a thread searches at once. 0 lets the library choose.
            identify: returns equal values for hypotheses of a sentence that are not to be distinguished. An n-best list
                contains only the best of them.

        Raises:
            ModelError: a probability is not a number.
            ValueError: an id is not in the vocabulary.
        """
        order = sorted(range(len(sentences)), key=lambda index: -len(sentences[index]))
        share = max(1, min(SHARE, -(-len(order) // threads)))
        parts = (
            list(itertools.batched(order, share))
            if hasattr(itertools, "batched")
            else [tuple(order[first : first + share]) for first in range(0, len(order), share)]
        )

        def search_part(part: Sequence[int]) -> list[list[NativeHypothesis]]:
            return self._search(
                [sentences[index] for index in part],
                [prefixes[index] for index in part] if prefixes else None,
                part,
                options,
                forbidden,
                shortlist,
                group,
                identify,
            )

        if threads > 1 and len(parts) > 1:
            with ThreadPoolExecutor(min(threads, len(parts))) as pool:
                found = list(pool.map(search_part, parts))
        else:
            found = [search_part(part) for part in parts]
        results: list[list[NativeHypothesis]] = [[] for _ in sentences]
        for part, hypotheses in zip(parts, found, strict=True):
            for index, own in zip(part, hypotheses, strict=True):
                results[index] = own
        return results

    def _search(
        self,
        sentences: Sequence[Sequence[int]],
        prefixes: Sequence[Sequence[int]] | None,
        numbers: Sequence[int],
        options: SearchOptions,
        forbidden: Sequence[int],
        shortlist: bool,
        group: int,
        identify: Callable[[int, list[int]], Hashable] | None,
    ) -> list[list[NativeHypothesis]]:
        """Search some of the sentences in this thread. `numbers` are their indices in the call of the user."""
        ids, records = array("i"), (SentencePointer * len(sentences))()
        for sentence in sentences:
            ids.extend(sentence)
        for prefix in prefixes or ():
            ids.extend(prefix)
        address, size = ids.buffer_info()[0], ids.itemsize
        for record, sentence in zip(records, sentences, strict=True):
            record.ids, record.length = address, len(sentence)
            address += len(sentence) * size
        for record, prefix in zip(records, prefixes or (), strict=False):
            record.prefix, record.prefix_length = address, len(prefix)
            address += len(prefix) * size
        banned = array("i", forbidden)
        failures: list[BaseException] = []
        native_options = NativeOptions(
            beam=options.beam,
            nbest=options.nbest,
            min_length=options.min_length,
            max_length_extra=options.max_length_extra,
            exact=options.exact,
            attention=options.attention,
            shortlist=shortlist,
            max_length_factor=options.max_length_factor,
            length_penalty=options.length_penalty,
            coverage_penalty=options.coverage_penalty,
            banned=banned.buffer_info()[0],
            banned_count=len(banned),
            group=group,
            identify=_wrap(identify, numbers, failures) if identify and options.nbest > 1 else Identify(),
        )
        found = NativeHypotheses()
        status = self._library.nmt_search(
            self._handles, len(self._handles), records, len(sentences), native_options, found
        )
        if status == STOPPED:
            raise failures[0]
        check_status(status, "a sentence")
        try:
            return _read(found, [len(sentence) for sentence in sentences])
        finally:
            self._library.nmt_free_hypotheses(found)


def available_threads() -> int:
    """Return the number of cores that this process can use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _wrap(
    identify: Callable[[int, list[int]], Hashable], numbers: Sequence[int], failures: list[BaseException]
) -> "ctypes._FuncPointer":
    """Return a function for the library that numbers the values of `identify`. An exception stops the search."""
    known: list[dict[Hashable, int]] = [{} for _ in numbers]

    def number(sentence: int, ids: "ctypes._Pointer[ctypes.c_int32]", length: int) -> int:
        try:
            values = known[sentence]
            return values.setdefault(identify(numbers[sentence], ids[:length]), len(values))
        except BaseException as error:
            failures.append(error)
            return -1

    return Identify(number)


def _read(found: NativeHypotheses, lengths: Sequence[int]) -> list[list[NativeHypothesis]]:
    """Convert the hypotheses of the library. `lengths` are the lengths of the sentences."""

    def copy(kind: str, address: int | None, count: int) -> "array[Any]":
        values: array[Any] = array(kind)
        if count and address:
            values.frombytes(ctypes.string_at(address, count * values.itemsize))
        return values

    count = found.count
    sentences, scores = copy("i", found.sentences, count), copy("d", found.scores, count)
    log_probabilities = copy("d", found.log_probabilities, count)
    ends, attention_ends = copy("q", found.ids_end, count), copy("q", found.attention_end, count)
    ids = copy("i", found.ids, ends[-1] if count else 0).tolist()
    weights = copy("f", found.attention, attention_ends[-1] if count else 0)
    results: list[list[NativeHypothesis]] = [[] for _ in lengths]
    begin = attention_begin = 0
    for sentence, score, log_probability, end, attention_end in zip(
        sentences, scores, log_probabilities, ends, attention_ends, strict=True
    ):
        S = lengths[sentence]
        rows = range(attention_begin, attention_end, S)
        results[sentence].append(
            NativeHypothesis(
                ids=ids[begin:end],
                log_probability=log_probability,
                score=score,
                attention=[weights[row : row + S].tolist() for row in rows]
                if attention_end > attention_begin
                else None,
            )
        )
        begin, attention_begin = end, attention_end
    return results
