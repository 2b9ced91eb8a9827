"""The command nmt-evaluate, which scores the translations of a model, or finished translations in a file."""

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.arguments import (
    add_fields,
    add_language_options,
    add_machine_options,
    build_parser,
    given_fields,
    load_translator,
)
from nmt.commands.process import print_result, run, startup
from nmt.data.text_files import read_lines
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import DEFAULT_METRICS, METRICS, build_metric
from nmt.search.options import SearchOptions
from nmt.system.files import write_whole

if TYPE_CHECKING:
    from nmt.evaluation.scores import Evaluation, Score
    from nmt.translation.request import Translation

NAME = "nmt-evaluate"
SIGNIFICANT = 0.05
SEARCH = {"beam": "K", "length_penalty": "A", "coverage_penalty": "B"}
# Options that need MODEL and cannot be used with --hypothesis.
ONLY_MODELS = ("tag", *SEARCH, "precision", "shortlist", "batch_size", "threads", "device")

Text = tuple[str, list[str]]  # the name of a text in messages, and its lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the translations of a model, or finished translations in a file."""
    options = _parse(arguments)

    def body() -> None:
        with startup():
            from nmt.evaluation.scores import check_lengths, evaluate

        source, references = _read_test_set(options)
        hypotheses = _read(options.hypothesis) if options.hypothesis else None
        baseline = _read(options.baseline) if options.baseline else None
        check_lengths([text for text in (hypotheses or source, *references, baseline, source) if text])
        counted = _read(options.frequencies) if options.frequencies else None
        if options.report:
            from nmt.evaluation.report.build import ReportInputs, build_report
            from nmt.evaluation.report.history import read_history
            from nmt.evaluation.report.page import prepare, write_page

            prepare(options.report)
        language = (options.language_pair or "").partition("-")[2] or (options.to if hypotheses else None) or ""
        translations: list[Translation] = []
        tags: tuple[str, ...] = ()
        if hypotheses:
            lines = hypotheses[1]
        else:
            translations, language, tags = _translate(options, source[1] if source else [], language)
            lines = [translation.text for translation in translations]
        sets = [reference for _, reference in references]
        evaluation = evaluate(
            lines,
            sets,
            baseline=baseline[1] if baseline else None,
            source=source[1] if source else None,
            metrics=options.metrics,
            target_language=language,
            tokenize=options.tokenize,
            lowercase=options.lowercase,
        )
        if options.report:
            inputs = ReportInputs(
                evaluation=evaluation,
                hypotheses=lines,
                references=sets,
                scoring=_scoring(options, language),
                source=source[1] if source else None,
                translations=translations,
                tags=tags,
                frequency_text=counted,
                histories=[history for folder in options.models if (history := read_history(Path(folder)))],
            )
            write_page(options.report, build_report(inputs))
        print_result(json.dumps(dataclasses.asdict(evaluation)) if options.json else format_table(evaluation))

    return run(NAME, body)


def _read_test_set(options: argparse.Namespace) -> tuple[Text | None, list[Text]]:
    """Read the source text, or None if no source is given, and the sets of references."""
    if not options.test_set:
        return _read(options.source) if options.source else None, [_read(path) for path in options.reference]
    from nmt.evaluation.test_sets import read_test_set

    source, sets = read_test_set(options.test_set, options.language_pair)
    references = [(f"{options.test_set}, references {number}", lines) for number, lines in enumerate(sets, start=1)]
    return (f"{options.test_set}, source", source), references


def _scoring(options: argparse.Namespace, language: str) -> Scoring:
    return Scoring(target_language=language, tokenize=options.tokenize, lowercase=options.lowercase)


def _read(path: str) -> Text:
    return path, list(read_lines(path))


def _translate(
    options: argparse.Namespace, source: list[str], language: str
) -> "tuple[list[Translation], str, tuple[str, ...]]":
    """Translate the source text with the models.

    Returns:
        The translations, the target language, and the tags of the model. The target language is `language`, or the
        language of the model if `language` is empty.
    """
    with startup():
        translator = load_translator(options)
    with contextlib.closing(translator):
        to = options.to or (language if language in translator.data.target_languages else None)
        language = language or translator.target_language(to)
        for name in options.metrics:  # report a missing package of a metric before the long wait
            build_metric(name, _scoring(options, language))
        search = SearchOptions(**given_fields(options, SearchOptions), attention=options.report is not None)
        translations = [best[0] for best in translator.nbest(source, search, to=to, tag=options.tag)]
    if options.output:
        write_whole(options.output, "".join(f"{translation.text}\n" for translation in translations))
    return translations, language, translator.data.tags


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser(NAME, "Score translations: BLEU, chrF and TER with 95 % confidence intervals.")
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="model folder, or output folder of nmt-train; several: an ensemble"
    )
    files = parser.add_argument_group("texts, one sentence per line, plain, .gz, .zst or .xz")
    files.add_argument("--source", metavar="FILE", help="text that MODEL translates")
    files.add_argument("--hypothesis", metavar="FILE", help="finished translations, instead of MODEL")
    files.add_argument(
        "--reference",
        nargs="+",
        metavar="FILE",
        default=[],
        help="human translations; each file is a set of references",
    )
    files.add_argument("--baseline", metavar="FILE", help="other translations, to test the difference for significance")
    files.add_argument(
        "--test-set", metavar="NAME", help="source and references of a test set of sacreBLEU, such as wmt17"
    )
    files.add_argument(
        "--language-pair", metavar="en-de", help="languages of the test set; the target chooses BLEU's tokenizer too"
    )
    files.add_argument("--output", metavar="FILE", help="write the translations of MODEL to this file")
    files.add_argument("--report", metavar="DIR", help="write a report with figures and plots to DIR/index.html")
    files.add_argument("--frequencies", metavar="FILE", help="text in which the report counts word frequencies")
    scoring = parser.add_argument_group("scoring")
    scoring.add_argument(
        "--metrics",
        nargs="+",
        choices=METRICS,
        default=DEFAULT_METRICS,
        help=f"any of {', '.join(METRICS)}; default: {' '.join(DEFAULT_METRICS)}",
    )
    scoring.add_argument("--tokenize", metavar="NAME", help="tokenizer for BLEU, such as 13a, zh, char or flores200")
    scoring.add_argument("--lowercase", action="store_true", help="ignore case")
    scoring.add_argument("--json", action="store_true", help="print one JSON object")
    search = parser.add_argument_group("translation, as in nmt-translate")
    add_fields(search, SearchOptions, SEARCH)
    add_language_options(search)
    add_machine_options(search)
    options = parser.parse_args(arguments)
    given = [name for name in ONLY_MODELS if getattr(options, name) != parser.get_default(name)]
    for fault in _find_faults(options, given):
        parser.error(fault)
    return options


def _find_faults(options: argparse.Namespace, only_models: Sequence[str]) -> list[str]:
    """Find contradictions between options, which argparse does not find.

    Args:
        options: the parsed options.
        only_models: the options of ONLY_MODELS that are given.

    Returns:
        A message for each contradiction. The most serious contradictions come first.
    """
    flags = ["--no-shortlist" if name == "shortlist" else f"--{name.replace('_', '-')}" for name in only_models]
    needs_source = any(METRICS[name].needs_source for name in options.metrics)
    both_or_none = bool(options.models) == bool(options.hypothesis)
    rules = {
        "give either MODEL (before --reference, which takes all names after it) or --hypothesis": both_or_none,
        "give either --reference or --test-set": bool(options.reference) == bool(options.test_set),
        "--test-set needs --language-pair": bool(options.test_set) and not options.language_pair,
        "--language-pair is written en-de": bool(options.language_pair) and "-" not in options.language_pair,
        "MODEL needs --source or --test-set": bool(options.models) and not (options.source or options.test_set),
        "--source is for MODEL and --reference only": bool(options.source)
        and (bool(options.test_set) or (bool(options.hypothesis) and not needs_source)),
        "--output is for MODEL only": bool(options.output) and not options.models,
        f"{' and '.join(flags)}: for MODEL only": bool(flags) and not options.models,
        f"--output {options.output}: the folder does not exist; make it, or name another one": bool(options.output)
        and not Path(options.output).resolve().parent.is_dir(),
        "--frequencies is for --report only": bool(options.frequencies) and not options.report,
    }
    return [fault for fault, broken in rules.items() if broken]


def format_table(evaluation: "Evaluation") -> str:
    """Format scores as a table, followed by their signatures."""
    compared = any(score.difference for score in evaluation.scores)
    width = max(6, *(len(score.name) for score in evaluation.scores))
    heading = f"{'':{width}}{'score':>8}  {'95 % interval':16}" + (f"{'baseline':>9}  p" if compared else "")
    references = "1 reference" if evaluation.references == 1 else f"{evaluation.references} references"
    summary = f"{evaluation.sentences} sentences, {references} each"
    lines = [summary, "", heading.rstrip(), *(_format_row(score, width) for score in evaluation.scores), ""]
    if compared:
        lines += [f"* differs significantly from the baseline (paired bootstrap, p < {SIGNIFICANT})", ""]
    return "\n".join([*lines, *(f"{score.name:{width}}  {score.signature}" for score in evaluation.scores)])


def _format_row(score: "Score", width: int) -> str:
    row = f"{score.name:{width}}{score.score:8.2f}  {f'{score.mean:.2f} ± {score.margin:.2f}':16}"
    if score.difference:
        star = " *" if score.difference.p_value < SIGNIFICANT else ""
        row += f"{score.difference.baseline:9.2f}  {score.difference.p_value:.4f}{star}"
    return row.rstrip()


if __name__ == "__main__":
    sys.exit(main())
