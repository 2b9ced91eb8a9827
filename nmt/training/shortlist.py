"""The learning of a shortlist for a trained model. A shortlist lists the likely target tokens for each source token.

IBM model 1 learns the shortlist from the training pairs. The shortlist is stored if translations of the validation
pairs with the shortlist are about as good as without it. A shortlist can also be learned from the attention weights of
the trained model. Such a shortlist contains as many correct tokens and gives no higher BLEU, but learning it takes
thirty times as long.
"""

import dataclasses
import logging
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.folder import Model, load_model, save_shortlist
from nmt.checkpoint.run_folder import find_model_folder
from nmt.config.schema import Config
from nmt.data.batch import Batch, Integers, pad
from nmt.data.corpora import read_first_epoch
from nmt.data.lexicon import Lexicon, take_for_lexicon
from nmt.data.pair import encode_pairs
from nmt.data.prepare import prepare
from nmt.errors import ConfigError
from nmt.metrics.standard import BLEU, ChrF
from nmt.model.candidates import Shortlist
from nmt.search.options import SearchOptions
from nmt.system.devices import choose_device
from nmt.system.files import temporary_folder
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.training.validation import ValidationSet, read_validation_sets, score_sets, translate_sets
from nmt.types import EOS

logger = logging.getLogger(__name__)

_MIN_COUNT = 0.5  # two tokens with a lower expected count are probably not translations of each other
_RARE = 10  # source tokens that occur less often may belong to names or numbers, so copying them is allowed
_MAX_CHRF_LOSS = 0.1  # a shortlist is stored if it costs at most this much chrF2 on the validation pairs


def add_shortlist(folder: str | Path, config: Config | None = None) -> bool:
    """Learn a shortlist for a trained model. Store it in the model folder if it lowers chrF2 by at most 0.1.

    Args:
        folder: a model folder, or the output folder of nmt-train. The best checkpoint of an output folder is used.
        config: the configuration with the corpora and the validation settings. By default, it is the configuration
            with which the model was trained.

    Returns:
        Whether the shortlist is stored.

    Raises:
        ModelError: the model is missing or damaged.
        DataError: a corpus cannot be read.
        ConfigError: `config` and the model differ in their languages or tags.
        MachineError: the model folder or its parent folder cannot be written.
    """
    path = find_model_folder(folder)
    with temporary_folder(path.parent) as prepared:
        return add_shortlist_to(path, config or load_folder_config(path), prepared)


def add_shortlist_to(path: Path, config: Config, prepared: Path) -> bool:
    """Add a shortlist as `add_shortlist` does. The folder `prepared` may already contain prepared corpora."""
    began = time.perf_counter()
    model = load_model(path, choose_device(config.training.device))
    if config.data.tags != model.config.data.tags:
        raise ConfigError(
            f"data: {path} was trained with other languages or tags; use the data section that it was trained with"
        )
    sets = read_validation_sets(config, model.tokenizers.normalizers)
    stores = [] if config.data.streams else prepare(config, model.tokenizers, prepared)
    batches = read_first_epoch(config, model.tokenizers, stores)
    shortlist = learn_shortlist(batches, model.tokenizers, terms=config.data.term_share > 0)
    kept, finding = _judge(shortlist, model, sets, SearchOptions(beam=config.validation.beam))
    if kept:
        save_shortlist(path, shortlist)
    logger.info("shortlist: %s; it took %.0f s", finding, time.perf_counter() - began)
    return kept


def _judge(shortlist: Shortlist, model: Model, sets: list[ValidationSet], options: SearchOptions) -> tuple[bool, str]:
    """Decide whether to store a shortlist. Return the decision, and a text with the measurements."""
    sources, _ = encode_pairs([pair for each in sets for pair in each.pairs], model.tokenizers)
    alone, together = (_mean_size(shortlist, sources, batch) for batch in (1, 64))
    sizes = f"{alone:.0f} of {shortlist.target_size} tokens for a sentence, {together:.0f} for 64"
    if alone > shortlist.target_size / 2:
        return False, f"{sizes}, not kept: too many to save time"

    def score(shortlist: Shortlist | None) -> dict[str, float]:
        hypotheses = translate_sets(dataclasses.replace(model, shortlist=shortlist), sets, options)
        return score_sets(sets, hypotheses, (ChrF.name, BLEU.name))

    before, after = score(None), score(shortlist)
    kept = after[ChrF.name] >= before[ChrF.name] - _MAX_CHRF_LOSS
    verdict = "kept" if kept else f"not kept: it costs more than {_MAX_CHRF_LOSS} {ChrF.title}"
    scores = (
        f"{metric.describe(after[metric.name])} with it, {metric.format(before[metric.name])} without"
        for metric in (ChrF, BLEU)
    )
    return kept, ", ".join([sizes, *scores, verdict])


def _mean_size(shortlist: Shortlist, sources: list[list[int]], batch: int) -> float:
    """Return the mean number of candidates of a batch. Batches have `batch` sentences of similar lengths."""
    ids = sorted(([*ids, EOS] for ids in sources), key=len)
    parts = [ids[begin : begin + batch] for begin in range(0, len(ids), batch)]
    return statistics.mean(len(shortlist.candidates(*pad(part)).union().tokens) for part in parts)


def learn_shortlist(
    batches: Iterable[Batch], tokenizers: Tokenizers, *, frequent: int = 100, best: int = 30, terms: bool = False
) -> Shortlist:
    """Learn a shortlist. It contains the most frequent target tokens and the likely translations of each source token.

    Args:
        batches: the training pairs. Pairs of a batch should have similar lengths. About 100,000 pairs are read.
        tokenizers: the tokenizers of the ids in the batches.
        frequent: the number of frequent tokens, which are candidates for every sentence.
        best: the largest number of other candidates for each source token.
        terms: whether source texts can contain words of the target language. Each source token then has the target
            token with the same name.
    """
    used = list(take_for_lexicon(batches))
    occurrences = _count_tokens([batch.target.numpy() for batch in used], tokenizers.target)
    always = np.argsort(-occurrences, kind="stable")[:frequent]
    lexicon = Lexicon.learn(used, tokenizers.target.size)
    sources, targets, counts = lexicon.sources, lexicon.targets, lexicon.counts
    kept = (counts >= _MIN_COUNT) & (targets > EOS) & ~np.isin(targets, always)
    source_counts = _count_tokens([batch.source.numpy() for batch in used], tokenizers.source)
    rare = np.flatnonzero((source_counts < _RARE) | terms)
    rows = np.concatenate([rare, sources[kept]])
    # A rare source token gets the target token with the same name. Special tokens and tags get EOS, and so do source
    # tokens without such a target token.
    source_names, target_names = tokenizers.source.vocabulary(), tokenizers.target.vocabulary()
    ids = {name: i for i, name in enumerate(target_names) if i > EOS and i in tokenizers.target.producible}
    namesakes = np.array([EOS] * (EOS + 1) + [ids.get(name, EOS) for name in source_names[EOS + 1 :]])
    tokens = np.concatenate([namesakes[rare], targets[kept]])
    order = np.lexsort((-np.concatenate([np.full(len(rare), np.inf), counts[kept]]), rows))
    return Shortlist(
        target_size=tokenizers.target.size,
        frequent=always[occurrences[always] > 0],
        best=_build_table(rows[order], tokens[order], tokenizers.source.size, best),
    )


def _count_tokens(ids: Sequence[Integers], tokenizer: Tokenizer) -> Integers:
    """Count how often each token occurs. Special tokens get the count 0."""
    counts = np.zeros(tokenizer.size, dtype=np.int64)
    for part in ids:
        counts += np.bincount(part.ravel(), minlength=tokenizer.size)
    counts[: EOS + 1] = 0
    return counts


def _build_table(rows: Integers, tokens: Integers, size: int, width: int) -> Integers:
    """Build a table (size, width) of tokens. Token `tokens[i]` belongs to row `rows[i]`. `rows` must be sorted.

    Each row contains only the first `width` tokens that belong to it. Shorter rows are padded with EOS.
    """
    columns = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = columns < width
    table = np.full((size, width), EOS)
    table[rows[kept], columns[kept]] = tokens[kept]
    return table
