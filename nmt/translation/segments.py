"""The division of texts into segments that are translated separately, and the joining of their translations."""

import heapq
import itertools
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nmt.config.schema import DataConfig
from nmt.data.sentences import split_sentences
from nmt.errors import ConfigError
from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.search.options import MbrOptions, SampleOptions
from nmt.search.sentence import TermIds
from nmt.tokenizers.base import Spans, Tokenizers
from nmt.tokenizers.case import is_capitals
from nmt.tokenizers.inline import InlineIds, find_tokens, insert_terms
from nmt.translation.guards import needs_no_translation
from nmt.translation.prefix import PrefixCompleter
from nmt.translation.request import Request, Segment, Translation, Word
from nmt.translation.terms import MAX_TERMS, Term, TermEncoder, TermFinder
from nmt.types import EOS, PLACEHOLDERS

logger = logging.getLogger(__name__)

T = TypeVar("T")

_GLOSSARIES = 16  # the number of glossaries that are kept prepared
_SPACE = re.compile(r"\s+")


class Segmenter:
    """Splits the texts of requests into segments.

    Args:
        tokenizers: the tokenizers of the model.
        data: the data configuration of the model, which contains its languages and tags.
        max_tokens: the maximum number of tokens in a segment, without tags.
        split: the default of `Request.split`: whether each sentence of a text is a segment.
        guard: the default of `Request.guard`.
    """

    def __init__(
        self,
        tokenizers: Tokenizers,
        data: DataConfig,
        max_tokens: int,
        *,
        split: bool = False,
        guard: bool = False,
        length_penalty: float | None = None,
    ) -> None:
        self.tokenizer, self.normalizer = tokenizers.source, tokenizers.normalizers.source
        self.data, self.max_tokens, self.split_default = data, max_tokens, split
        self.language = data.source_languages[0]
        self.guard_default, self.length_penalty = guard, length_penalty
        self.symbols = PLACEHOLDERS if data.placeholder_share else ()  # that the model copies
        self._reported = False  # whether a message has said that lines are split by default
        self.truecaser = tokenizers.truecaser
        self.term_encoder = TermEncoder(tokenizers, spaces=has_spaces(data.target_languages))
        self._finders: dict[int, tuple[Sequence[Term], TermFinder]] = {}  # by the identity of the terms
        self._completer = PrefixCompleter(tokenizers.target)
        self._tags: dict[tuple[str | None, str | None], tuple[int, ...]] = {}

    def split(self, request: Request, name: str) -> list[Segment]:
        """Split the text of a request into segments. If the text is blank, there are none.

        Args:
            request: the text to translate, and its settings.
            name: the name of the text in warnings, if the request has no name.

        Raises:
            ConfigError: the model does not have the language or the tag of the request.
        """
        tags, text = self.tag_ids(request.to, request.tag), self.normalizer.normalize(request.text).strip()
        segments: list[Segment] = []
        guarded = self.guard_default if request.guard is None else request.guard
        for sentence in self._split_sentences(text, request, name):
            original, capitals = sentence, None
            if self.truecaser:
                capitals = choose_language(self.data, request.to) if is_capitals(sentence) else None
                sentence = self.truecaser.restore(sentence)
            parts = [(text, ids) for text, ids in self._cut(sentence, self.tokenizer.encode) if ids]
            if guarded and not request.prefix:
                ids = [id_ for _, part in parts for id_ in part]
                if needs_no_translation(original, ids, self.tokenizer):
                    segments.append(
                        request.segment((*tags, *ids, EOS), length_penalty=self.length_penalty, verbatim=original)
                    )
                    continue
            if len(parts) > 1:
                count = sum(len(ids) for _, ids in parts)
                logger.warning("%s: %d tokens, translated in %d parts", request.name or name, count, len(parts))
            for part, ids in parts:
                settings: dict[str, Any] = {}
                if request.terms:
                    ids, settings = self._add_terms(request, part, ids, len(tags))
                settings |= {"capitals": capitals, "guarded": guarded, "length_penalty": self.length_penalty}
                segments.append(request.segment((*tags, *ids, EOS), **settings))
        if request.prefix and segments:
            prefix, guide = self._completer.complete(request.prefix)
            # The prefix decides the case of the translation.
            segments[0] = replace(segments[0], prefix=prefix, guide=guide, capitals=None)
        return segments

    def _add_terms(self, request: Request, text: str, ids: list[int], offset: int) -> tuple[list[int], dict[str, Any]]:
        """Return the ids of a segment with its terms, and its fields for terms.

        A model that was trained for it reads the targets of terms beside their sources. Otherwise, and for words that
        are not translated, search is constrained.

        Args:
            request: the request with the terms.
            text: the text of the segment.
            ids: the ids of the text.
            offset: the number of tags before the text.

        Raises:
            ConfigError: translations are sampled.
        """
        if isinstance(request.options, SampleOptions | MbrOptions):
            raise ConfigError("terms: only for search; leave them out, or leave out sampling (--sample, --mbr)")
        found = self._find_terms(request, text)
        settings: dict[str, Any] = {"found_terms": tuple(term for _, _, term in found)}
        inline = self._insert_terms(text, ids, found)
        places = [*range(offset), *(offset + place for place in inline.places)] if inline else None

        def encode(each: tuple[int, int, Term]) -> tuple[TermIds, ...]:
            encoded = self.term_encoder.encode(text, [each], offset)
            if places is None:
                return encoded
            return tuple(replace(term, positions=tuple(places[own] for own in term.positions)) for term in encoded)

        forced = [each for each in found if not self._reads(each[2])]
        read = [each for each in found if self._reads(each[2])]
        settings["terms"] = tuple(term for each in forced[:MAX_TERMS] for term in encode(each))
        settings["read_terms"] = tuple((each[2], term) for each in read[:MAX_TERMS] for term in encode(each))
        return inline.ids if inline else ids, settings

    def _find_terms(self, request: Request, text: str) -> list[tuple[int, int, Term]]:
        """Return the terms in a text with their start and end."""
        terms = request.terms or ()
        known, finder = self._finders.get(id(terms), ((), None))
        if finder is None or known is not terms:  # usually, many requests have the same terms
            finder = TermFinder(terms, spaces=has_spaces([self.language]))
            if len(self._finders) >= _GLOSSARIES:
                self._finders = {}
            self._finders[id(terms)] = terms, finder
        return finder.find(text)

    def _reads(self, term: Term) -> bool:
        """Return whether the model reads the target of a term beside its source."""
        return self.data.term_share > 0 and term.source != term.target

    def _insert_terms(self, text: str, ids: list[int], found: Sequence[tuple[int, int, Term]]) -> InlineIds | None:
        """Write the targets of terms into the ids of a text, if the model reads any."""
        read = [(start, end, term.target) for start, end, term in found if self._reads(term)][:MAX_TERMS]
        if not read:
            return None
        tokens = find_tokens(self.tokenizer, text, ids, [(start, end) for start, end, _ in read])
        targets = [target for _, _, target in read]
        return insert_terms(self.tokenizer, ids, [*zip(tokens, targets, strict=True)])

    def encode_whole(self, request: Request) -> Segment:
        """Return the whole text of a request as one segment, whatever its length.

        Raises:
            ConfigError: the model does not have the language or the tag of the request.
        """
        tags, text = self.tag_ids(request.to, request.tag), self.normalizer.normalize(request.text).strip()
        ids = self.tokenizer.encode(self.truecaser.restore(text) if self.truecaser else text)
        return request.segment((*tags, *ids, EOS), length_penalty=self.length_penalty)

    def separator(self, request: Request) -> str:
        """Return the text that separates the translations of two segments: a space, or nothing in some languages."""
        language = choose_language(self.data, request.to)
        return "" if language_code(language) in WITHOUT_SPACES else " "

    def _split_sentences(self, text: str, request: Request, name: str) -> list[str]:
        """Return the sentences of a text, or the whole text if it should not be split."""
        if request.prefix or not (self.split_default if request.split is None else request.split):
            return [text]
        sentences = [sentence.strip() for sentence in split_sentences(text, self.language)]
        if request.split is None and len(sentences) > 1 and not self._reported:
            self._reported = True
            logger.info(
                "%s: has %d sentences, each translated separately, because the model was trained on single sentences; "
                "--no-split (split=False) translates lines as a whole",
                request.name or name,
                len(sentences),
            )
        return sentences

    def tag_ids(self, to: str | None, tag: str | None) -> tuple[int, ...]:
        """Return the ids of the tags for a target language and a tag. They precede the ids of each segment.

        Raises:
            ConfigError: the target language is missing, or the model does not have the language or the tag.
        """
        if (to, tag) not in self._tags:
            if tag is not None and tag not in self.data.corpus_tags:
                choice = "leave it out, the model has no tags"
                if known := self.data.corpus_tags:
                    choice = f"choose {' or '.join(known)}, or leave it out"
                raise ConfigError(f"tag {tag}: no training corpus has it; {choice} (--tag)")
            tags = self.data.tags_before(choose_language(self.data, to), tag)
            self._tags[to, tag] = tuple(self.tokenizer.encode_tags(tags))
        return self._tags[to, tag]

    def locate(self, request: Request) -> Spans:
        """Return the part of the text of a request that each source token of its segments covers. Tags cover nothing.

        The tokens have the order of the segments that `split` returns.
        """
        tags = self.tag_ids(request.to, request.tag)
        text, origins = self.normalizer.align(request.text)
        spans, sentence_end = Spans(), 0
        for sentence in self._split_sentences(text.strip(), request, ""):
            start = text.index(sentence, sentence_end)
            sentence_end = start + len(sentence)
            own = origins[start:sentence_end]  # the origins of the characters of the sentence
            if self.truecaser:
                sentence, changed = self.truecaser.align(sentence)
                own = [(own[first][0], own[last - 1][1]) for first, last in changed]
            part_end = 0
            for part, tokens in self._cut(sentence, self.tokenizer.encode_spans):
                if not tokens:
                    continue
                first = sentence.index(part, part_end)
                part_end = first + len(part)
                spans += [(0, 0)] * len(tags)
                if request.terms:
                    found = self._find_terms(request, part)
                    if inline := self._insert_terms(part, self.tokenizer.encode(part), found):
                        tokens = [(tokens[origin[0]][0], tokens[origin[-1]][1]) for origin in inline.origins]
                spans += [
                    (own[first + begin][0], own[first + end - 1][1]) if begin < end else (0, 0) for begin, end in tokens
                ]
        return spans

    def _cut(self, text: str, tokenize: Callable[[str], list[T]]) -> list[tuple[str, list[T]]]:
        """Tokenize a text and return its parts and their tokens. A part with too many tokens is halved."""
        tokens = tokenize(text)
        if len(tokens) <= self.max_tokens or len(text) == 1:
            return [(text, tokens)]
        middle = find_middle(text, self.language)
        halves = text[:middle].strip(), text[middle:].strip()
        return [part for half in halves if half for part in self._cut(half, tokenize)]


def has_spaces(languages: Sequence[str]) -> bool:
    """Return whether all languages write spaces between words."""
    return not any(language_code(language) in WITHOUT_SPACES for language in languages)


def choose_language(data: DataConfig, to: str | None) -> str:
    """Return the target language `to`. If `to` is None, return the only target language of the model.

    Raises:
        ConfigError: `to` is None and the model has several target languages, or the model does not have `to`.
    """
    languages = data.target_languages
    if to in languages or (to is None and len(languages) == 1):
        return to or languages[0]
    fault = "the target language is not given" if to is None else f"the model does not translate into {to}"
    raise ConfigError(f"{fault}; choose {' or '.join(languages)} (--to)")


def find_middle(text: str, language: str) -> int:
    """Return the position at which to cut a text into two halves.

    The position is the end of a sentence that is nearest to the middle of the text. In a single sentence, it is the
    space nearest to the middle. In a single word, it is the middle itself.
    """
    half = len(text) // 2
    sentence_ends = list(itertools.accumulate(map(len, split_sentences(text, language))))[:-1]
    spaces = (match.end() for match in _SPACE.finditer(text))
    cuts = sentence_ends or [end for end in spaces if 0 < end < len(text)]
    return min(cuts, key=lambda cut: abs(cut - half), default=half)


def join_segments(segments: Sequence[Segment], found: Sequence[list[Translation]], separator: str) -> list[Translation]:
    """Join the translations of the segments of a text into translations of the whole text.

    After a search, the translations of the text are the n best combinations of translations of its segments. With
    sampling, sample k of the text consists of sample k of each segment.

    Args:
        segments: the segments of the text.
        found: the translations of each segment, the best first.
        separator: the text to put between the translations of two segments.
    """
    if not segments:
        return [Translation(text="", score=0.0, source_tokens=[], tokens=[], alignment=[])]
    if len(segments) == 1:
        return found[0]
    if isinstance(segments[0].options, SampleOptions):
        return [join_parts(samples, samples, separator) for samples in zip(*found, strict=True)]
    best = [translations[0] for translations in found]
    joined = [join_parts(parts, best, separator) for parts in combine(found, segments[0].nbest)]
    return list({translation.text: translation for translation in reversed(joined)}.values())[::-1]


def combine(found: Sequence[list[Translation]], count: int) -> list[tuple[Translation, ...]]:
    """Return the `count` best combinations, the best first. A combination has one translation of each segment.

    The score of a combination is the weighted mean of the scores of its translations. The weight of a segment is the
    length of its best translation. All combinations have the same weights. If one translation is replaced by a worse
    translation of the same segment, the score of the combination is therefore lower.
    """
    combined: list[tuple[float, tuple[Translation, ...]]] = [(0.0, ())]
    for translations in found:
        weight = len(translations[0].tokens) + 1
        extended = [
            (score + weight * last.score, (*parts, last)) for score, parts in combined for last in translations[:count]
        ]
        combined = heapq.nlargest(count, extended, key=lambda one: one[0])
    return [parts for _, parts in combined]


def join_parts(parts: Sequence[Translation], best: Sequence[Translation], separator: str) -> Translation:
    """Join `parts`, which has one translation of each segment, into a translation of the text.

    Its score is the weighted mean of the scores of `parts`. The weight of a segment is the number of tokens of its
    translation in `best`, including EOS.
    """
    if len(parts) == 1:
        return parts[0]
    source_length = sum(len(part.source_tokens) for part in parts)
    alignment: list[int] = []
    attention: list[list[float]] = []
    spans: list[tuple[int, int]] = []
    words: list[Word] = []
    text, offset = "", 0
    for part in parts:
        text += separator if text and part.text else ""
        spans += [(len(text) + start, len(text) + end) for start, end in part.spans]
        words += [word.move(len(text)) for word in part.words]
        text += part.text
        after = source_length - offset - len(part.source_tokens)
        alignment += [offset + position for position in part.alignment]
        attention += [[0.0] * offset + weights + [0.0] * after for weights in part.attention]
        offset += len(part.source_tokens)
    weights = [len(part.tokens) + 1 for part in best]
    return Translation(
        text=text,
        score=sum(weight * part.score for weight, part in zip(weights, parts, strict=True)) / sum(weights),
        source_tokens=[token for part in parts for token in part.source_tokens],
        tokens=[token for part in parts for token in part.tokens],
        token_log_probabilities=(
            [value for part in parts for value in part.token_log_probabilities]
            if all(len(part.token_log_probabilities) == len(part.tokens) for part in parts)
            else []
        ),
        alignment=alignment,
        attention=attention,
        spans=spans,
        words=words if all(part.words or not part.text for part in parts) else [],
        searched_again=tuple(dict.fromkeys(fault for part in parts for fault in part.searched_again)),
        faults=tuple(dict.fromkeys(fault for part in parts for fault in part.faults)),
        terms=[use for part in parts for use in part.terms],
    )
