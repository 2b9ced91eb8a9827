"""A shortlist for a trained model: which target tokens are candidates for each source token.

IBM model 1 learns it from the training pairs, and it is kept if translations of the validation pairs are as good with it.
Attention was tried in place of IBM model 1: lists from a trained model's weights over the same pairs cover as much at the same
size, are no better in BLEU, and take thirty times as long to make.
"""

import dataclasses
import logging
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.checkpoint.folder import Model, load_folder_config, load_model, model_folder, save_shortlist
from nmt.config.schema import Config
from nmt.data.corpora import read_first_epoch
from nmt.data.pair import encode_pairs
from nmt.data.prepare import prepare
from nmt.errors import ConfigError
from nmt.metrics.standard import BLEU
from nmt.model.candidates import Shortlist
from nmt.search.options import SearchOptions
from nmt.system.files import DRAFT, saving
from nmt.system.machine import choose_device
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.training.lexicon import Lexicon, take_for_lexicon
from nmt.training.validation import ValidationSet, read_validation_sets, score_sets, translate_sets
from nmt.types import EOS, Batch, pad

logger = logging.getLogger(__name__)

Ids = NDArray[np.int64]

_LEAST = 0.5  # expected number of times in all pairs; what translates a token less often does so by chance
_RARE = 10  # a source token that occurs less often may also be copied: part of a name, a number, a byte
_COST = 0.1  # BLEU that a shortlist may cost on the validation pairs


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
    sets = read_validation_sets(config)
    stores = [] if config.data.streams else prepare(config, model.tokenizers, prepared)
    shortlist = learn_shortlist(read_first_epoch(config, model.tokenizers, stores), model.tokenizers)
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
        hypotheses = translate_sets(dataclasses.replace(model, shortlist=shortlist), sets, options)
        return score_sets(sets, hypotheses)[BLEU.name]

    before, after = score(None), score(shortlist)
    kept = after >= before - _COST
    verdict = "kept" if kept else f"not kept: it costs more than {_COST} BLEU"
    return kept, f"{sizes}, BLEU {after:.2f} with it, {before:.2f} without, {verdict}"


def _mean_size(shortlist: Shortlist, sources: list[list[int]], batch: int) -> float:
    """Mean number of candidates for this many sentences of similar length."""
    ids = sorted(([*ids, EOS] for ids in sources), key=len)
    parts = [ids[begin : begin + batch] for begin in range(0, len(ids), batch)]
    return statistics.mean(len(shortlist.candidates(*pad(part)).union().tokens) for part in parts)


def learn_shortlist(
    batches: Iterable[Batch], tokenizers: Tokenizers, *, frequent: int = 100, best: int = 30
) -> Shortlist:
    """The most frequent target pieces, and for each source piece those that translate it most often.

    Args:
        batches: pairs, those of like length together; what comes after some 100,000 pairs is not read.
        tokenizers: whose ids the batches hold.
        frequent: how many frequent pieces.
        best: how many others for each source piece, at most.
    """
    used = list(take_for_lexicon(batches))
    seen = _occurrences([batch.target.numpy() for batch in used], tokenizers.target)
    always = np.argsort(-seen, kind="stable")[:frequent]
    lexicon = Lexicon.learn(used, tokenizers.target.size)
    sources, targets, counts = lexicon.sources, lexicon.targets, lexicon.counts
    kept = (counts >= _LEAST) & (targets > EOS) & ~np.isin(targets, always)
    rare = np.flatnonzero(_occurrences([batch.source.numpy() for batch in used], tokenizers.source) < _RARE)
    rows = np.concatenate([rare, sources[kept]])
    pieces = np.concatenate([_namesakes(tokenizers)[rare], targets[kept]])
    order = np.lexsort((-np.concatenate([np.full(len(rare), np.inf), counts[kept]]), rows))
    return Shortlist(
        target_size=tokenizers.target.size,
        frequent=always[seen[always] > 0],
        best=_table(rows[order], pieces[order], tokenizers.source.size, best),
    )


def _occurrences(ids: Sequence[Ids], tokenizer: Tokenizer) -> Ids:
    """How often each piece occurs; the special ones never."""
    counts = np.zeros(tokenizer.size, dtype=np.int64)
    for part in ids:
        counts += np.bincount(part.ravel(), minlength=tokenizer.size)
    counts[: EOS + 1] = 0
    return counts


def _namesakes(tokenizers: Tokenizers) -> Ids:
    """For each source piece the target piece of the same name; EOS where there is none, for special pieces and for tags."""
    source, target = tokenizers.source.vocabulary(), tokenizers.target.vocabulary()
    target = target[: len(target) - tokenizers.target.tags]
    places = {name: place for place, name in enumerate(target) if place > EOS}
    return np.array([EOS] * (EOS + 1) + [places.get(name, EOS) for name in source[EOS + 1 :]])


def _table(rows: Ids, pieces: Ids, size: int, width: int) -> Ids:
    """The first `width` pieces of each row (size, width), EOS where there are fewer. `rows` ascend."""
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = places < width
    table = np.full((size, width), EOS)
    table[rows[kept], places[kept]] = pieces[kept]
    return table
