"""Requests with markup, or with things that are copied: the plain requests that are translated in their place.

request -> texts with tags and objects -> plain requests -> translations with attention -> translation of the request
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nmt.search.options import MbrOptions, Options, SampleOptions, SearchOptions, asks_for_attention
from nmt.tokenizers.base import Spans
from nmt.translation.alignment import align_words, list_words
from nmt.translation.markup import Markup
from nmt.translation.plain import is_plain
from nmt.translation.request import Request, Translation
from nmt.translation.segments import Segmenter, choose_language, combine, join_parts
from nmt.translation.tagged import TaggedText, carry, map_spans, place, trace
from nmt.translation.things import localize_numbers, take_out


@dataclass(frozen=True, kw_only=True)
class Task:
    """A request, and the plain requests that are translated in its place."""

    request: Request
    name: str
    texts: Sequence[TaggedText]
    """The texts of the request, without things. Without markup, there is one."""
    originals: Sequence[TaggedText]
    """The same texts with things."""
    requests: Sequence[Request]
    """A request for each text that contains letters."""
    markup: Markup | None = None


def prepare(request: Request, name: str, segmenter: Segmenter) -> Task | None:
    """Return the task for a request, or None if its text is plain.

    Args:
        request: the request.
        name: the name of the text in warnings, if the request has no name.
        segmenter: the segmenter, which knows the languages, and the symbols that the model copies.

    Raises:
        ConfigError: the request has markup, and lxml is not installed.
    """
    if is_plain(request):
        return None
    # A prefix contains the things at its beginning already.
    protect = request.protect is not False and request.prefix is None
    markup, originals = None, [TaggedText(text=request.text, stacks=[()] * len(request.text))]
    if request.markup:
        markup = Markup(request.text, request.markup, request.name or name)
        originals = markup.texts
    if request.numbers == "locale" and protect:
        languages = segmenter.language, choose_language(segmenter.data, request.to)
        originals = [localize_numbers(text, *languages) for text in originals]
    texts = [take_out(text, symbols=segmenter.symbols) if protect else text for text in originals]
    if markup is None and not texts[0].anchors:
        return None
    plain = replace(request, markup=None, protect=False, numbers=None, name=request.name or name)
    requests = [make_request(text, plain) for text in texts if has_words(text)]
    return Task(request=request, name=name, texts=texts, originals=originals, requests=requests, markup=markup)


def make_request(text: TaggedText, plain: Request) -> Request:
    """Return the plain request for a text: `plain` with this text. For tags and objects, it asks for attention."""
    return replace(plain, text=text.text, options=plain.options if text.plain else _add_attention(plain.options))


def finish(task: Task, found: Sequence[list[Translation]], segmenter: Segmenter, language: str) -> list[Translation]:
    """Return the translations of a request, the best first.

    Args:
        task: the task of the request.
        found: the translations of each of `task.requests`, the best first.
        segmenter: the segmenter that split the requests.
        language: the target language.
    """
    options = task.request.options or SearchOptions()
    if not found:
        nothing = Translation(text="", score=0.0, source_tokens=[], tokens=[], alignment=[])
        return [replace(nothing, text=_write(task, task.originals, first=True), copied=_list_things(task))]
    if isinstance(options, SampleOptions):
        chosen: list[tuple[Translation, ...]] = list(zip(*found, strict=True))
    else:
        chosen = combine(found, options.nbest)
    worded = filter(has_words, task.texts)
    spans = [Spans() if text.plain else segmenter.locate(one) for text, one in zip(worded, task.requests, strict=True)]
    with_attention = asks_for_attention(options)
    results: dict[str, Translation] = {}
    for number, parts in enumerate(chosen):
        translated = iter(zip(parts, spans, strict=True))
        carried = []
        for text, original in zip(task.texts, task.originals, strict=True):
            if not has_words(text):
                carried.append(original)
                continue
            part, own = next(translated)
            if text.plain:
                carried.append(TaggedText(text=part.text, stacks=[()] * len(part.text)))
            else:
                carried.append(carry(text, part, own, language))
        if not with_attention:  # joined, it would have a weight for each pair of tokens of the whole text
            parts = tuple(replace(part, alignment=[], attention=[]) for part in parts)
        whole = join_parts(parts, [translations[0] for translations in found], " ")
        written = _write(task, carried, first=number == 0)
        changes: dict[str, Any] = {"text": written, "spans": [], "copied": _list_things(task)}
        if with_attention and task.markup is None:
            changes["word_alignment"] = _align_words(task, whole, spans[0], written, segmenter, language)
        whole = replace(whole, **changes)
        results.setdefault(f"{number}" if isinstance(options, SampleOptions) else written, whole)
    return list(results.values())


def _align_words(
    task: Task,
    translation: Translation,
    spans: Spans,
    written: str,
    segmenter: Segmenter,
    language: str,
) -> list[tuple[int, int]]:
    """Return the word alignment of a text with things.

    Args:
        task: the task, without markup.
        translation: the translation without its things.
        spans: the characters of each source token in the text without things.
        written: the text of the translation with its things.
        segmenter: the segmenter that split the text.
        language: the target language.
    """
    text, source = task.texts[0], task.originals[0].text
    places, things = trace(text, source)
    target_places, target_things = trace(place(text, translation, spans, language), written)
    source_spans = map_spans(spans, places)
    target_spans = map_spans(translation.spans, target_places)
    # A thing is like a token whose only weight is that of its counterpart.
    attention = [[*row, *[0.0] * len(things)] for row in translation.attention]
    columns = range(len(source_spans) + len(things))
    attention += [[float(place == column) for place in columns] for column in columns[len(source_spans) :]]
    source_spans, target_spans = [*source_spans, *things], [*target_spans, *target_things]
    sources = list_words(source, sorted(source_spans), segmenter.language)
    targets = list_words(written, sorted(target_spans), language)
    return align_words(attention, source_spans, target_spans, sources, targets)


def _write(task: Task, texts: Sequence[TaggedText], first: bool) -> str:
    if task.markup is None:
        return "".join(str(item) for _, item in texts[0].runs())
    if first:
        return task.markup.write(texts)
    assert task.request.markup
    return Markup(task.request.text, task.request.markup, task.request.name or task.name).write(texts)


def _list_things(task: Task) -> list[str]:
    return [anchor.content for text in task.texts for anchor in text.anchors if isinstance(anchor.content, str)]


def has_words(text: TaggedText) -> bool:
    """Return whether a text contains letters."""
    return any(map(str.isalpha, text.text))


@functools.lru_cache(maxsize=64)
def _add_attention(options: Options | MbrOptions | None) -> Options | MbrOptions:
    """Return options that ask for attention."""
    if isinstance(options, MbrOptions):
        within = replace(options.sampling, within=replace(options.sampling.within, attention=True))
        return replace(options, sampling=within, search=replace(options.search, attention=True))
    if isinstance(options, SampleOptions):
        return replace(options, within=replace(options.within, attention=True))
    return replace(options or SearchOptions(), attention=True)
