"""nmt-evaluate: translate a test set, or take translations, and score them."""

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.base import (
    add_fields,
    add_language_options,
    add_machine_options,
    given_fields,
    lasting,
    load_translator,
    parser,
    run,
    say,
)
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
FOR_MODELS = (
    "tag", *SEARCH, "precision", "shortlist", "batch_size", "threads", "device",
)  # fmt: skip

Text = tuple[str, list[str]]  # a name for messages, and the lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the translations of models, or those in a file."""
    options = _options(arguments)

    def body() -> None:
        with lasting():
            from nmt.evaluation.scores import check_lengths, evaluate

        source, references = _source_and_references(options)
        hypotheses = _read(options.hypothesis) if options.hypothesis else None
        baseline = _read(options.baseline) if options.baseline else None
        check_lengths([text for text in (hypotheses or source, *references, baseline) if text])
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
            sources=source[1] if source else None,
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
        say(json.dumps(dataclasses.asdict(evaluation)) if options.json else table(evaluation))

    return run(NAME, body)


def _source_and_references(options: argparse.Namespace) -> tuple[Text | None, list[Text]]:
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
    """The models' translations, the target language (`language`, or where that is empty the models'), and their tags."""
    with lasting():
        translator = load_translator(options)
    with contextlib.closing(translator):
        to = options.to or (language if language in translator.data.target_languages else None)
        language = language or translator.target_language(to)
        for name in options.metrics:  # if a metric lacks something, say so before the long wait
            build_metric(name, _scoring(options, language))
        search = SearchOptions(**given_fields(options, SearchOptions), attention=options.report is not None)
        translations = [best[0] for best in translator.nbest(source, search, to=to, tag=options.tag)]
    if options.output:
        write_whole(options.output, "".join(f"{translation.text}\n" for translation in translations))
    return translations, language, translator.data.tags


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    result = parser(NAME, "Score translations: BLEU, chrF and TER with 95 % confidence intervals.")
    result.add_argument("models", nargs="*", metavar="MODEL", help="model or output folder; several are one ensemble")
    files = result.add_argument_group("texts, one sentence per line, plain, .gz, .zst or .xz")
    files.add_argument("--source", metavar="FILE", help="what MODEL translates")
    files.add_argument("--hypothesis", metavar="FILE", help="finished translations, instead of MODEL")
    files.add_argument("--reference", nargs="+", metavar="FILE", default=[], help="one reference set per file")
    files.add_argument("--baseline", metavar="FILE", help="translations to test the difference against")
    files.add_argument("--test-set", metavar="NAME", help="sacrebleu's, such as wmt17: source and references")
    files.add_argument("--language-pair", metavar="en-de", help="of the test set; its target chooses the tokenizer too")
    files.add_argument("--output", metavar="FILE", help="write the translations there")
    files.add_argument("--report", metavar="DIR", help="write a page of figures and drawings there: DIR/index.html")
    files.add_argument("--frequencies", metavar="FILE", help="the report counts how frequent words are in this text")
    scoring = result.add_argument_group("scoring")
    scoring.add_argument(
        "--metrics",
        nargs="+",
        choices=METRICS,
        default=DEFAULT_METRICS,
        help=f"any of {', '.join(METRICS)}; default: {' '.join(DEFAULT_METRICS)}",
    )
    scoring.add_argument("--tokenize", metavar="NAME", help="BLEU tokenizer, such as 13a, zh, char, flores200")
    scoring.add_argument("--lowercase", action="store_true", help="ignore case")
    scoring.add_argument("--json", action="store_true", help="print one JSON object")
    search = result.add_argument_group("translation, as with nmt-translate")
    add_fields(search, SearchOptions, SEARCH)
    add_language_options(search)
    add_machine_options(search)
    options = result.parse_args(arguments)
    unused = [name for name in FOR_MODELS if getattr(options, name) != result.get_default(name)]
    for fault in _faults(options, unused):
        result.error(fault)
    return options


def _faults(options: argparse.Namespace, set_for_models: Sequence[str]) -> list[str]:
    """What the parser alone does not see, worst first."""
    named = " and ".join("--no-shortlist" if name == "shortlist" else f"--{name}" for name in set_for_models)
    both_or_none = bool(options.models) == bool(options.hypothesis)
    rules = {
        "give MODEL (before --reference, which takes all names after it) or --hypothesis, one of them": both_or_none,
        "give --reference or --test-set, one of them": bool(options.reference) == bool(options.test_set),
        "--test-set needs --language-pair": bool(options.test_set) and not options.language_pair,
        "--language-pair is written en-de": bool(options.language_pair) and "-" not in options.language_pair,
        "MODEL needs --source or --test-set": bool(options.models) and not (options.source or options.test_set),
        "--source is for MODEL and --reference only": bool(options.source)
        and bool(options.hypothesis or options.test_set),
        "--output is for MODEL only": bool(options.output) and not options.models,
        f"{named.replace('_', '-')}: for MODEL only": bool(named) and not options.models,
        f"--output {options.output}: there is no such folder; make it, or name another place": bool(options.output)
        and not Path(options.output).resolve().parent.is_dir(),
        "--frequencies is for --report only": bool(options.frequencies) and not options.report,
    }
    return [fault for fault, broken in rules.items() if broken]


def table(evaluation: "Evaluation") -> str:
    """For people: the scores, then the signatures."""
    compared = any(score.difference for score in evaluation.scores)
    heading = f"{'':6}{'score':>8}  {'95 % interval':16}" + (f"{'baseline':>9}  p" if compared else "")
    lines = [_summary(evaluation), "", heading.rstrip(), *map(_row, evaluation.scores), ""]
    if compared:
        lines += [f"* differs significantly from the baseline (paired bootstrap, p < {SIGNIFICANT})", ""]
    return "\n".join([*lines, *(f"{score.name:6}  {score.signature}" for score in evaluation.scores)])


def _summary(evaluation: "Evaluation") -> str:
    references = "1 reference" if evaluation.references == 1 else f"{evaluation.references} references"
    return f"{evaluation.sentences} sentences, {references} each"


def _row(score: "Score") -> str:
    row = f"{score.name:6}{score.score:8.2f}  {f'{score.mean:.2f} ± {score.margin:.2f}':16}"
    if score.difference:
        star = " *" if score.difference.p_value < SIGNIFICANT else ""
        row += f"{score.difference.baseline:9.2f}  {score.difference.p_value:.4f}{star}"
    return row.rstrip()


if __name__ == "__main__":
    sys.exit(main())
