"""nmt-evaluate: translate a test set, or take translations, and score them."""

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nmt.commands.base import (
    add_language_options,
    add_machine_options,
    load_translator,
    number,
    parser,
    run,
    whole_number,
)
from nmt.files import read_lines, write_whole

if TYPE_CHECKING:
    from nmt.evaluate import Evaluation, Score

NAME = "nmt-evaluate"
METRICS = ("bleu", "chrf", "ter")  # those of nmt/evaluate.py, which --help does not wait for
SIGNIFICANT = 0.05

Text = tuple[str, list[str]]  # a name for messages, and the lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the translations of models, or those in a file."""
    options = _options(arguments)

    def body() -> None:
        from nmt.evaluate import check_lengths, evaluate

        source, references = _source_and_references(options)
        hypotheses = _read(options.hypothesis) if options.hypothesis else None
        baseline = _read(options.baseline) if options.baseline else None
        check_lengths([text for text in (hypotheses or source, *references, baseline) if text])
        language = (options.language_pair or "").partition("-")[2]
        scoring = {"metrics": options.metrics, "tokenize": options.tokenize, "lowercase": options.lowercase}
        if hypotheses:
            lines = hypotheses[1]
        else:
            lines, language = _translate(options, source[1] if source else [], language, scoring)
        evaluation = evaluate(
            lines,
            [reference for _, reference in references],
            baseline=baseline[1] if baseline else None,
            target_language=language,
            **scoring,
        )
        print(json.dumps(dataclasses.asdict(evaluation)) if options.json else table(evaluation))

    return run(NAME, body)


def _source_and_references(options: argparse.Namespace) -> tuple[Text | None, list[Text]]:
    if not options.test_set:
        return _read(options.source) if options.source else None, [_read(path) for path in options.reference]
    from nmt.evaluate import read_test_set

    source, sets = read_test_set(options.test_set, options.language_pair)
    references = [(f"{options.test_set}, references {number}", lines) for number, lines in enumerate(sets, start=1)]
    return (f"{options.test_set}, source", source), references


def _read(path: str) -> Text:
    return path, list(read_lines(path))


def _translate(
    options: argparse.Namespace, source: list[str], language: str, scoring: dict[str, Any]
) -> tuple[list[str], str]:
    """The models' translations, and the target language: `language`, or where that is empty the models'."""
    from nmt.evaluate import build_metrics
    from nmt.search.options import SearchOptions

    translator = load_translator(options)
    with contextlib.closing(translator):
        to = options.to or (language if language in translator.data.target_languages else None)
        language = language or translator.target(to)
        build_metrics(target_language=language, **scoring)  # if they lack something, say so before the long wait
        search = SearchOptions(
            beam=options.beam, length_penalty=options.length_penalty, coverage_penalty=options.coverage_penalty
        )
        lines = translator.translate(source, search, to=to, tag=options.tag)
    if options.output:
        write_whole(options.output, "".join(f"{line}\n" for line in lines))
    return lines, language


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    result = parser(NAME, "Score translations: BLEU, chrF and TER with 95 % confidence intervals.")
    result.add_argument("models", nargs="*", metavar="MODEL", help="model or output folder; several are one ensemble")
    files = result.add_argument_group("texts, one sentence per line, plain, .gz or .zst")
    files.add_argument("--source", metavar="FILE", help="what MODEL translates")
    files.add_argument("--hypothesis", metavar="FILE", help="finished translations, instead of MODEL")
    files.add_argument("--reference", nargs="+", metavar="FILE", default=[], help="one reference set per file")
    files.add_argument("--baseline", metavar="FILE", help="translations to test the difference against")
    files.add_argument("--test-set", metavar="NAME", help="sacrebleu's, such as wmt17: source and references")
    files.add_argument("--language-pair", metavar="en-de", help="of the test set; its target chooses the tokenizer too")
    files.add_argument("--output", metavar="FILE", help="write the translations there")
    scoring = result.add_argument_group("scoring")
    scoring.add_argument("--metrics", nargs="+", choices=METRICS, default=METRICS, help="default: all")
    scoring.add_argument("--tokenize", metavar="NAME", help="BLEU tokenizer, such as 13a, zh, char, flores200")
    scoring.add_argument("--lowercase", action="store_true", help="ignore case")
    scoring.add_argument("--json", action="store_true", help="print one JSON object")
    search = result.add_argument_group("translation, as with nmt-translate")
    search.add_argument("--beam", type=whole_number(1), default=5, metavar="K", help="default: 5; 1 is greedy")
    search.add_argument("--length-penalty", type=number(0), default=1.0, metavar="A", help="default: 1")
    search.add_argument("--coverage-penalty", type=number(0), default=0.0, metavar="B", help="default: 0")
    add_language_options(search)
    add_machine_options(search)
    options = result.parse_args(arguments)
    for fault in _faults(options):
        result.error(fault)
    return options


def _faults(options: argparse.Namespace) -> list[str]:
    """What the parser alone does not see, worst first."""
    rules = {
        "give MODEL or --hypothesis, one of them": bool(options.models) == bool(options.hypothesis),
        "give --reference or --test-set, one of them": bool(options.reference) == bool(options.test_set),
        "--test-set needs --language-pair": bool(options.test_set) and not options.language_pair,
        "--language-pair is written en-de": bool(options.language_pair) and "-" not in options.language_pair,
        "MODEL needs --source or --test-set": bool(options.models) and not (options.source or options.test_set),
        "--source is for MODEL and --reference only": bool(options.source)
        and bool(options.hypothesis or options.test_set),
        "--output is for MODEL only": bool(options.output) and not options.models,
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
