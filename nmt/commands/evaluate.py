"""nmt-evaluate MODEL [MODEL ...] --source FILE --reference FILE, or --hypothesis FILE --reference FILE, or --set"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.arguments import (
    MODEL_HELP,
    add_fields,
    add_language_options,
    add_machine_options,
    build_parser,
    given_fields,
    load_translator,
)
from nmt.commands.process import print_result, run, startup
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import DEFAULT_METRICS, METRICS, build_metric
from nmt.search.options import SearchOptions
from nmt.system.files import write_whole

if TYPE_CHECKING:
    from nmt.evaluation.scores import Evaluation
    from nmt.evaluation.sets import SetScores
    from nmt.evaluation.test_sets import Texts
    from nmt.translation.request import Translation
    from nmt.translation.translator import Translator

NAME = "nmt-evaluate"
SIGNIFICANT = 0.05
SEARCH = {"beam": "K", "length_penalty": "A", "coverage_penalty": "B"}
# Options for MODEL, which cannot be used with --hypothesis.
ONLY_MODELS = ("tag", *SEARCH, "precision", "shortlist", "batch_size", "threads", "device")


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the translations of a model, or finished translations in a file."""
    options = _parse(arguments)

    def body() -> None:
        with startup():
            from nmt.evaluation.scores import evaluate
            from nmt.evaluation.test_sets import Texts

        if options.sets:
            _compare_sets(options)
            return
        texts = Texts.read(
            source=options.source,
            references=options.reference,
            hypotheses=options.hypothesis,
            baseline=options.baseline,
            frequencies=options.frequencies,
            test_set=options.test_set,
            language_pair=options.language_pair,
        )
        if options.report:
            from nmt.evaluation.report.page import prepare_folder

            prepare_folder(options.report)
        if texts.hypotheses:
            language = _named_target(options) or options.to or ""
            output = Output(hypotheses=texts.hypotheses.lines, target_language=language)
        else:
            assert texts.source is not None
            output = _translate(options, _load(options), texts.source.lines)
        evaluation = evaluate(
            output.hypotheses,
            texts.reference_sets,
            baseline=texts.baseline and texts.baseline.lines,
            source=texts.source and texts.source.lines,
            metrics=options.metrics,
            target_language=output.target_language,
            tokenize=options.tokenize,
            lowercase=options.lowercase,
        )
        if options.report:
            _write_report(options, texts, output, evaluation)
        print_result(json.dumps(dataclasses.asdict(evaluation)) if options.json else format_table(evaluation))

    return run(NAME, body, lower="--batch-size, --beam or --threads")


@dataclass(frozen=True, kw_only=True)
class Output:
    """The translations to score."""

    hypotheses: list[str]
    target_language: str
    """The target language, which determines the tokenizers of metrics. It is an empty string if it is not known."""
    translations: "Sequence[Translation]" = ()
    """The translations with their attention. There are none if the hypotheses come from a file."""
    tags: tuple[str, ...] = ()
    """The tags of the models."""


def _load(options: argparse.Namespace) -> "Translator":
    """Load the models, and check that the metrics can be computed."""
    with startup():
        translator = load_translator(options)
    for name in options.metrics:  # report a missing package of a metric before translation, which can take long
        build_metric(name, _scoring(options, _choose_target(options, translator)[1]))
    return translator


def _choose_target(options: argparse.Namespace, translator: "Translator") -> tuple[str | None, str]:
    """Return the target language that the translator needs, and the one by which metrics choose a tokenizer."""
    named = _named_target(options)
    to = options.to or (named if named in translator.data.target_languages else None)
    return to, named or translator.target_language(to)


def _translate(options: argparse.Namespace, translator: "Translator", lines: Sequence[str]) -> Output:
    """Translate a text with the models."""
    to, language = _choose_target(options, translator)
    search = SearchOptions(**given_fields(options, SearchOptions), attention=options.report is not None)
    translations = [best[0] for best in translator.nbest(lines, search, to=to, tag=options.tag)]
    hypotheses = [translation.text for translation in translations]
    if options.output:
        write_whole(options.output, "".join(f"{line}\n" for line in hypotheses))
    return Output(hypotheses=hypotheses, target_language=language, translations=translations, tags=translator.data.tags)


def _compare_sets(options: argparse.Namespace) -> None:
    """Translate and score several sets, and print their scores side by side."""
    from nmt.checkpoint.training_text import load_known_words
    from nmt.evaluation.scores import evaluate
    from nmt.evaluation.sets import describe_set, read_sets
    from nmt.evaluation.test_sets import Texts

    sets = read_sets(options.sets)
    if options.report:
        from nmt.evaluation.report.page import prepare_folder

        prepare_folder(options.report)
    translator, known = _load(options), load_known_words(options.models[0])
    found = []
    for each in sets:
        output = _translate(options, translator, each.source.lines)
        evaluation = evaluate(
            output.hypotheses,
            [each.reference.lines],
            source=each.source.lines,
            metrics=options.metrics,
            target_language=output.target_language,
            tokenize=options.tokenize,
            lowercase=options.lowercase,
        )
        scores = describe_set(
            each,
            evaluation,
            output.hypotheses,
            scoring=_scoring(options, output.target_language),
            known=known,
            source_language=translator.data.source_language,
            normalizer=translator.tokenizers.normalizers.source,
        )
        found.append(scores)
        if options.report:
            texts = Texts(
                source=each.source, references=[each.reference], hypotheses=None, baseline=None, frequencies=None
            )
            _write_report(options, texts, output, evaluation, f"set-{each.name}.html")
    if options.report:
        from nmt.evaluation.report.page import write_sets

        write_sets(options.report, found)
    if options.json:
        print_result(json.dumps([dataclasses.asdict(scores) for scores in found]))
    else:
        print_result(format_sets(found))


def _write_report(
    options: argparse.Namespace, texts: "Texts", output: Output, evaluation: "Evaluation", name: str = "index.html"
) -> None:
    from nmt.evaluation.report.build import ReportInputs, build_report
    from nmt.evaluation.report.history import read_history
    from nmt.evaluation.report.page import write_page

    inputs = ReportInputs(
        evaluation=evaluation,
        hypotheses=output.hypotheses,
        references=texts.reference_sets,
        scoring=_scoring(options, output.target_language),
        source=texts.source and texts.source.lines,
        translations=output.translations,
        target_language=output.target_language,
        tags=output.tags,
        frequency_text=texts.frequencies,
        histories=[history for folder in options.models if (history := read_history(Path(folder)))],
    )
    write_page(options.report, build_report(inputs), name)


def _named_target(options: argparse.Namespace) -> str:
    """Return the target language of --language-pair, or an empty string if the option is not given."""
    return (options.language_pair or "").partition("-")[2]


def _scoring(options: argparse.Namespace, language: str) -> Scoring:
    return Scoring(target_language=language, tokenize=options.tokenize, lowercase=options.lowercase)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser(NAME, "Score translations: BLEU, chrF and TER with 95 % confidence intervals.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{MODEL_HELP}; several: an ensemble")
    files = parser.add_argument_group("texts, one sentence per line, plain, .gz, .zst, .xz or .bz2")
    files.add_argument("--source", metavar="FILE", help="text that MODEL translates")
    files.add_argument(
        "--hypothesis", metavar="FILE", help="finished translations, instead of MODEL; - is standard input"
    )
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
    files.add_argument(
        "--set",
        dest="sets",
        action="append",
        metavar="NAME=SOURCE,REFERENCE",
        help="a set that MODEL translates; give several to compare them side by side",
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
    """Find contradictions between options. argparse itself does not find them.

    Args:
        options: the parsed options.
        only_models: those options of ONLY_MODELS that are given.

    Returns:
        A message for each contradiction. The most serious contradiction comes first.
    """
    flags = ["--no-shortlist" if name == "shortlist" else f"--{name.replace('_', '-')}" for name in only_models]
    needs_source = any(METRICS[name].needs_source for name in options.metrics)
    both_or_none = bool(options.models) == bool(options.hypothesis)
    paths = [options.source, options.hypothesis, *options.reference, options.baseline, options.frequencies]
    rules = {
        "give either MODEL (before --reference, which takes all names after it) or --hypothesis": both_or_none,
        "--set is for MODEL, without --source, --reference, --test-set, --baseline, --output and --frequencies": bool(
            options.sets
        )
        and (options.hypothesis is not None or any([*paths, options.test_set, options.output]) or not options.models),
        "give either --reference, --test-set or --set": not options.sets
        and bool(options.reference) == bool(options.test_set),
        "--test-set needs --language-pair": bool(options.test_set) and not options.language_pair,
        "--language-pair is written en-de": bool(options.language_pair) and "-" not in options.language_pair,
        "MODEL needs --source, --test-set or --set": bool(options.models)
        and not (options.source or options.test_set or options.sets),
        "--source is for MODEL and --reference only": bool(options.source)
        and (bool(options.test_set) or (bool(options.hypothesis) and not needs_source)),
        "--output is for MODEL only": bool(options.output) and not options.models,
        f"{' and '.join(flags)}: for MODEL only": bool(flags) and not options.models,
        f"--output {options.output}: the folder does not exist; make it, or name another one": bool(options.output)
        and not Path(options.output).resolve().parent.is_dir(),
        "only one of the files can be standard input (-)": paths.count("-") > 1,
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
    lines = [summary, "", heading.rstrip()]
    for score in evaluation.scores:
        row = f"{score.name:{width}}{score.score:8.2f}  {f'{score.mean:.2f} ± {score.margin:.2f}':16}"
        if score.difference:
            star = " *" if score.difference.p_value < SIGNIFICANT else ""
            row += f"{score.difference.baseline:9.2f}  {score.difference.p_value:.4f}{star}"
        lines.append(row.rstrip())
    lines.append("")
    if compared:
        lines += [f"* differs significantly from the baseline (paired bootstrap, p < {SIGNIFICANT})", ""]
    return "\n".join([*lines, *(f"{score.name:{width}}  {score.signature}" for score in evaluation.scores)])


def format_sets(sets: Sequence["SetScores"]) -> str:
    """Format the scores of several sets as a table, followed by their signatures."""
    names = [score.name for score in sets[0].evaluation.scores]
    rows = [["set", "lines", "unseen words", "length", *names]]
    for each in sets:
        unseen = "not known" if each.unseen is None else f"{100 * each.unseen:.1f} %"
        scores = [f"{score.score:.2f}" for score in each.evaluation.scores]
        rows.append([each.name, str(each.evaluation.sentences), unseen, f"{each.length_ratio:.3f}", *scores])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    width = max(6, *map(len, names))
    return "\n".join([*lines, "", *(f"{score.name:{width}}  {score.signature}" for score in sets[0].evaluation.scores)])


if __name__ == "__main__":
    sys.exit(main())
