"""Translations sampled in training: a pure function of the weights, the sentence and its randomness."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from nmt.model.dropout import Randomness
from nmt.model.seq2seq import Seq2Seq
from nmt.types import BOS, EOS, Batch


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """torch.no_grad that also clears autocast's cache, whose weights, cast without a gradient, would never get one."""
    with torch.no_grad():
        try:
            yield
        finally:
            torch.clear_autocast_cache()


def sample_translations(
    network: Seq2Seq, batch: Batch, randomness: Randomness, count: int, producible: Tensor
) -> list[list[list[int]]]:
    """Sample `count` translations of each sentence, ids without EOS, token by token from the softmax without dropout.

    A sample ends after twice the tokens of the reference plus ten.

    Args:
        network: the model.
        batch: the sentences.
        randomness: what the numbers are drawn from.
        count: samples per sentence.
        producible: mask (V,) of the tokens that a translation may contain.
    """
    limits = 2 * batch.target_lengths + 10
    with without_gradients():
        numbers = _draw_numbers(batch, randomness, int(limits.max()), count)
        drawn = _sample_rows(network, batch, numbers, producible)
    ends = (drawn == EOS).long()
    lengths = torch.where(ends.any(dim=1), ends.argmax(dim=1), drawn.size(1))
    lengths = torch.minimum(lengths, limits.repeat_interleave(count))
    rows = [ids[:length] for ids, length in zip(drawn.tolist(), lengths.tolist(), strict=True)]
    return [rows[begin : begin + count] for begin in range(0, len(rows), count)]


def _draw_numbers(batch: Batch, randomness: Randomness, steps: int, count: int) -> Tensor:
    """Uniform numbers for each step and row, (steps, N)."""
    like = torch.empty(batch.sentences, steps * count, 1, device=batch.source.device)
    return randomness.per_token(like).view(batch.sentences, steps, count).transpose(0, 1).flatten(1)


def _sample_rows(network: Seq2Seq, batch: Batch, numbers: Tensor, producible: Tensor) -> Tensor:
    """Tokens (N, T) for numbers (steps, N), T at most steps. Tokens after a row's EOS are undefined."""
    memory = network.encode(batch.source, batch.source_lengths)
    rows = torch.arange(batch.sentences, device=numbers.device).repeat_interleave(numbers.size(1) // batch.sentences)
    state, source = network.start(memory).select(rows), batch.source[rows]
    tokens, ended = torch.full_like(rows, BOS), torch.zeros_like(rows, dtype=torch.bool)
    drawn: list[Tensor] = []
    for number in numbers:
        step = network.step(tokens, state, memory)
        scores = network.predict(network.step_readout(step, source))
        tokens, state = _draw_tokens(scores, number, producible), step.state
        drawn.append(tokens)
        ended = ended | (tokens == EOS)
        if bool(ended.all()):
            break
    return torch.stack(drawn, dim=1)


def _draw_tokens(scores: Tensor, numbers: Tensor, producible: Tensor) -> Tensor:
    """The token (N,) at which the cumulative probability of scores (N, V) passes the row's number."""
    scores = scores.masked_fill(~producible, -torch.inf)
    cumulative = scores.softmax(dim=-1).cumsum(dim=-1)
    tokens = torch.searchsorted(cumulative, (numbers * cumulative[:, -1]).unsqueeze(1), right=True).squeeze(1)
    return tokens.clamp(max=int(producible.nonzero()[-1]))
