"""Training on parallel text and on text in one language, which models translate into further training pairs.

The stages of a run, for text in both languages and two rounds:

1. reverse-1 is trained on the parallel text, from the target language into the source language.
2. back-1 is the target text with its translations by reverse-1 (back-translation, Sennrich et al. 2016).
3. forward-1 is trained on the parallel text and back-1.
4. forth-1 is the source text with its translations by forward-1 (forward translation, Zhang & Zong 2016).
5. reverse-2, back-2, forward-2 and forth-2 follow in the same way. Their models are trained on the parallel text and
   the newest translations (iterative back-translation, Hoang et al. 2018).
6. The final model is trained on the parallel text, back-2 and forth-2.

Without source text, there are no forward models before the final one, and without target text no reverse models.
Data diversification translates both sides of the parallel text, too (Nguyen et al. 2020).
"""

import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.data.text_files import find_file, read_lines
from nmt.errors import ConfigError, DataError
from nmt.search.options import SampleOptions, SearchOptions
from nmt.system.files import remove_leftovers, whole_folder
from nmt.system.locks import lock_folder
from nmt.system.machine import cores
from nmt.training.choose.describe import format_time
from nmt.training.choose.monolingual import MONOLINGUAL, Monolingual, count_lines, prepare_text
from nmt.training.choose.recipe import DATA, RECIPE, describe_text
from nmt.training.choose.run import train_on_text
from nmt.training.choose.text import Text
from nmt.training.distributed import ALONE, Processes
from nmt.training.log import log_file
from nmt.training.preflight import check_new_training, warn_about_text
from nmt.training.run import check_links
from nmt.translation.translator import Translator

logger = logging.getLogger(__name__)

SYNTHETIC = "synthetic"
"""The name of the folder with translations, in the output folder of a training run."""
SAMPLED_PAIRS = 100_000
"""Models of at least this many pairs sample back-translations. The samples of weaker models are mostly noise."""
_PART = 10_000  # the number of lines that are translated between two messages


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step of a run: the training of a model, and the translation of the text in one language by this model."""

    name: str
    """The folder of the model. The final model, with an empty name, is in the output folder itself."""
    back: bool
    """Whether the model translates from the target language into the source language."""
    synthetic: tuple[str, ...]
    """The translations that the model is trained on, as names of folders."""
    result: str
    """The translations that the model makes, as the name of a folder. The final model makes none."""

    @property
    def share(self) -> float:
        """The time of this stage in relation to the others. The final model learns from most text."""
        return 1.0 if self.name else 2.0


def plan_stages(text: Monolingual) -> list[Stage]:
    """Return the stages of a run. The last one trains the final model."""
    stages: list[Stage] = []
    known: dict[bool, str] = {}  # the newest translations of the target text (True) and of the source text (False)
    for number in range(1, text.rounds + 1):
        for back, files in ((True, text.target), (False, text.source)):
            if files or text.diversify:
                name = f"{'reverse' if back else 'forward'}-{number}"
                result = f"{'back' if back else 'forth'}-{number}"
                stages.append(Stage(name=name, back=back, synthetic=tuple(known.values()), result=result))
                known[back] = result
    return [*stages, Stage(name="", back=False, synthetic=tuple(known.values()), result="")]


def choose_options(pairs: int, *, back: bool) -> SearchOptions | SampleOptions:
    """Choose how text in one language is translated.

    Samples vary as human text does, and teach more as sources (Edunov et al. 2018). With little parallel text, and for
    targets, beam search is better.

    Args:
        pairs: the number of pairs on which the model was trained.
        back: whether the translations will be sources.
    """
    return SampleOptions() if back and pairs >= SAMPLED_PAIRS else SearchOptions()


def weigh_corpora(genuine: str, pairs: int, synthetic: Sequence[dict[str, Any]], sizes: Sequence[int]) -> Any:
    """Return the training corpora. Genuine pairs make at least half of the training pairs, and are repeated for this.

    Args:
        genuine: the path of the genuine corpus.
        pairs: the number of its pairs.
        synthetic: the other corpora.
        sizes: the numbers of their pairs.
    """
    if not synthetic:
        return genuine
    if sum(sizes) <= pairs:
        return [{"path": genuine}, *synthetic]
    weights = [max(0.0001, round(size / sum(sizes), 4)) for size in sizes]  # a weight must not be 0
    return [
        {"path": genuine, "weight": 1.0},
        *({**corpus, "weight": weight} for corpus, weight in zip(synthetic, weights, strict=True)),
    ]


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """A run with text in one language."""

    text: Text
    monolingual: Monolingual
    output: Path
    overrides: Sequence[str] = ()
    bar: bool = False
    processes: Processes = ALONE

    def train(self, *, minutes: float | None = None, resume: bool = False) -> None:
        """Run all stages that are not done yet.

        Args:
            minutes: the time for the stages that are not done, or None for as long as the text allows.
            resume: whether to continue a run in the output folder, if there is one.

        Raises:
            UserError: as in `choose_recipe` and `train`.
            Interrupted: a signal stopped a training. A checkpoint has been saved.
        """
        stages = plan_stages(self.monolingual)
        self.processes.once(lambda: self._begin(resume=resume))
        left = [stage for stage in stages if not self._is_done(stage)]
        began = time.monotonic()
        self.processes.once(lambda: self._say("plan: %s", self._describe(stages, minutes)))
        for number, stage in enumerate(left):
            budget = None
            if minutes is not None:  # what is left of the time, divided among the stages that are left
                share = stage.share / sum(other.share for other in left[number:])
                budget = (minutes - (time.monotonic() - began) / 60) * share
            self._run(stage, budget)

    def _begin(self, *, resume: bool) -> None:
        """Check everything, and prepare the text."""
        if self.text.mix:
            raise ConfigError("--mix cannot be used with --monolingual or --diversify; adapt the model in a second run")
        config = describe_text(self.text, self.overrides)
        check_new_training(config)
        check_links(self.output, (RECIPE, DATA, MONOLINGUAL, SYNTHETIC))
        if not resume and any((self.output / name).exists() for name in (RECIPE, MONOLINGUAL)):
            raise ConfigError(
                f"{self.output}: already contains a training run; add --resume to continue it, or choose another "
                "--output"
            )
        fresh = not (self.output / MONOLINGUAL).is_dir()
        for file in (*self.monolingual.source, *self.monolingual.target) if fresh else ():
            if find_file(file) is None:
                raise DataError(f"{file}: no such file; check the path")
        with lock_folder(self.output), log_file(self.output):
            remove_leftovers(self.output)
            if fresh:
                logger.info("checking the text")
                warn_about_text(config.data, "text and languages")
            prepare_text(self.monolingual, config.data, self.output)

    def _is_done(self, stage: Stage) -> bool:
        return bool(stage.result) and (self.output / SYNTHETIC / stage.result).is_dir()

    def _run(self, stage: Stage, minutes: float | None) -> None:
        began, output = time.monotonic(), self.output / stage.name
        train_on_text(
            self._describe_text(stage),
            output,
            # The model to start from translates in the forward direction.
            overrides=[one for one in self.overrides if not (stage.back and one.startswith("training.start_from="))],
            minutes=None if (output / RECIPE).is_file() else minutes,  # the length of its training is chosen already
            resume=True,
            bar=self.bar,
            processes=self.processes,
            check_text=False,
        )
        if stage.result:
            self.processes.once(lambda: self._translate(stage))
            took = format_time(time.monotonic() - began)
            self.processes.once(lambda: self._say("%s and %s took %s", stage.name, stage.result, took))

    def _languages(self, stage: Stage) -> tuple[str, str]:
        languages = self.text.source_language, self.text.target_language
        return languages[::-1] if stage.back else languages

    def _list_texts(self, language: str) -> list[Path]:
        """Return the files whose lines are translated from a language."""
        mono = self.monolingual
        texts = [self.output / DATA / f"train.{language}"] if mono.diversify else []
        if mono.source if language == self.text.source_language else mono.target:
            texts.append(self.output / MONOLINGUAL / f"text.{language}")
        return texts

    def _describe_text(self, stage: Stage) -> Text:
        """Return the text that the model of a stage is trained on."""
        source, target = self._languages(stage)
        sets = {}
        for name, given in (("valid", self.text.valid), ("test", self.text.test)):
            sets[name] = str(self.output / (MONOLINGUAL if given else DATA) / name)
        genuine = self.output / DATA / "train"
        corpora: list[dict[str, Any]] = []
        for name in stage.synthetic:
            tag = "<bt>" if name.startswith("back") != stage.back else "<ft>"
            corpora.append({"path": str(self.output / SYNTHETIC / name / "text"), "tag": tag})
        if self.monolingual.copy and not stage.name:
            file = str(self.output / MONOLINGUAL / f"text.{target}")
            corpora.append({"source": file, "target": file, "tag": "<copy>"})
        sizes = [count_lines(Path(corpus.get("target") or f"{corpus['path']}.{target}")) for corpus in corpora]
        corpora, sizes = list(itertools.compress(corpora, sizes)), list(filter(None, sizes))
        train = weigh_corpora(str(genuine), count_lines(Path(f"{genuine}.{target}")), corpora, sizes)
        start = self.text.start if not stage.name else None
        return Text(source_language=source, target_language=target, train=train, start=start, **sets)

    def _translate(self, stage: Stage) -> None:
        """Translate text with the model of a stage, and write the pairs. Lines without a translation are left out.

        A weak model can also write bytes that are not valid UTF-8.
        """
        source, target = self._languages(stage)
        lines = [line for text in self._list_texts(source) for line in read_lines(text)]
        pairs = count_lines(self.output / DATA / f"train.{source}")
        options = choose_options(pairs, back=stage.back)
        translator = Translator.load(self.output / stage.name, threads=cores())
        folder = self.output / SYNTHETIC / stage.result
        if folder.parent.is_dir():
            remove_leftovers(folder.parent)
        with log_file(self.output), whole_folder(folder) as draft:
            how = "sampling" if isinstance(options, SampleOptions) else "beam search"
            logger.info("%s: translating %s lines with %s", stage.result, f"{len(lines):,}", how)
            with (
                open(draft / f"text.{source}", "w", encoding="utf-8", newline="\n") as sources,
                open(draft / f"text.{target}", "w", encoding="utf-8", newline="\n") as targets,
            ):
                for first in range(0, len(lines), _PART):
                    part = lines[first : first + _PART]
                    for line, translation in zip(part, translator.translate(part, options), strict=True):
                        if translation and "\ufffd" not in translation:
                            sources.write(f"{line}\n")
                            targets.write(f"{translation}\n")
                    logger.info("%s: %s of %s lines", stage.result, f"{first + len(part):,}", f"{len(lines):,}")

    def _describe(self, stages: Sequence[Stage], minutes: float | None) -> str:
        """Describe the stages in one line."""
        texts = []
        for stage in stages:
            source, target = self._languages(stage)
            corpora = " and ".join(("the text", *stage.synthetic))
            words = f"train {source} to {target} on {corpora}"
            words += " and copies" if self.monolingual.copy and not stage.name else ""
            if stage.result:
                count = sum(map(count_lines, self._list_texts(source)))
                words = f"{stage.name}: {words}, and translate {count:,} lines into {stage.result}"
            texts.append(f"{words} (done)" if self._is_done(stage) else words)
        plan = "; ".join(f"{number}. {words}" for number, words in enumerate(texts, start=1))
        return plan if minutes is None else f"{plan}; {format_time(60 * minutes)} in all"

    def _say(self, message: str, *values: object) -> None:
        with log_file(self.output):
            logger.info(message, *values)
