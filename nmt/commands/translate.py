"""nmt-translate MODEL [MODEL ...] < LINES > TRANSLATIONS, or nmt-translate MODEL --file FILE --output FILE"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from nmt.commands.arguments import (
    MODEL_HELP,
    add_fields,
    add_language_options,
    add_machine_options,
    build_parser,
    given_fields,
    load_translator,
    whole_number,
)
from nmt.commands.process import run, startup
from nmt.commands.streams import open_stdin, open_stdout
from nmt.search.options import MAX_ROWS_PER_SENTENCE, MbrOptions, Options, SampleOptions, SearchOptions

if TYPE_CHECKING:
    from nmt.translation.request import Request, Translation

logger = logging.getLogger("nmt.commands.translate")  # under `python -m`, __name__ is __main__

NAME = "nmt-translate"
WINDOW = 16  # the number of batches per thread that are read together, so that lines can be sorted by length
SEARCH = {
    "beam": "K", "length_penalty": "A", "coverage_penalty": "B", "max_length_factor": "F", "max_length_extra": "E",
    "no_repeat_ngram_size": "N",
}  # fmt: skip
SAMPLING = {"seed": "S", "temperature": "T", "top_k": "K"}  # only with --sample


def main(arguments: Sequence[str] | None = None) -> int:
    """Translate standard input to standard output, line by line, or a document."""
    options = _parse(arguments)

    def body() -> None:
        with startup():
            from nmt.translation.pipe import run_pipe
            from nmt.translation.request import Request

            search = build_options(options, attention=options.json or options.alignments is not None)
            translator = load_translator(options)
            markup = None if options.format == "text" else options.format
            if markup:
                from nmt.translation.trees import check_installed

                check_installed()
        asked: dict[str, Any] = {"options": search, "to": options.to, "tag": options.tag, "split": options.split}
        asked |= {"markup": markup, "protect": options.protect, "numbers": options.numbers}
        asked["guard"] = options.guard
        guarded = Guarded(unit="text" if options.file else "line")
        translator.check(to=options.to, tag=options.tag)  # before any input is read
        if options.terms:
            from nmt.translation.glossary import read_glossary

            source, target = translator.data.source_languages[0], translator.target_language(options.to)
            asked["terms"] = read_glossary(options.terms, source, target)
        used, wanted = 0, 0

        def count(found: "list[list[Translation]]") -> None:
            nonlocal used, wanted
            guarded.add(found)
            used += sum(use.used for translations in found for use in translations[0].terms)
            wanted += sum(len(translations[0].terms) for translations in found)

        def translate(requests: "list[Request]") -> "list[list[Translation]]":
            found = translator.nbest(requests, **asked)
            count(found)
            return found

        if options.file:
            from nmt.translation.documents.translate import translate_file

            settings = Request("", **asked)
            kinds = {"retranslate": options.retranslate, "keys": options.keys or ()}
            texts = translate_file(translator, options.file, options.output, settings, **kinds, watch=count)
            logger.info("%s: %d texts translated", options.output, texts)
        else:
            run_pipe(
                open_stdin(),
                open_stdout(),
                translate=translate,
                show=choose_format(options),
                max_lines=WINDOW * translator.threads * translator.max_segments(search),
            )
        guarded.report()
        if options.terms:
            logger.info("terms: %d of %d used", used, wanted)

    return run(NAME, body, lower="--batch-size, --beam or --threads")


@dataclass
class Guarded:
    """Counts the lines that were searched again because their translation had an obvious fault."""

    unit: str = "line"
    """What is counted: a line or a text."""
    lines: int = 0
    again: Counter[str] = field(default_factory=Counter)
    left: list[int] = field(default_factory=list)
    """The numbers of the lines whose fault is left."""

    def add(self, translations: "Sequence[Sequence[Translation]]") -> None:
        for number, (best, *_) in enumerate(translations, start=self.lines + 1):
            self.again.update(best.searched_again)
            if best.faults:
                self.left.append(number)
        self.lines += len(translations)

    def report(self) -> None:
        """Write the counts to stderr, unless all are zero."""
        if not self.again:
            return
        names = {"loop": "for loops", "length": "for their length", "omission": "for omissions"}
        counts = ", ".join(f"{count} {names[fault]}" for fault, count in sorted(self.again.items()))
        rest = f"; check {self.unit} {', '.join(map(str, self.left[:10]))}" + ", ..." * (len(self.left) > 10)
        logger.info("searched again: %s%s", counts, rest if self.left else "")


def build_options(options: argparse.Namespace, *, attention: bool = False) -> Options | MbrOptions:
    """Build the options of search, of sampling (--sample), or of minimum Bayes risk decoding (--mbr)."""
    search = given_fields(options, SearchOptions)
    if options.mbr:
        nbest = search.pop("nbest", 1)
        within = SearchOptions(**{**search, "beam": 1}, attention=attention)
        given = {"temperature": 0.7, **given_fields(options, SampleOptions)}
        return MbrOptions(
            sampling=SampleOptions(**given, samples=options.mbr, within=within),
            search=SearchOptions(**search, nbest=search.get("beam", SearchOptions().beam), attention=attention),
            nbest=nbest,
        )
    if not options.sample:
        return SearchOptions(**search, attention=attention)
    samples = search.pop("nbest", 1)
    within = SearchOptions(**{**search, "beam": 1}, attention=attention)
    return SampleOptions(**given_fields(options, SampleOptions), samples=samples, within=within)


def choose_format(options: argparse.Namespace) -> "Callable[[Sequence[Translation], int], str]":
    """Return the function that writes the translations of a line."""
    if options.json:
        return format_json
    return partial(format_nbest if options.nbest else format_best, alignments=options.alignments)


def format_best(translations: "Sequence[Translation]", line: int, alignments: str | None = None) -> str:  # noqa: ARG001
    """Return the best translation, and its alignment if `alignments` is words or tokens."""
    return translations[0].text + format_alignment(translations[0], alignments)


def format_nbest(translations: "Sequence[Translation]", line: int, alignments: str | None = None) -> str:
    """Format translations in the n-best format of Moses.

    Each line has the number of the input line, text and score, and the alignment if `alignments` is words or tokens.
    """
    return "\n".join(
        f"{line} ||| {translation.text} ||| {translation.score:.4f}{format_alignment(translation, alignments)}"
        for translation in translations
    )


def format_alignment(translation: "Translation", unit: str | None) -> str:
    """Format the alignment of words or tokens in Pharaoh form, with a separator before it. None writes nothing."""
    if unit is None:
        return ""
    pairs = translation.word_alignment
    if unit == "tokens":
        pairs = sorted((source, target) for target, source in enumerate(translation.alignment))
    return " ||| " + " ".join(f"{source}-{target}" for source, target in pairs)


def format_json(translations: "Sequence[Translation]", line: int) -> str:
    """Format all translations of a line as a JSON object."""
    shown: list[dict[str, Any]] = [
        {
            "text": translation.text,
            "score": round(translation.score, 6),
            "tokens": translation.tokens,
            "alignment": translation.alignment,
            "word_alignment": translation.word_alignment,
            "searched_again": translation.searched_again,
            "faults": translation.faults,
            **({"copied": translation.copied} if translation.copied else {}),
            **({"confidence": round(translation.confidence, 4)} if translation.confidence is not None else {}),
            "words": [
                {"start": word.start, "end": word.end, "confidence": round(word.confidence, 4)}
                for word in translation.words
            ],
        }
        for translation in translations
    ]
    for one, translation in zip(shown, translations, strict=True):
        if translation.terms:
            one["terms"] = [
                {"source": use.term.source, "target": use.term.target, "used": use.used} for use in translation.terms
            ]
    content = {"line": line, "source_tokens": translations[0].source_tokens, "translations": shown}
    return json.dumps(content, ensure_ascii=False)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser(NAME, "Translate lines from standard input to standard output, or a document.")
    parser.add_argument("models", metavar="MODEL", nargs="+", help=f"{MODEL_HELP}; several: an ensemble")
    add_text_options(parser)
    add_language_options(parser.add_argument_group("languages"))
    _add_document_options(parser.add_argument_group("documents, instead of lines"))
    _add_output_options(parser.add_argument_group("output, by default the best translation of each line"))
    add_search_options(parser)
    add_machine_options(parser.add_argument_group("machine"))
    options = parser.parse_args(arguments)
    if conflict := _find_conflict(options):
        parser.error(conflict)
    return options


def add_text_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that correspond to fields of `Request`, other than languages and terms."""
    parser.add_argument(
        "--split", action=argparse.BooleanOptionalAction,
        help="translate each sentence of a line separately; default: if the model was trained on single sentences",
    )  # fmt: skip
    parser.add_argument(
        "--guard", action=argparse.BooleanOptionalAction,
        help="search translations with loops again, and keep text without letters; default: models from nmt 0.3 on",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=["text", "html", "xml"], default="text",
        help="the markup of each line, whose tags are carried over (needs lxml); default: text",
    )  # fmt: skip
    parser.add_argument(
        "--numbers", choices=["keep", "locale"],
        help="how copied numbers are written: as they are, or with the separators of the target language, 1.234,5 for "
        "1,234.5; default: keep",
    )  # fmt: skip
    parser.add_argument(
        "--protect", action=argparse.BooleanOptionalAction,
        help="copy URLs, e-mail addresses, placeholders, long numbers, emoji and other things that are not words; "
        "default: yes",
    )  # fmt: skip


def add_search_options(parser: argparse.ArgumentParser, more: str = ", or --nbest N of them") -> None:
    """Add the options of search and sampling. `more` ends the help of --sample."""
    search = parser.add_argument_group("search")
    add_fields(search, SearchOptions, SEARCH)
    search.add_argument("--terms", metavar="FILE", help="glossary: source TAB target in each line, or .csv or .tbx")
    search.add_argument(
        "--mbr", type=whole_number(1, 1000), metavar="N",
        help="choose the translation that is most similar (chrF) to N samples: minimum Bayes risk",
    )  # fmt: skip
    sampling = parser.add_argument_group("sampling, instead of search or for --mbr")
    sampling.add_argument("--sample", action="store_true", help=f"draw a random translation{more}")
    add_fields(sampling, SampleOptions, SAMPLING)


def _add_document_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--file", metavar="FILE", help="translate the texts of a document, such as .docx or .html")
    group.add_argument("--output", metavar="FILE", help="the translated document, in the same format")
    group.add_argument(
        "--retranslate", action="store_true",
        help="also translate what has a translation already, in .po, .xliff and .tmx",
    )  # fmt: skip
    group.add_argument(
        "--keys", nargs="+", metavar="KEY",
        help="in .json, translate only the values of these keys, or paths like a.*.b",
    )  # fmt: skip


def _add_output_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--nbest", type=whole_number(1, MAX_ROWS_PER_SENTENCE), metavar="N", help="the N best: line ||| text ||| score"
    )
    group.add_argument(
        "--json", action="store_true", help="a JSON object for each line: texts, scores, tokens, alignments"
    )
    group.add_argument(
        "--alignments", nargs="?", const="words", choices=["words", "tokens"],
        help="add ||| and pairs of aligned words, such as 0-0 1-2: source and translation, from 0; or of tokens",
    )  # fmt: skip


def _find_conflict(options: argparse.Namespace) -> str | None:
    """Return the first fault in the combination of options, or None."""
    document, markup = bool(options.file), options.format != "text"
    conflicts = (
        (
            document != bool(options.output),
            "--file and --output belong together; give both, or neither to translate lines",
        ),
        (
            not document and (options.retranslate or options.keys),
            "--retranslate and --keys are for documents; add --file, or leave them out",
        ),
        (
            document and (options.json or options.nbest or markup),
            "--json, --nbest and --format are for lines; leave them out, or leave out --file",
        ),
        (
            options.alignments and (document or markup),
            "--alignments is for lines of plain text; leave it out, or leave out --file and --format",
        ),
    )
    return next((message for found, message in conflicts if found), None) or find_search_conflict(options)


def find_search_conflict(options: argparse.Namespace) -> str | None:
    """Return the first fault in the combination of the options of text, search and sampling, or None."""
    sampling = [f"--{name.replace('_', '-')}" for name in SAMPLING if getattr(options, name) is not None]
    samples = options.sample or options.mbr
    conflicts = (
        (options.sample and options.beam, "--beam is for search; leave it out, or leave out --sample"),
        (options.terms and samples, "--terms is for search; leave it out, or leave out --sample and --mbr"),
        (
            options.numbers == "locale" and options.protect is False,
            "--numbers locale: only for copied numbers; leave out --no-protect",
        ),
        (options.sample and options.mbr, "--sample: not with --mbr, which draws samples itself; leave one out"),
        (sampling and not samples, f"{' and '.join(sampling)}: only with --sample or --mbr; add one of them"),
    )
    return next((message for found, message in conflicts if found), None)


if __name__ == "__main__":
    sys.exit(main())
