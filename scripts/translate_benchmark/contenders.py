"""Measure models of nmt at each precision, with and without a shortlist, inside a process and as a process."""

import itertools
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt.checkpoint.folder import load_model
from nmt.errors import DataError
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import BLEU
from nmt.search.options import SearchOptions
from nmt.system.machine import keep_memory
from nmt.translation.translator import Translator
from translate_benchmark.figures import Setting, Speed
from translate_benchmark.processes import first_answer, run

logger = logging.getLogger(__name__)

WARM_UP = 64  # the number of sentences that are translated before the measurement


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model and the options with which it translates."""

    name: str
    folder: str
    precision: str
    shortlist: bool
    threads: int

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of nmt-translate, which uses the shortlist by default."""
        program = [sys.executable, "-m", "nmt.commands.translate", self.folder, "--device", "cpu"]
        off = [] if self.shortlist else ["--no-shortlist"]
        return [*program, "--precision", self.precision, "--threads", str(self.threads), *off, *arguments]

    def load(self) -> Translator:
        return Translator.load(
            self.folder, device="cpu", precision=self.precision, shortlist=self.shortlist, threads=self.threads
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request to measure a contender inside a process."""

    contender: Contender
    settings: list[Setting]
    source: list[str]


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """A test set."""

    __test__ = False  # pytest must not collect this class because of its name

    source: list[str]
    reference: list[str]
    target_language: str

    def bleu(self, translations: Sequence[str]) -> tuple[float, str]:
        """Compute BLEU. Return the score and its signature."""
        metric = BLEU(Scoring(target_language=self.target_language))
        return metric.score(translations, [self.reference]), metric.signature(references=1)


def combine_contenders(folders: Sequence[str], precisions: Sequence[str], threads: Sequence[int]) -> list[Contender]:
    """Combine all models, precisions and threads, with and without a shortlist if there is one. Raises ModelError."""
    names = [Path(folder).resolve().name for folder in folders]
    result = []
    for folder, name in zip(folders, names, strict=True):
        shown = folder if names.count(name) > 1 else name
        shortlists = (False, True) if load_model(folder).shortlist is not None else (False,)
        for precision, shortlist, count in itertools.product(precisions, shortlists, threads):
            details = [precision, *(["shortlist"] if shortlist else []), *([f"{count} threads"] if count > 1 else [])]
            label = f"nmt {shown}, {', '.join(details)}"
            result.append(Contender(name=label, folder=folder, precision=precision, shortlist=shortlist, threads=count))
    return result


def measure(contender: Contender, settings: Sequence[Setting], test: TestSet, program: str) -> list[Speed]:
    """Measure one round of a contender. If the process and the library translate differently, log a warning.

    Args:
        contender: the model and its options.
        settings: the settings of the round.
        test: the test set.
        program: the path of scripts/bench-translate, which runs the part inside a process.

    Raises:
        DataError: a process failed.
    """
    order = Order(contender=contender, settings=list(settings), source=test.source)
    done = run([sys.executable, program, "--inside"], json.dumps(asdict(order)))
    inside = json.loads(done.output.splitlines()[-1])
    return [_measure_process(contender, setting, test, found) for setting, found in zip(settings, inside, strict=True)]


def _measure_process(contender: Contender, setting: Setting, test: TestSet, inside: dict[str, Any]) -> Speed:
    """Measure nmt-translate, and combine the result with the measurements inside a process."""
    alone = ["--batch-size", "1"] if setting.alone else []
    text = "".join(f"{line}\n" for line in test.source)
    done = run(contender.command("--beam", str(setting.beam), *alone), text)
    translations = done.output.split("\n")[:-1]
    if len(translations) != len(test.source):
        raise DataError(f"{contender.name}: nmt-translate gave {len(translations)} lines for {len(test.source)}")
    if different := sum(a != b for a, b in zip(translations, inside["translations"], strict=True)):
        logger.warning("%s: %d translations by nmt-translate differ (%s)", contender.name, different, setting.title)
    seconds, tokens, count = inside["seconds"], inside["tokens"], len(test.source)
    return Speed(
        contender=contender.name,
        setting=setting,
        ours=True,
        sentences_per_second=count / seconds,
        tokens_per_second=tokens / seconds,
        whole_sentences_per_second=count / done.seconds,
        peak_mib=done.peak_mib,
        bleu=test.bleu(translations)[0],
    )


def start(contender: Contender, line: str) -> float:
    """Measure the seconds from the start of nmt-translate to its first line."""
    return first_answer(contender.command(), line)


# ---- inside a process


def measure_inside(order: str) -> str:
    """Carry out an order of `measure` in this process. Return the seconds, tokens and translations of each setting."""
    content = json.loads(order)
    keep_memory()  # as nmt-translate does
    translator = Contender(**content["contender"]).load()
    results = [_measure_setting(translator, Setting(**setting), content["source"]) for setting in content["settings"]]
    return json.dumps(results)


def _measure_setting(translator: Translator, setting: Setting, source: Sequence[str]) -> dict[str, Any]:
    translate(translator, setting, source[:WARM_UP])
    begin = time.perf_counter()
    found = translate(translator, setting, source)
    seconds = time.perf_counter() - begin
    tokens = sum(len(pieces) + 1 for _, pieces in found)
    return {"seconds": seconds, "tokens": tokens, "translations": [text for text, _ in found]}


def translate(translator: Translator, setting: Setting, source: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the texts and tokens of the best translations."""
    options = SearchOptions(beam=setting.beam)
    batches = [[line] for line in source] if setting.alone else [source]
    found = [best for batch in batches for best in translator.nbest(batch, options)]
    return [(best[0].text, best[0].tokens) for best in found]
