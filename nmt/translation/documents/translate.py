"""Translation of a whole file."""

import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.errors import DataError, UserError
from nmt.search.options import SearchOptions
from nmt.system.files import reason, write_whole
from nmt.translation.documents.document import MAX_BYTES, Context
from nmt.translation.documents.formats import find_reader, list_endings
from nmt.translation.protection import has_words, make_request
from nmt.translation.request import Request, Translation
from nmt.translation.tagged import Stack, TaggedText, carry
from nmt.translation.things import localize_numbers, take_out

if TYPE_CHECKING:  # this module can import torch
    from nmt.translation.translator import Translator

logger = logging.getLogger(__name__)

WINDOW = 16  # the number of batches per thread that are translated together
_PROGRESS = 10.0  # the number of seconds between two lines about the progress


def translate_file(
    translator: "Translator",
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    request: Request | None = None,
    *,
    retranslate: bool = False,
    keys: Sequence[str] = (),
    watch: Callable[[list[list[Translation]]], None] | None = None,
) -> int:
    """Translate a document. Only its texts change, and the output has the format of the document.

    The format is recognized by the ending of the file, such as .docx or .html (docs/howto/documents.md lists them). The
    output appears when it is complete. It replaces an older file, but never the document itself.

    Args:
        translator: the translator.
        source: the document.
        output: the file to write. It has the ending of the document.
        request: the settings of all texts; its own text is ignored. By default, each sentence is translated separately.
        retranslate: whether texts that have a translation already, as in .po, .xliff and .tmx, are translated again.
        keys: in .json, the keys whose values are translated, or paths such as `menu.*.label`. By default, all are.
        watch: a function that is called with the translations of each batch of texts, for example to count faults.

    Returns:
        The number of texts that were translated.

    Raises:
        DataError: the document cannot be read, is damaged, encrypted or suspiciously large, or its format is not known,
            or the output is the document, has another ending, or its folder does not exist.
        ConfigError: a package for the format is missing, or the request does not fit the model.
        MachineError: the output cannot be written.
    """
    source, output = Path(source), Path(output)
    request = request or Request("")
    if request.split is None:
        request = replace(request, split=True)
    target = translator.target_language(request.to)
    read = find_reader(source)
    _check_output(source, output)
    context = Context(
        name=str(source),
        source=translator.data.source_languages[0],
        target=target,
        retranslate=retranslate,
        keys=keys,
    )
    document = read(_read_bytes(source), context)
    translations = translate_texts(translator, document.texts, request, watch)
    write_whole(output, document.write(translations))
    return len(document.texts)


def translate_texts(
    translator: "Translator",
    texts: Sequence[TaggedText],
    request: Request,
    watch: Callable[[list[list[Translation]]], None] | None = None,
) -> list[TaggedText]:
    """Translate texts with tags and objects. Equal texts are translated once.

    Args:
        translator: the translator.
        texts: the texts.
        request: the settings of all texts; its own text is ignored.
        watch: a function that is called with the translations of each batch of texts.
    """
    language = translator.target_language(request.to)
    plain = replace(request, markup=None, protect=False, numbers=None, prefix=None)
    found: dict[object, TaggedText] = {}
    whole = [_strip_shared(text) for text in texts]
    # Objects and tag numbers differ between texts, so only plain texts can be equal.
    own = [text.text if text.plain else number for number, (_, text) in enumerate(whole)]
    waiting = {key: text for key, (_, text) in zip(own, whole, strict=True)}
    left = list(waiting)
    window = WINDOW * translator.threads * translator.max_segments(request.options or SearchOptions())
    for first in _report(range(0, len(left), window), len(left)):
        keys = left[first : first + window]
        originals = [waiting[key] for key in keys]
        if request.numbers == "locale":
            own_language = translator.segmenter.language
            originals = [localize_numbers(text, own_language, language) for text in originals]
        symbols = translator.segmenter.symbols
        bare = [text if request.protect is False else take_out(text, symbols=symbols) for text in originals]
        requests = [
            replace(make_request(text, plain), name=f"text {number}")
            for number, text in enumerate(bare, start=first + 1)
            if has_words(text)
        ]
        translations = translator.nbest(requests)
        if watch:
            watch(translations)
        answers = iter(zip(requests, translations, strict=True))
        for key, text, original in zip(keys, bare, originals, strict=True):
            if not has_words(text):
                found[key] = original
                continue
            asked, (best, *_) = next(answers)
            if text.plain:
                found[key] = TaggedText(text=best.text, stacks=[()] * len(best.text))
            else:
                found[key] = carry(text, best, translator.segmenter.locate(asked), language)
    return [_add_shared(found[key], shared) for key, (shared, _) in zip(own, whole, strict=True)]


def _strip_shared(text: TaggedText) -> tuple[Stack, TaggedText]:
    """Return the tags that everything in a text shares, and the text without them. It is then often plain."""
    stacks = [*text.stacks, *(anchor.stack for anchor in text.anchors)]
    length = sum(1 for _ in itertools.takewhile(lambda tags: len(set(tags)) == 1, zip(*stacks, strict=False)))
    if not length:
        return (), text
    return stacks[0][:length], TaggedText(
        text=text.text,
        stacks=[stack[length:] for stack in text.stacks],
        anchors=[anchor._replace(stack=anchor.stack[length:]) for anchor in text.anchors],
    )


def _add_shared(text: TaggedText, shared: Stack) -> TaggedText:
    if not shared:
        return text
    return TaggedText(
        text=text.text,
        stacks=[shared + stack for stack in text.stacks],
        anchors=[anchor._replace(stack=shared + anchor.stack) for anchor in text.anchors],
    )


def _report(starts: range, total: int) -> Iterator[int]:
    """Yield the start of each window. From time to time, log how much is done."""
    latest = time.monotonic()
    for start in starts:
        if start and time.monotonic() - latest >= _PROGRESS:
            latest = time.monotonic()
            logger.info("%d of %d texts translated", start, total)
        yield start


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason(error)}); name a document") from error
    if len(data) > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES >> 20} MiB; divide the document")
    return data


def _check_output(source: Path, output: Path) -> None:
    """Check that the output can be written, before anything is translated."""
    kind = source.suffix.lower()
    same = next(endings for endings in (*list_endings(), [kind]) if kind in endings)
    fault: UserError | None = None
    if output.suffix.lower() not in same:
        fault = DataError(f"{output}: the output has the format of {source}; name a file that ends in {source.suffix}")
    elif output.exists() and source.exists() and output.samefile(source):
        fault = DataError(f"{output}: is the document itself; name another file")
    elif not output.parent.is_dir():
        fault = DataError(f"{output}: the folder {output.parent} does not exist; create it, or name another file")
    elif output.is_dir():
        fault = DataError(f"{output}: is a folder; name a file")
    if fault:
        raise fault
