"""A tiny real model for the tests of search: a random table P(next | the two tokens before, position, source), and
searches over it that are too simple to be wrong."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.model.candidates import Candidates
from nmt.search.options import SearchOptions
from nmt.search.scorer import Prediction
from nmt.search.sentence import Sentence
from nmt.types import BOS, EOS, PAD, UNK

SENTENCES = 7  # sources that the table tells apart
POSITIONS = 16  # that it tells apart; without them hypotheses with the same trigrams would be equally probable


@dataclass(frozen=True, kw_only=True)
class TableState:
    sources: Tensor  # (B,) rows of the table
    context: Tensor  # (N, 2) the two tokens before the next
    position: int
    width: int  # S
    candidates: Candidates

    def select(self, rows: Tensor, sentences: Tensor | None = None) -> "TableState":
        here = self if sentences is None else self._of(sentences)
        return replace(here, context=self.context[rows])

    def _of(self, sentences: Tensor) -> "TableState":
        return replace(self, sources=self.sources[sentences], candidates=self.candidates.select(sentences))


class TableScorer:
    """Args: vocabulary size, four special tokens included; seed; sharpness of the distributions; a bonus for EOS."""

    tolerance = 2e-5
    device = torch.device("cpu")

    def __init__(self, size: int, seed: int, scale: float = 2.0, end: float = 0.0, grid: float | None = None) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(SENTENCES, 1, size, size, size, generator=generator) * scale
        logits = logits + torch.randn(POSITIONS, 1, 1, size, generator=generator)
        logits[..., EOS] += end
        self.logits = logits if grid is None else (logits / grid).round() * grid
        self._tables: dict[tuple[int, tuple[int, ...]], NDArray[np.float64]] = {}
        self.target_size = size
        self.rows_scored = 0

    def start(self, source: Tensor, lengths: Tensor, candidates: Candidates) -> TableState:
        real = torch.arange(source.size(1)) < lengths.unsqueeze(1)
        sources = (source * real).sum(dim=1) % SENTENCES
        context = torch.full((source.size(0), 2), BOS)
        return TableState(sources=sources, context=context, position=0, width=source.size(1), candidates=candidates)

    def step(self, tokens: Tensor, state: TableState) -> tuple[Prediction, TableState]:
        self.rows_scored += len(tokens)
        context = torch.stack([state.context[:, 1], tokens], dim=1)
        K = len(tokens) // len(state.sources)
        sources = state.sources.repeat_interleave(K)
        logits = self.logits[sources, state.position % POSITIONS, context[:, 0], context[:, 1]]
        columns, counts = state.candidates.tokens, state.candidates.counts
        logits = logits.gather(1, columns.expand(len(state.sources), -1).repeat_interleave(K, dim=0))
        if counts is not None:
            filled = torch.arange(columns.size(1)) >= counts.unsqueeze(1)
            logits = logits.masked_fill(filled.repeat_interleave(K, dim=0), -math.inf)
        attention = torch.zeros(len(tokens), state.width)
        attention[torch.arange(len(tokens)), tokens % state.width] = 1  # token t looks at source t: easy to check
        prediction = Prediction(log_probabilities=logits.log_softmax(dim=-1), attention=attention)
        return prediction, replace(state, context=context, position=state.position + 1)

    def log_probability(self, source: list[int], tokens: list[int], allowed: Sequence[int] | None = None) -> float:
        """log P of tokens, EOS included, from the definition: among those allowed, by default all usable ones."""
        table = self._table(sum(source) % SENTENCES, tuple(usable(self.target_size) if allowed is None else allowed))
        history = [BOS, BOS, *tokens]
        steps = enumerate(zip(history, history[1:], tokens, strict=False))
        return float(sum(table[t % POSITIONS, first, second, third] for t, (first, second, third) in steps))

    def _table(self, source: int, allowed: tuple[int, ...]) -> NDArray[np.float64]:
        """log P of each token after each context, among those allowed and EOS."""
        if (source, allowed) not in self._tables:
            logits = self.logits[source].double()
            normalized = logits - logits[..., [EOS, *allowed]].logsumexp(dim=-1, keepdim=True)
            self._tables[source, allowed] = normalized.numpy()
        return self._tables[source, allowed]


def sentences(lines: Sequence[Sequence[int]]) -> list[Sentence]:
    """A batch of sources, each ending in EOS."""
    return [Sentence(source=tuple(line)) for line in lines]


def usable(size: int) -> list[int]:
    return [token for token in range(size) if token not in (PAD, UNK, BOS, EOS)]


class TableShortlist:
    """Some usable tokens for each source, at least one; `asked` has the batch sizes for which it was asked."""

    def __init__(self, size: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.chosen = torch.rand(SENTENCES, size, generator=generator) < 0.5
        self.chosen[:, usable(size)[0]] = True
        self.asked: list[int] = []

    def allowed(self, source: list[int]) -> list[int]:
        chosen = self.chosen[sum(source) % SENTENCES]
        return [token for token in usable(len(chosen)) if chosen[token]]

    def candidates(self, source: Tensor, lengths: Tensor, also: Sequence[Sequence[int]] = ()) -> Candidates:
        assert not also
        self.asked.append(len(source))
        each = [self.allowed(ids[:length]) for ids, length in zip(source.tolist(), lengths.tolist(), strict=True)]
        most = max(map(len, each))
        tokens = [[EOS, *own, *[EOS] * (most - len(own))] for own in each]
        return Candidates(tokens=torch.tensor(tokens), counts=torch.tensor([1 + len(own) for own in each]))


def enumerate_all(
    scorer: TableScorer, source: list[int], options: SearchOptions, allowed: Sequence[int] | None = None
) -> list[tuple[float, list[int]]]:
    """Scores and ids of every hypothesis of the tokens allowed, by default of all, best first."""
    choices = usable(scorer.target_size) if allowed is None else allowed
    lengths = range(options.min_length, options.max_length(len(source)) + 1)
    hypotheses = [list(ids) for length in lengths for ids in itertools.product(choices, repeat=length)]
    scored = [
        (scorer.log_probability(source, [*ids, EOS], allowed) / (len(ids) + 1) ** options.length_exponent, ids)
        for ids in hypotheses
    ]
    return sorted(scored, reverse=True)


def simple_beam_search(
    scorer: TableScorer, source: list[int], options: SearchOptions, allowed: Sequence[int] | None = None
) -> list[list[int]]:
    """The n-best ids of a beam search with lists. It stops at `beam` finished hypotheses or, if exact, never."""
    choices = usable(scorer.target_size) if allowed is None else allowed
    limit = options.max_length(len(source))
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    done: list[tuple[float, list[int]]] = []
    while live and (options.exact or len(done) < options.beam):
        extended = []
        for _, ids in live:
            tokens = [] if len(ids) == limit else choices
            tokens = [*tokens, EOS] if len(ids) >= options.min_length else tokens
            extended += [(scorer.log_probability(source, [*ids, token], allowed), [*ids, token]) for token in tokens]
        extended.sort(reverse=True)
        ended = [(log_p, ids) for log_p, ids in extended[: options.beam] if ids[-1] == EOS]
        done += [(log_p / len(ids) ** options.length_exponent, ids[:-1]) for log_p, ids in ended]
        live = [(log_p, ids) for log_p, ids in extended if ids[-1] != EOS][: options.beam]
    return [ids for _, ids in sorted(done, reverse=True)][: options.nbest]
