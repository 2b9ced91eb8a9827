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
from nmt.search.sentence import AnySentence, Sentence

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
    """One packed network, or an ensemble of networks with the same vocabularies.

    Args:
        networks: the networks.
        edges: returns the edges of the target tokens (see `nmt.search.loop.Search.edges`). It is called for sentences
            with terms only.
        forbidden: tokens that no translation contains.
        shortlist: whether to use the shortlist of the first network, if it has one.
        group: the number of sentences that are searched at once. 0 lets the library choose.
    """

    def __init__(
        self,
        networks: Sequence[PackedNetwork],
        *,
        edges: Callable[[], bytes] = bytes,
        forbidden: Sequence[int] = (),
        shortlist: bool = True,
        group: int = 0,
    ) -> None:
        self._library, self._networks = library.require(), tuple(networks)
        self._handles = (ctypes.c_void_p * len(networks))(*(network.handle for network in networks))
        self._edges, self._forbidden = edges, array("i", forbidden)
        self._shortlist, self._group = shortlist, group

    def search(
        self,
        sentences: Sequence[AnySentence],
        options: Options,
        *,
        identify: Callable[[AnySentence, list[int]], Hashable] | None = None,
    ) -> list[list[NativeHypothesis]]:
        """Search the n best translations of sentences, or draw samples. Return a list for each sentence, best first.

        The result for a sentence depends neither on the other sentences nor on `group`. Several threads can
        search at the same time, because the library releases Python's lock.

        Args:
            sentences: the sentences. Samples have no terms.
            options: the options of the search, or of sampling.
            identify: returns equal values for hypotheses of a sentence that are not to be distinguished (see
                `nmt.search.loop.Search.identify`). An n-best list contains only the best of them.

        Raises:
            ModelError: a probability is not a number.
            ValueError: an id is not in the vocabulary, or a term is out of its bounds.
        """
        numbers = range(options.samples if isinstance(options, SampleOptions) else 1)
        items = [(index, number) for index in range(len(sentences)) for number in numbers]
        items.sort(key=lambda item: -len(sentences[item[0]].source))
        native_options = self._convert_options(options)
        edges = self._edges() if any(sentence.terms for sentence in sentences) else b""
        native_options.edges = edges or None
        results: list[list[NativeHypothesis]] = [[] for _ in sentences]
        for first in range(0, len(items), SHARE):
            part = items[first : first + SHARE]
            found = self._search([(sentences[index], number) for index, number in part], native_options, identify)
            for (index, _), own in zip(part, found, strict=True):
                results[index] += own
        return results

    def score(
        self, sentences: Sequence[Sentence], targets: Sequence[Sequence[int]], *, shortlist: bool = True
    ) -> list[list[float]]:
        """Compute log P of each token of given translations, and of EOS. Return a list for each sentence.

        See `nmt.search.forced.score_targets` for what the probabilities are.

        Args:
            sentences: the sentences. Only their source ids matter.
            targets: the ids of the translation of each sentence, without EOS.
            shortlist: False ignores the shortlist, so that probabilities are relative to the whole vocabulary.

        Raises:
            ModelError: a probability is not a number.
            ValueError: an id is not in the vocabulary.
        """
        native_options = self._convert_options(SearchOptions(beam=1))
        native_options.forced, native_options.shortlist = True, self._shortlist and shortlist
        order = sorted(range(len(sentences)), key=lambda index: (-len(sentences[index].source), -len(targets[index])))
        results: list[list[float]] = [[] for _ in sentences]
        for first in range(0, len(order), SHARE):
            part = order[first : first + SHARE]
            items = [(Sentence(source=sentences[index].source, prefix=tuple(targets[index])), 0) for index in part]
            for index, [found] in zip(part, self._search(items, native_options), strict=True):
                results[index] = found.token_log_probabilities
        return results

    def _convert_options(self, options: Options) -> NativeOptions:
        search = options.within if isinstance(options, SampleOptions) else options
        converted = NativeOptions(
            beam=search.beam,
            nbest=search.nbest,
            min_length=search.min_length,
            max_length_extra=search.max_length_extra,
            exact=search.exact,
            attention=search.attention,
            shortlist=self._shortlist,
            max_length_factor=search.max_length_factor,
            length_penalty=search.length_exponent,
            coverage_penalty=search.coverage_penalty,
            no_repeat_ngram_size=search.no_repeat_ngram_size,
            banned=self._forbidden.buffer_info()[0],
            banned_count=len(self._forbidden),
            group=self._group,
        )
        if isinstance(options, SampleOptions):
            converted.sampling, converted.seed = True, options.seed
            converted.temperature, converted.top_k = options.temperature, options.top_k or 0
        return converted

    def _search(
        self,
        items: Sequence[tuple[AnySentence, int]],
        options: NativeOptions,
        identify: Callable[[AnySentence, list[int]], Hashable] | None = None,
    ) -> list[list[NativeHypothesis]]:
        """Search. An item is a sentence and the number of a sample, the longest sentence first."""
        sentences = [sentence for sentence, _ in items]
        records = (SentencePointer * len(items))()
        kept: list[object] = []  # what the library reads in place
        for record, (sentence, number) in zip(records, items, strict=True):
            record.sample = number
            kept += _fill(record, sentence)
        failures: list[BaseException] = []
        if identify and options.nbest > 1:
            options.identify = _wrap(identify, sentences, failures)
        found = NativeHypotheses()
        status = self._library.nmt_search(self._handles, len(self._handles), records, len(items), options, found)
        kept.clear()
        if status == STOPPED:
            raise failures[0]
        check_status(status, "a sentence")
        try:
            return _read(found, [len(sentence.source) for sentence in sentences])
        finally:
            self._library.nmt_free_hypotheses(found)


def _fill(record: SentencePointer, sentence: Sentence) -> list[object]:
    """Write a sentence into its record. Return what must exist as long as the record is used."""
    ids = array("i", (*sentence.source, *sentence.prefix))
    address = ids.buffer_info()[0]
    record.ids, record.length = address, len(sentence.source)
    record.prefix = address + len(sentence.source) * ids.itemsize
    record.prefix_length = len(sentence.prefix)
    kept: list[object] = [ids]
    if sentence.guide:
        arcs = array("i", itertools.chain.from_iterable(arc for state in sentence.guide for arc in state))
        ends = array("i", itertools.accumulate(map(len, sentence.guide)))
        record.states = len(sentence.guide)
        record.arcs, record.arcs_end = arcs.buffer_info()[0], ends.buffer_info()[0]
        kept += [arcs, ends]
    if sentence.terms:
        pointers = (TermPointer * len(sentence.terms))()
        record.terms, record.term_count = ctypes.addressof(pointers), len(sentence.terms)
        kept.append(pointers)
        for pointer, term in zip(pointers, sentence.terms, strict=True):
            forms = array("i", itertools.chain.from_iterable(term.forms))
            ends, positions = array("i", itertools.accumulate(map(len, term.forms))), array("i", term.positions)
            parts = forms, ends, positions
            pointer.ids, pointer.forms_end, pointer.positions = (part.buffer_info()[0] for part in parts)
            pointer.forms, pointer.initial, pointer.position_count = len(term.forms), term.initial, len(positions)
            kept += parts
    return kept


def _wrap(
    identify: Callable[[AnySentence, list[int]], Hashable],
    sentences: Sequence[AnySentence],
    failures: list[BaseException],
) -> "ctypes._FuncPointer":
    """Return a function for the library that numbers the values of `identify`. An exception stops the search."""
    known: list[dict[Hashable, int]] = [{} for _ in sentences]

    def number(index: int, ids: "ctypes._Pointer[ctypes.c_int32]", length: int) -> int:
        try:
            values = known[index]
            return values.setdefault(identify(sentences[index], ids[:length]), len(values))
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
