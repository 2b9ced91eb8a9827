"""Train and score translation models of each cell with equal numbers of parameters."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cell_comparison.sizes import CELLS, find_equal_size
from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.folder import load_model
from nmt.checkpoint.run_folder import find_model_folder
from nmt.config.load import load_config
from nmt.config.schema import ModelConfig
from nmt.data.text_files import find_file, read_lines
from nmt.errors import DataError, ModelError
from nmt.evaluation.report.figures import group_by_length
from nmt.evaluation.report.history import read_history
from nmt.evaluation.scores import check_lengths, evaluate
from nmt.metrics.metric import Scoring
from nmt.metrics.standard import BLEU, ChrF
from nmt.model.seq2seq import Seq2Seq
from nmt.translation.translator import Translator

VALID, TEST = "val", "test_2016_flickr"  # the names of the files of Multi30k
VOCABULARY = 6000  # the embeddings of the networks whose sizes are compared


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The training configuration of the models. Only the cell and the sizes of its layers differ."""

    config: str
    """The path of the configuration of one cell."""
    overrides: tuple[str, ...] = ()

    def of(self, cell: str) -> list[str]:
        """Return the overrides for a cell. The sizes for another cell give the same number of parameters."""
        model = load_config(self.config, self.overrides).model
        if cell == model.cell:
            return list(self.overrides)
        wanted = parameters(model)
        size = find_equal_size(lambda size: parameters(_resize(model, cell, size)), wanted)
        return [*self.overrides, f"model.cell={cell}", f"model.decoder_size={size}", f"model.encoder_size={2 * size}"]


def _resize(model: ModelConfig, cell: str, size: int) -> ModelConfig:
    return dataclasses.replace(model, cell=cell, decoder_size=size, encoder_size=2 * size)  # type: ignore[arg-type]


def parameters(model: ModelConfig) -> int:
    return count(Seq2Seq(model, source_size=VOCABULARY, target_size=VOCABULARY, generator=None))


def count(network: Seq2Seq) -> int:
    return sum(weight.numel() for weight in network.parameters())


def train_and_score(cell: str, config: str, overrides: Sequence[str], corpus: str, folder: str) -> dict[str, Any]:
    """Train a model in `folder`, or continue its training, and score it."""
    files = [f"data.train={corpus}/train", f"data.valid={corpus}/{VALID}", f"data.held_out={corpus}/{TEST}"]
    settings = [*Recipe(config=config, overrides=tuple(overrides)).of(cell), *files, "training.threads=1"]
    command = [sys.executable, "-m", "nmt.commands.train", config, *settings, "--output", folder, "--resume"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ModelError(f"nmt-train failed for {cell}: {done.stderr[-2000:]}")
    return score(cell, corpus, folder)


def score(cell: str, corpus: str, folder: str) -> dict[str, Any]:
    """Return the scores of a trained model, its BLEU by length on the test set, its size and its training time."""
    config = load_folder_config(find_model_folder(folder))
    if config.model.cell != cell:
        raise ModelError(
            f"{folder}: its cell is {config.model.cell}, not {cell}; name models of {', '.join(CELLS)}, in this order"
        )
    history = read_history(Path(folder))
    translator = Translator.load(folder, device="cpu", precision="fp32", shortlist=False)
    sets = {name: _scores(translator, corpus, name) for name in (VALID, TEST)}
    return {
        "parameters": count(load_model(folder).network),
        "encoder_size": config.model.encoder_size,
        "decoder_size": config.model.decoder_size,
        "epochs": config.training.epochs,
        "learning_rate": config.training.learning_rate,
        "seed": config.training.seed,
        "seconds": history.seconds if history else None,
        **sets,
    }


def _scores(translator: Translator, corpus: str, name: str) -> dict[str, Any]:
    sides = (translator.data.source_language, translator.target_language())
    source, reference = (read_side(corpus, name, language) for language in sides)
    check_lengths([(f"{name}, {side}", lines) for side, lines in zip(sides, (source, reference), strict=True)])
    hypotheses = translator.translate(source)
    language = translator.target_language()
    evaluation = evaluate(hypotheses, [reference], metrics=(BLEU.name, ChrF.name), target_language=language)
    scoring = Scoring(target_language=language)
    groups = group_by_length(hypotheses, [reference], BLEU(scoring), ChrF(scoring))
    return {
        "scores": [dataclasses.asdict(score) for score in evaluation.scores],
        "lengths": [dataclasses.asdict(group) for group in groups],
    }


def read_side(corpus: str, name: str, language: str) -> list[str]:
    path = Path(corpus) / f"{name}.{language}"
    if (found := find_file(path)) is None:
        raise DataError(f"{path}: no such file, nor with .gz or .zst; give the folder of Multi30k")
    return list(read_lines(found))
