"""Translations drawn from a network while it trains, each a pure function of the weights, the sentence and its noise."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from nmt.model.dropout import Noise
from nmt.model.seq2seq import Seq2Seq
from nmt.types import BOS, EOS, PAD, UNK, Batch


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """torch.no_grad, after which autocast has no weights at hand that it cast meanwhile: they would get no gradients."""
    with torch.no_grad():
        try:
            yield
        finally:
            torch.clear_autocast_cache()


def sampled(network: Seq2Seq, batch: Batch, noise: Noise, count: int, tags: int = 0) -> list[list[list[int]]]:
    """For each sentence so many translations, ids without EOS, piece by piece from the softmax without dropout.

    One that is twice as long as the reference, and ten pieces, is cut. `tags`: how many pieces at the vocabulary's end are tags.
    """
    limits = 2 * batch.target_lengths + 10
    with without_gradients():
        drawn = _drawn(network, batch, _numbers(batch, noise, int(limits.max()), count), tags)
    ends = (drawn == EOS).long()
    lengths = torch.where(ends.any(dim=1), ends.argmax(dim=1), drawn.size(1))
    lengths = torch.minimum(lengths, limits.repeat_interleave(count))
    rows = [ids[:length] for ids, length in zip(drawn.tolist(), lengths.tolist(), strict=True)]
    return [rows[begin : begin + count] for begin in range(0, len(rows), count)]


def _numbers(batch: Batch, noise: Noise, steps: int, count: int) -> Tensor:
    """Uniform numbers for each step and row, (steps, N)."""
    like = torch.empty(batch.sentences, steps * count, 1, device=batch.source.device)
    return noise.by_word(like).view(batch.sentences, steps, count).transpose(0, 1).flatten(1)


def _drawn(network: Seq2Seq, batch: Batch, numbers: Tensor, tags: int) -> Tensor:
    """Pieces (N, steps at most); what follows a row's EOS is of no meaning."""
    memory = network.encode(batch.source, batch.source_lengths)
    rows = torch.arange(batch.sentences, device=numbers.device).repeat_interleave(numbers.size(1) // batch.sentences)
    state, source = network.start(memory).select(rows), batch.source[rows]
    pieces, ended = torch.full_like(rows, BOS), torch.zeros_like(rows, dtype=torch.bool)
    drawn: list[Tensor] = []
    for number in numbers:
        step = network.step(pieces, state, memory)
        pieces, state = _draw(network.predict(network.step_readout(step, source)), number, tags), step.state
        drawn.append(pieces)
        ended = ended | (pieces == EOS)
        if bool(ended.all()):
            break
    return torch.stack(drawn, dim=1)


def _draw(scores: Tensor, numbers: Tensor, tags: int) -> Tensor:
    """One piece (N,) for each row of scores (N, V), where the cumulative probability passes its number; none that search bans."""
    scores[:, [PAD, UNK, BOS]] = -torch.inf
    scores[:, scores.size(1) - tags :] = -torch.inf
    cumulative = scores.softmax(dim=-1).cumsum(dim=-1)
    places = torch.searchsorted(cumulative, (numbers * cumulative[:, -1]).unsqueeze(1), right=True).squeeze(1)
    return places.clamp(max=scores.size(1) - tags - 1)
