"""A shortlist for a trained model: learned from the training pairs, kept where translations are as good with it."""

import dataclasses
import logging
import statistics
import tempfile
import time
from pathlib import Path

from nmt.checkpoint.folder import Model, load_folder_config, load_model, model_folder, save_shortlist
from nmt.config.schema import Config
from nmt.data.corpora import first_epoch
from nmt.data.pair import encode_pairs
from nmt.data.prepare import prepare
from nmt.errors import ConfigError
from nmt.metrics.standard import BLEU
from nmt.model.candidates import Shortlist
from nmt.search.options import SearchOptions
from nmt.system.files import DRAFT, saving
from nmt.system.machine import choose_device
from nmt.training.shortlist import learn_shortlist
from nmt.training.validation import ValidationSet, scores, translations, validation_sets
from nmt.types import EOS, pad

logger = logging.getLogger(__name__)

_COST = 0.1  # BLEU that a shortlist may cost, on the validation pairs


def add_shortlist(folder: str | Path, config: Config | None = None) -> bool:
    """Learn a shortlist for a trained model, and store it beside the weights where it costs no more than 0.1 BLEU.

    Args:
        folder: the output folder of nmt-train, whose best checkpoint is meant, or a model folder.
        config: where the corpora are, and how to validate; by default those of the model's training.

    Returns:
        Whether it is stored.

    Raises:
        ModelError: there is no model, or it is damaged.
        DataError: a corpus cannot be read.
        ConfigError: `config` has other languages or tags than the model.
        MachineError: the folder, or the one that it lies in, cannot be written.
    """
    path = model_folder(folder)
    with saving(path.parent):
        draft = tempfile.TemporaryDirectory(dir=path.parent, prefix=DRAFT, ignore_cleanup_errors=True)
    with draft as prepared:
        return add_shortlist_to(path, config or load_folder_config(path), Path(prepared))


def add_shortlist_to(path: Path, config: Config, prepared: Path) -> bool:
    """Learn the shortlist of a model folder from the corpora as they are, or will be, prepared, and store it if it is kept."""
    began = time.perf_counter()
    model = load_model(path, choose_device(config.training.device))
    if config.data.tags != model.config.data.tags:
        raise ConfigError(f"data: the corpora have other languages or tags than those that {path} was trained with")
    sets = validation_sets(config)
    stores = [] if config.data.streams else prepare(config, model.tokenizers, prepared)
    shortlist = learn_shortlist(first_epoch(config, model.tokenizers, stores), model.tokenizers)
    kept, finding = _judge(shortlist, model, sets, SearchOptions(beam=config.validation.beam))
    if kept:
        save_shortlist(path, shortlist)
    logger.info("shortlist: %s; it took %.0f s", finding, time.perf_counter() - began)
    return kept


def _judge(shortlist: Shortlist, model: Model, sets: list[ValidationSet], options: SearchOptions) -> tuple[bool, str]:
    """Whether to keep a shortlist, and what was found."""
    sources, _ = encode_pairs([pair for each in sets for pair in each.pairs], model.tokenizers)
    alone, together = (_mean_size(shortlist, sources, batch) for batch in (1, 64))
    sizes = f"{alone:.0f} of {shortlist.target_size} pieces for a sentence, {together:.0f} for 64"
    if alone > shortlist.target_size / 2:
        return False, f"{sizes}, not kept: too many to be of use"

    def score(shortlist: Shortlist | None) -> float:
        hypotheses = translations(dataclasses.replace(model, shortlist=shortlist), sets, options)
        return scores(sets, hypotheses)[BLEU.name]

    before, after = score(None), score(shortlist)
    kept = after >= before - _COST
    verdict = "kept" if kept else f"not kept: it costs more than {_COST} BLEU"
    return kept, f"{sizes}, BLEU {after:.2f} with it, {before:.2f} without, {verdict}"


def _mean_size(shortlist: Shortlist, sources: list[list[int]], batch: int) -> float:
    """Mean number of candidates for this many sentences of similar length."""
    ids = sorted(([*ids, EOS] for ids in sources), key=len)
    parts = [ids[begin : begin + batch] for begin in range(0, len(ids), batch)]
    return statistics.mean(len(shortlist.candidates(*pad(part)).together().pieces) for part in parts)
