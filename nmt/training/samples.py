"""The sampling of translations in training.

A sample depends only on the weights, the source sentence and the random numbers of this sentence.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from nmt.data.batch import Batch
from nmt.model.dropout import Randomness
from nmt.model.seq2seq import Seq2Seq
from nmt.types import BOS, EOS


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """Disable gradients as torch.no_grad does. At the end of the block, clear the cache of autocast.

    The cache contains weights that the block cast without a gradient. If training used these weights later, they would
    receive no gradient.
    """
    with torch.no_grad():
        try:
            yield
        finally:
            torch.clear_autocast_cache()


def sample_translations(
    network: Seq2Seq, batch: Batch, randomness: Randomness, count: int, producible: Tensor
) -> list[list[list[int]]]:
    """Sample translations of each sentence from the network, token by token and without dropout.

    The length limit of a sample is twice the length of the reference plus ten tokens.

    Args:
        network: the network.
        batch: the source sentences and references.
        randomness: the source of random numbers.
        count: the number of samples per sentence.
        producible: the mask (V,) of the tokens that a translation can contain.

    Returns:
        A list of `count` samples for each sentence, as ids without EOS.
    """
    limits = 2 * batch.target_lengths + 10
    with without_gradients():
        # Draw a uniform random number for each step and row, (steps, N).
        steps = int(limits.max())
        numbers = randomness.per_token(torch.empty(batch.sentences, steps * count, 1, device=batch.source.device))
        numbers = numbers.view(batch.sentences, steps, count).transpose(0, 1).flatten(1)
        drawn = _sample_rows(network, batch, numbers, producible)
    ends = (drawn == EOS).long()
    lengths = torch.where(ends.any(dim=1), ends.argmax(dim=1), drawn.size(1))
    lengths = torch.minimum(lengths, limits.repeat_interleave(count))
    rows = [ids[:length] for ids, length in zip(drawn.tolist(), lengths.tolist(), strict=True)]
    return [rows[begin : begin + count] for begin in range(0, len(rows), count)]


def _sample_rows(network: Seq2Seq, batch: Batch, numbers: Tensor, producible: Tensor) -> Tensor:
    """Sample tokens (N, T) with uniform random numbers (steps, N). Sampling stops early if all rows have ended.

    Only producible tokens are drawn. The tokens after the first EOS of a row are undefined.
    """
    memory = network.encode(batch.source, batch.source_lengths)
    rows = torch.arange(batch.sentences, device=numbers.device).repeat_interleave(numbers.size(1) // batch.sentences)
    state, source = network.start(memory).select(rows), batch.source[rows]
    tokens, ended = torch.full_like(rows, BOS), torch.zeros_like(rows, dtype=torch.bool)
    drawn: list[Tensor] = []
    last = int(producible.nonzero()[-1])
    for number in numbers:
        step = network.step(tokens, state, memory)
        scores = network.predict(network.step_readout(step, source)).masked_fill(~producible, -torch.inf)
        # Draw the first token whose cumulative probability exceeds the random number of the row.
        cumulative = scores.softmax(dim=-1).cumsum(dim=-1)
        tokens = torch.searchsorted(cumulative, (number * cumulative[:, -1]).unsqueeze(1), right=True).squeeze(1)
        tokens, state = tokens.clamp(max=last), step.state
        drawn.append(tokens)
        ended = ended | (tokens == EOS)
        if bool(ended.all()):
            break
    return torch.stack(drawn, dim=1)
