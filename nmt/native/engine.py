"""Search with the native library: token ids in, hypotheses out. The Python search in nmt/search/ is its reference."""

import ctypes
import itertools
from array import array
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.native import library
from nmt.native.library import STOPPED, Identify, NativeHypotheses, NativeOptions, SentencePointer, TermPointer
from nmt.native.packing import PackedNetwork, check_status
from nmt.search.options import Options, SampleOptions, SearchOptions
from nmt.search.sentence import Guide, TermIds

SHARE = 64  # the number of sentences of a call; a signal such as Ctrl-C waits for the end of a call


@dataclass(frozen=True, kw_only=True)
class NativeHypothesis:
    """A translation of a sentence, as token ids."""

    ids: list[int]
    """The tokens of the translation, without EOS."""
    log_probability: float
    """Log P of the translation, including EOS."""
    score: float
    """The score that ranks the hypotheses of a sentence."""
    token_log_probabilities: list[float]
    """Log P of each token and of EOS."""
    attention: list[list[float]] | None
    """The attention weights over the source tokens, for each token of the translation and for EOS. None unless the
    options ask for them."""


class Engine:
    """One packed network, or an ensemble of networks with the same vocabularies."""

    def __init__(self, networks: Sequence[PackedNetwork]) -> None:
        self._library, self._networks = library.require(), tuple(networks)
        self._handles = (ctypes.c_void_p * len(networks))(*(network.handle for network in networks))

    def search(
        self,
        sentences: Sequence[Sequence[int]],
        options: Options,
        *,
        prefixes: Sequence[Sequence[int]] | None = None,
        guides: Sequence[Guide] | None = None,
        terms: Sequence[Sequence[TermIds]] | None = None,
        edges: bytes = b"",
        forbidden: Sequence[int] = (),
        shortlist: bool = True,
        group: int = 0,
        identify: Callable[[int, list[int]], Hashable] | None = None,
    ) -> list[list[NativeHypothesis]]:
        """Search the n best translations of sentences, or draw samples. Return a list for each sentence, best first.

        The result for a sentence depends neither on the other sentences nor on `group`. Several threads can
        search at the same time, because the library releases Python's lock.

        Args:
            sentences: the ids of each sentence, EOS last.
            options: the options of the search, or of sampling.
            prefixes: the tokens with which the translations of each sentence begin.
            guides: what can follow these tokens (see `Sentence.guide`).
            terms: the terms that must be in the translation of each sentence. Samples have no terms.
            edges: see `nmt.search.loop.Search.edges`.
            forbidden: tokens that no translation contains.
            shortlist: whether to use the shortlist of the first network, if it has one.
            group: the number of sentences that are searched at once. 0 lets the library choose.
            identify: returns equal values for hypotheses of a sentence that are not to be distinguished. An n-best list
                contains only the best of them.

        Raises:
            ModelError: a probability is not a number.
            ValueError: an id is not in the vocabulary, or a term is out of its bounds.
        """
        numbers = range(options.samples if isinstance(options, SampleOptions) else 1)
        items = [(index, number) for index in range(len(sentences)) for number in numbers]
        items.sort(key=lambda item: -len(sentences[item[0]]))
        banned = array("i", forbidden)
        native_options = _convert_options(options, banned, shortlist=shortlist, group=group)
        native_options.edges = edges or None
        results: list[list[NativeHypothesis]] = [[] for _ in sentences]
        for first in range(0, len(items), SHARE):
            part = items[first : first + SHARE]
            found = self._search(part, sentences, prefixes, native_options, identify, guides, terms)
            for (index, _), own in zip(part, found, strict=True):
                results[index] += own
        return results

    def score(
        self,
        sentences: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        shortlist: bool = True,
        group: int = 0,
    ) -> list[list[float]]:
        """Compute log P of each token of given translations, and of EOS. Return a list for each sentence.

        See `nmt.search.forced.score_targets` for what the probabilities are.

        Args:
            sentences: the ids of each sentence, EOS last.
            targets: the ids of the translation of each sentence, without EOS.
            shortlist: whether to use the shortlist of the first network, if it has one.
            group: the number of sentences that are scored at once. 0 lets the library choose.

        Raises:
            ModelError: a probability is not a number.
            ValueError: an id is not in the vocabulary.
        """
        native_options = _convert_options(SearchOptions(beam=1), array("i"), shortlist=shortlist, group=group)
        native_options.forced = True
        order = sorted(range(len(sentences)), key=lambda index: (-len(sentences[index]), -len(targets[index])))
        results: list[list[float]] = [[] for _ in sentences]
        for first in range(0, len(order), SHARE):
            part = order[first : first + SHARE]
            items = [(index, 0) for index in part]
            for index, [found] in zip(part, self._search(items, sentences, targets, native_options, None), strict=True):
                results[index] = found.token_log_probabilities
        return results

    def _search(
        self,
        items: Sequence[tuple[int, int]],
        sentences: Sequence[Sequence[int]],
        prefixes: Sequence[Sequence[int]] | None,
        options: NativeOptions,
        identify: Callable[[int, list[int]], Hashable] | None,
        guides: Sequence[Guide] | None = None,
        terms: Sequence[Sequence[TermIds]] | None = None,
    ) -> list[list[NativeHypothesis]]:
        """Search. An item is the index of a sentence and the number of a sample, the longest first."""
        ids, records = array("i"), (SentencePointer * len(items))()
        places = []
        for index, _ in items:
            prefix = prefixes[index] if prefixes else ()
            places.append((len(ids), len(sentences[index]), len(prefix)))
            ids.extend(sentences[index])
            ids.extend(prefix)
        address = ids.buffer_info()[0]
        for record, (_, number), (place, length, prefix_length) in zip(records, items, places, strict=True):
            record.ids, record.length = address + place * ids.itemsize, length
            record.prefix, record.prefix_length = address + (place + length) * ids.itemsize, prefix_length
            record.sample = number
        kept: list[object] = []  # what the library reads in place
        for record, (index, _) in zip(records, items, strict=True):
            if guides and guides[index]:
                kept += _add_guide(record, guides[index])
            if terms and terms[index]:
                kept += _add_terms(record, terms[index])
        failures: list[BaseException] = []
        if identify and options.nbest > 1:
            options.identify = _wrap(identify, [index for index, _ in items], failures)
        found = NativeHypotheses()
        status = self._library.nmt_search(self._handles, len(self._handles), records, len(items), options, found)
        kept.clear()
        if status == STOPPED:
            raise failures[0]
        check_status(status, "a sentence")
        try:
            return _read(found, [length for _, length, _ in places])
        finally:
            self._library.nmt_free_hypotheses(found)


def _convert_options(options: Options, banned: "array[int]", *, shortlist: bool, group: int) -> NativeOptions:
    """Return the options for the library. It reads `banned` in place."""
    search = options.within if isinstance(options, SampleOptions) else options
    converted = NativeOptions(
        beam=search.beam,
        nbest=search.nbest,
        min_length=search.min_length,
        max_length_extra=search.max_length_extra,
        exact=search.exact,
        attention=search.attention,
        shortlist=shortlist,
        max_length_factor=search.max_length_factor,
        length_penalty=search.length_penalty,
        coverage_penalty=search.coverage_penalty,
        no_repeat_ngram_size=search.no_repeat_ngram_size,
        banned=banned.buffer_info()[0],
        banned_count=len(banned),
        group=group,
    )
    if isinstance(options, SampleOptions):
        converted.sampling, converted.seed = True, options.seed
        converted.temperature, converted.top_k = options.temperature, options.top_k or 0
    return converted


def _add_guide(record: SentencePointer, guide: Guide) -> list[object]:
    """Write a guide into the record of a sentence. Return the arrays that must exist as long as the record is used."""
    arcs = array("i", itertools.chain.from_iterable(arc for state in guide for arc in state))
    ends = array("i", itertools.accumulate(map(len, guide)))
    record.states = len(guide)
    record.arcs, record.arcs_end = arcs.buffer_info()[0], ends.buffer_info()[0]
    return [arcs, ends]


def _add_terms(record: SentencePointer, terms: Sequence[TermIds]) -> list[object]:
    """Write the terms of a sentence into its record. Return what must exist as long as the record is used."""
    pointers = (TermPointer * len(terms))()
    kept: list[object] = [pointers]
    for pointer, term in zip(pointers, terms, strict=True):
        ids = array("i", itertools.chain.from_iterable(term.forms))
        ends, positions = array("i", itertools.accumulate(map(len, term.forms))), array("i", term.positions)
        pointer.ids, pointer.forms_end, pointer.positions = (part.buffer_info()[0] for part in (ids, ends, positions))
        pointer.forms, pointer.initial, pointer.position_count = len(term.forms), term.initial, len(term.positions)
        kept += [ids, ends, positions]
    record.terms, record.term_count = ctypes.addressof(pointers), len(terms)
    return kept


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
    of_tokens = copy("d", found.token_log_probabilities, ends[-1] + count if count else 0).tolist()
    weights = copy("f", found.attention, attention_ends[-1] if count else 0)
    results: list[list[NativeHypothesis]] = [[] for _ in lengths]
    begin = attention_begin = 0
    for index, (sentence, score, log_probability, end, attention_end) in enumerate(
        zip(sentences, scores, log_probabilities, ends, attention_ends, strict=True)
    ):
        S = lengths[sentence]
        rows = range(attention_begin, attention_end, S)
        results[sentence].append(
            NativeHypothesis(
                ids=ids[begin:end],
                log_probability=log_probability,
                score=score,
                token_log_probabilities=of_tokens[begin + index : end + index + 1],
                attention=[weights[row : row + S].tolist() for row in rows]
                if attention_end > attention_begin
                else None,
            )
        )
        begin, attention_begin = end, attention_end
    return results
