"""A shortlist from training pairs: which target pieces are translations of which source pieces, by IBM model 1.

Each target piece comes from one source piece of its sentence; how probable each is, expectation maximisation finds (Brown et al.
1993, section 4.1). Attention was tried in its place: a trained model's weights over the same pairs make lists that cover as much
at the same size, are no better in BLEU, and take thirty times as long.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.shortlist import Shortlist
from nmt.tokenizers.base import Tokenizer, Tokenizers
from nmt.types import EOS, PAD, Batch

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

_CELLS = 1 << 25  # source times target positions that are learned from: 100,000 pairs of 18 pieces, half a gigabyte
_ROUNDS = 5  # of expectation maximisation
_LEAST = 0.5  # a piece that translates another less often than this, in all pairs, does so by chance
_RARE = 10  # a source piece that was seen less often may stand for itself too: part of a name, a number, a byte
_TINY = np.finfo(np.float64).tiny


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
    used = list(_enough(batches))
    seen = _occurrences([batch.target.numpy() for batch in used], tokenizers.target)
    always = np.argsort(-seen, kind="stable")[:frequent]
    sources, targets, counts = _translations(used, tokenizers.target.size)
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


def _enough(batches: Iterable[Batch]) -> Iterable[Batch]:
    cells = 0
    for batch in batches:
        yield batch
        cells += batch.source.numel() * batch.target.size(1)
        if cells >= _CELLS:
            return


def _occurrences(ids: Sequence[Ids], tokenizer: Tokenizer) -> Ids:
    """How often each piece occurs; the special ones never."""
    counts = np.zeros(tokenizer.size, dtype=np.int64)
    for part in ids:
        counts += np.bincount(part.ravel(), minlength=tokenizer.size)
    counts[: EOS + 1] = 0
    return counts


def _namesakes(tokenizers: Tokenizers) -> Ids:
    """For each source piece the target piece of the same name; EOS where there is none, for special pieces and for tags."""
    source = tokenizers.source.pieces(range(tokenizers.source.size))
    target = tokenizers.target.pieces(range(tokenizers.target.size - tokenizers.target.tags))
    places = {name: place for place, name in enumerate(target) if place > EOS}
    return np.array([EOS] * (EOS + 1) + [places.get(name, EOS) for name in source[EOS + 1 :]])


def _table(rows: Ids, pieces: Ids, size: int, width: int) -> Ids:
    """The first `width` pieces of each row (size, width), EOS where there are fewer. `rows` ascend."""
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = places < width
    table = np.full((size, width), EOS)
    table[rows[kept], places[kept]] = pieces[kept]
    return table


# ---- IBM model 1


@dataclass(frozen=True, kw_only=True)
class _Box:
    """The pairs of pieces in a batch: which there are, and where each is."""

    keys: Ids  # (L,) ascending: a source piece times the target vocabulary's size, plus a target piece
    places: NDArray[np.int32]  # (B, T, S) which of the keys each pair of positions has

    @staticmethod
    def of(batch: Batch, target_size: int) -> "_Box":
        keys = batch.source.numpy()[:, None, :] * target_size + batch.target.numpy()[:, :, None]
        distinct, places = np.unique(keys.ravel(), return_inverse=True)
        return _Box(keys=distinct, places=places.reshape(keys.shape).astype(np.int32))

    def expected(self, chances: Floats) -> Floats:
        """How often each pair of pieces (L,) is expected to be a translation, where these are the chances (L,)."""
        weights = chances[self.places]
        weights /= np.maximum(weights.sum(axis=2, keepdims=True), _TINY)
        return np.bincount(self.places.ravel(), weights.ravel(), minlength=len(self.keys)).astype(
            np.float64, copy=False
        )


def _translations(batches: Sequence[Batch], target_size: int) -> tuple[Ids, Ids, Floats]:
    """Source pieces, target pieces, and how often the one is expected to be translated by the other."""
    boxes = [_Box.of(batch, target_size) for batch in batches]
    keys = np.unique(np.concatenate([box.keys for box in boxes]))
    own = [np.searchsorted(keys, box.keys) for box in boxes]
    sources, targets = np.divmod(keys, target_size)
    chances = ((sources != PAD) & (targets != PAD)).astype(np.float64)  # padding is no translation of anything
    for _ in range(_ROUNDS):
        counts = np.zeros(len(keys))
        for box, where in zip(boxes, own, strict=True):
            counts[where] += box.expected(chances[where])
        chances = counts / np.maximum(np.bincount(sources, counts)[sources], _TINY)
    return sources, targets, counts
