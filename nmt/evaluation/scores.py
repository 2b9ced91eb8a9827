"""Scores of translations: BLEU, chrF and TER, each with its signature and its uncertainty, all computed by sacrebleu.

BLEU: Papineni et al. 2002; chrF: Popović 2015; TER: Snover et al. 2006; sacrebleu: Post 2018; bootstrap: Koehn 2004.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from sacrebleu import BLEU, CHRF, DATASETS, TER, get_reference_files, get_source_file
from sacrebleu.metrics.base import Metric
from sacrebleu.significance import PairedTest, Result

from nmt.config.languages import SCORED_BY_CHARACTERS, language_code
from nmt.data.text_files import read_lines
from nmt.errors import ConfigError, DataError, MachineError
from nmt.system.files import reason

METRICS = ("bleu", "chrf", "ter")
_UNSPACED = ("zh", "ja")  # languages written without spaces: TER counts characters there, as words it would see none


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a score compares with a baseline's on the same sentences."""

    baseline: float
    """The baseline's score."""
    p_value: float
    """Of the paired bootstrap test, two-sided: how often chance alone gives such a difference. 1 for equal scores."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric's judgement of one set of translations."""

    name: str
    """As sacrebleu calls it: BLEU, chrF2 or TER. For TER less is better."""
    score: float
    """From 0 to 100; TER can exceed 100."""
    mean: float
    """Mean over the bootstrap's resamples."""
    margin: float
    """Half the width of the 95 % confidence interval: the score lies in `mean` ± `margin`."""
    signature: str
    """sacrebleu's: everything another needs to compute the same figure."""
    difference: Difference | None = None
    """Only with a baseline."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All scores of one set of translations."""

    sentences: int
    references: int
    """References per sentence."""
    scores: tuple[Score, ...]


def evaluate(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    metrics: Sequence[str] = METRICS,
    baseline: Sequence[str] | None = None,
    target_language: str = "",
    tokenize: str | None = None,
    lowercase: bool = False,
) -> Evaluation:
    """Score translations, plain text as a reader would see it (not tokenised).

    Every figure equals that of sacrebleu's own command: 1,000 bootstrap resamples, seed 12345. sacrebleu resamples in
    memory, about 0.1 MB for each sentence.

    Args:
        hypotheses: one translation per sentence.
        references: one or more sets of references, each as long as `hypotheses`.
        metrics: any of `METRICS`.
        baseline: another system's translations of the same sentences, to test the differences for significance.
        target_language: its code. BLEU has special tokenizers for zh, ja and ko; TER counts characters in zh and ja.
        tokenize: sacrebleu's BLEU tokenizer, whatever the language.
        lowercase: ignore case. sacrebleu's TER always does.

    Raises:
        DataError: nothing to score, or numbers of lines differ.
        MachineError: the BLEU tokenizer needs a package or a file that is not there.
        ConfigError: no such metric or tokenizer.
    """
    if not references:
        raise DataError("no references; give at least one set of them")
    systems = [("hypotheses", hypotheses)] if baseline is None else [("baseline", baseline), ("hypotheses", hypotheses)]
    check_lengths([*systems[::-1], *((f"references {n}", lines) for n, lines in enumerate(references, start=1))])
    built = build_metrics(metrics, target_language=target_language, tokenize=tokenize, lowercase=lowercase)
    signatures, results = PairedTest(systems, built, references, test_type="bs")()
    scores = [_score(name, str(signature), cast(list[Result], results[name])) for name, signature in signatures.items()]
    return Evaluation(sentences=len(hypotheses), references=len(references), scores=tuple(scores))


def build_metrics(
    metrics: Sequence[str] = METRICS, *, target_language: str = "", tokenize: str | None = None, lowercase: bool = False
) -> dict[str, Metric]:
    """sacrebleu's metrics by name, each once. Arguments and errors as for `evaluate`, which calls this."""
    return {name: _metric(name, target_language, tokenize, lowercase) for name in dict.fromkeys(metrics)}


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]], target_language: str = "") -> float:
    """The BLEU score alone, without resampling: for validation during training.

    Japanese and Korean are scored by characters, since sacrebleu's tokenizers for them need packages of their own, and so are
    Thai, Lao, Khmer and Burmese, which are written without spaces and for which it has none.
    """
    tokenize = _validation_tokenizer(target_language)
    return float(_bleu(target_language, tokenize, False).corpus_score(hypotheses, references).score)


def chrf(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """The chrF2 score alone, without resampling: for validation during training."""
    return float(CHRF().corpus_score(hypotheses, references).score)


def sentence_cost(metric: str, target_language: str = "") -> Callable[[str, str], float]:
    """A function of a translation and its reference: what the score of this single sentence lacks, 0 to 1.

    `metric` is bleu or chrf. BLEU counts no n-grams longer than the sentence, and those that match nothing a little (sacrebleu's
    effective order and its smoothing).
    """
    scorer = CHRF() if metric == "chrf" else _bleu(target_language, _validation_tokenizer(target_language), False, True)
    return lambda translation, reference: 1 - scorer.sentence_score(translation, [reference]).score / 100


def _validation_tokenizer(target_language: str) -> str | None:
    return "char" if language_code(target_language) in SCORED_BY_CHARACTERS else None


def check_lengths(texts: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Check that named texts are as long as the first one, and not empty. Raises DataError."""
    (first, lines), *others = texts
    if not lines:
        raise DataError(f"{first}: empty, there is nothing to evaluate; give at least one line")
    for name, other in others:
        if len(other) != len(lines):
            raise DataError(
                f"{first} has {len(lines)} lines but {name} has {len(other)}; "
                "give the same sentences in both, one per line"
            )


def read_test_set(name: str, language_pair: str) -> tuple[list[str], list[list[str]]]:
    """Source lines and sets of references of one of sacrebleu's test sets, which downloads it when first used.

    Args:
        name: such as `wmt17`; `sacrebleu --list` shows all.
        language_pair: such as `en-de`.

    Raises:
        DataError: no such test set or language pair.
        MachineError: it cannot be downloaded.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=3) or ["wmt17", "wmt24"]
        raise DataError(
            f"{name}: sacrebleu has no such test set; it has {', '.join(near)} and others (sacrebleu --list)"
        )
    pairs = DATASETS[name].langpairs
    if language_pair not in pairs:
        raise DataError(f"{name}: no language pair {language_pair!r}; this test set has {', '.join(pairs)}")
    try:
        source, references = get_source_file(name, language_pair), get_reference_files(name, language_pair)
    except (Exception, SystemExit) as error:  # sacrebleu exits on a wrong checksum, and raises what its archives raise
        raise MachineError(
            f"{name}: sacrebleu cannot download this test set ({reason(error)}); "
            "check the network, or give the files as --source and --reference"
        ) from error
    return list(read_lines(source)), [list(read_lines(path)) for path in references]


def _metric(name: str, language: str, tokenize: str | None, lowercase: bool) -> Metric:
    if name == "bleu":
        return _bleu(language, tokenize, lowercase)
    if name == "chrf":
        return CHRF(lowercase=lowercase)
    if name == "ter":
        characters = language_code(language) in _UNSPACED
        return TER(normalized=characters, asian_support=characters)
    raise ConfigError(f"{name}: no such metric; choose from {', '.join(METRICS)}")


def _bleu(language: str, tokenize: str | None, lowercase: bool, effective_order: bool = False) -> BLEU:
    if tokenize is not None and tokenize not in BLEU.TOKENIZERS:
        raise ConfigError(f"{tokenize}: sacrebleu has no such tokenizer; choose from {', '.join(BLEU.TOKENIZERS)}")
    try:
        code = language_code(language)
        return BLEU(lowercase=lowercase, tokenize=tokenize, trg_lang=code, effective_order=effective_order)
    except RuntimeError as error:  # what sacrebleu raises without MeCab
        extra = tokenize.split("-")[0] if tokenize else language
        raise MachineError(
            f"the BLEU tokenizer of {extra} needs a package: pip install 'sacrebleu[{extra}]'; or choose another, "
            "--tokenize char for example"
        ) from error
    except (OSError, SystemExit) as error:
        raise MachineError(
            f"the BLEU tokenizer {tokenize} cannot be downloaded ({reason(error)}); check the network, "
            "or choose another, --tokenize char for example"
        ) from error


def _score(name: str, signature: str, results: list[Result]) -> Score:
    """From sacrebleu's results: the system's last, the baseline's, if there is one, before it."""
    *baseline, own = results
    difference = None
    if baseline:
        # sacrebleu gives two equal systems the smallest p there is, as if their difference of zero were beyond chance.
        p_value = 1.0 if own.score == baseline[0].score else cast(float, own.p_value)
        difference = Difference(baseline=float(baseline[0].score), p_value=float(p_value))
    mean, margin = cast(float, own.mean), cast(float, own.ci)
    return Score(
        name=name,
        score=float(own.score),
        mean=float(mean),
        margin=float(margin),
        signature=signature,
        difference=difference,
    )
