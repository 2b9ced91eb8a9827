"""The whole network: embeddings, encoder, decoder, softmax."""

import dataclasses

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from nmt.config.schema import ModelConfig
from nmt.model.autograd.cross_entropy import guided_attention
from nmt.model.decoder import DECODERS
from nmt.model.dropout import Noise, shared_dropout, word_dropout
from nmt.model.embedding import Embedding
from nmt.model.encoder import Encoder, mean_outputs
from nmt.model.layer import RecurrentLayer
from nmt.model.output import OUTPUTS, Readout
from nmt.model.state import DecoderState, Memory, Step
from nmt.types import BOS, Batch


class Seq2Seq(nn.Module):
    """A recurrent encoder and an attention decoder (Bahdanau et al. 2015; Luong et al. 2015).

    Args:
        config: the architecture.
        source_size, target_size: vocabulary sizes; with three-way tying they are equal.
        generator: where the initial weights come from; None where they will be read from a file.
    """

    def __init__(self, config: ModelConfig, *, source_size: int, target_size: int, generator: Generator | None) -> None:
        super().__init__()
        E, H = config.embedding_size, config.decoder_size
        self.config = config
        self.source_size, self.target_size = source_size, target_size
        self.target_embedding = Embedding(target_size, E, config.embedding_scale)
        three_way = config.tied_embeddings == "three_way"
        self.source_embedding = (
            self.target_embedding if three_way else Embedding(source_size, E, config.embedding_scale)
        )
        self.encoder = Encoder(config)
        self.decoder = DECODERS[config.decoder](config)
        # Tied weights have the embeddings' size, and their scale: the attentional vector is brought to it first.
        tied = config.tied_embeddings != "none"
        self.project = nn.Linear(H, E, bias=False) if tied else nn.Identity()
        self.output = OUTPUTS[config.output](E if tied else H, target_size)
        if tied:
            self.output.weight = self.target_embedding.weight
        if generator:
            self._initialize(generator)

    def _initialize(self, generator: Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, RecurrentLayer):
                module.initialize(self.config.forget_bias, generator)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=module.embedding_dim**-0.5, generator=generator)
        # Glorot's rule would make the softmax's weights small, since so many pieces share them, and all scores with them.
        nn.init.normal_(self.output.weight, std=self.output.in_features**-0.5, generator=generator)

    def encode(self, source: Tensor, lengths: Tensor, noise: Noise | None = None) -> Memory:
        """Memory of source ids (B, S) with lengths (B,)."""
        embedded = self._embed(self.source_embedding, source, noise)
        values = self.encoder(embedded, lengths, noise)
        mask = torch.arange(source.size(1), device=source.device) < lengths.unsqueeze(1)
        summary = mean_outputs(values, mask) if self.config.bridge == "mean" else self.encoder.final(values, lengths)
        return Memory(values=values, keys=self.decoder.attention.project(values), mask=mask, summary=summary)

    def start(self, memory: Memory) -> DecoderState:
        """The decoder's state before the first piece, B rows."""
        return self.decoder.start(memory)

    def step(self, tokens: Tensor, state: DecoderState, memory: Memory) -> Step:
        """What predicts the next pieces after `tokens` (N,), BOS first. Row b·K + k is hypothesis k of sentence b."""
        embedded = self.target_embedding(tokens)
        decoded, state = self.decoder.step(embedded, state, memory)
        return Step(vectors=self.project(decoded.vectors), attention=decoded.attention, state=state)

    def forward(
        self,
        batch: Batch,
        noise: Noise | None = None,
        label_smoothing: float = 0.0,
        *,
        r_drop: float = 0.0,
        guide: Tensor | None = None,
    ) -> Tensor:
        """Teacher forcing: the cross entropy of the real target pieces, summed, in nats, and what the other losses add.

        The dropout masks are drawn from `noise`; without it there is no dropout. With `r_drop` the loss is the mean of two passes
        with masks of their own, and what the output layer adds for their disagreement. `guide`: what attention is to look at,
        (B, T, S), times the weight of this loss.
        """
        twice = bool(r_drop and noise)
        if noise and twice:
            batch, noise = batch.twice(), dataclasses.replace(noise, passes=2)
            guide = None if guide is None else guide.repeat(2, 1, 1)
        readout, attention = self._readout(batch, noise)
        targets = real_targets(batch)
        if twice:
            one_pass, other = torch.arange(len(targets), device=targets.device).chunk(2)
            pairs = torch.stack([one_pass, other], dim=1).flatten()
            readout, targets = readout.select(pairs), targets[pairs]
        loss = self.output.loss(readout, targets, label_smoothing, r_drop if twice else 0.0)
        if guide is not None:
            loss = loss + guided_attention(attention, guide)
        return loss / 2 if twice else loss

    def readout(self, batch: Batch, noise: Noise | None = None) -> Readout:
        """What predicts the real target pieces, a row for each, sentence by sentence, aligned with `real_targets`."""
        return self._readout(batch, noise)[0]

    def step_readout(self, step: Step, source: Tensor) -> Readout:
        """What predicts the next pieces after a step, a row for each hypothesis; `source`: ids (N, S) of its sentence."""
        columns = source if self.output.copies else None
        return Readout(vectors=step.vectors, attention=step.attention, columns=columns)

    def predict(self, readout: Readout) -> Tensor:
        """Log-probabilities of the whole vocabulary, (R, V), float32 at least."""
        return self.output.log_probabilities(readout, self.output.log_softmax)

    def _readout(self, batch: Batch, noise: Noise | None) -> tuple[Readout, Tensor]:
        """What predicts the real target pieces, and the attention weights of all, (B, T, S)."""
        memory = self.encode(batch.source, batch.source_lengths, noise)
        previous = F.pad(batch.target[:, :-1], (1, 0), value=BOS)
        embedded = self._embed(self.target_embedding, previous, noise)
        decoded = self.decoder(embedded, memory, noise)
        attention = decoded.attention
        vectors = shared_dropout(decoded.vectors, self.config.output_dropout, noise)
        mask = target_mask(batch)  # no softmax at padding
        columns = batch.source.unsqueeze(1).expand_as(attention)[mask] if self.output.copies else None
        return Readout(vectors=self.project(vectors[mask]), attention=attention[mask], columns=columns), attention

    def _embed(self, embedding: Embedding, ids: Tensor, noise: Noise | None) -> Tensor:
        embedded = word_dropout(embedding(ids), self.config.word_dropout, noise)
        return shared_dropout(embedded, self.config.embedding_dropout, noise)


def target_mask(batch: Batch) -> Tensor:
    """True at the real target pieces, (B, T)."""
    return torch.arange(batch.target.size(1), device=batch.target.device) < batch.target_lengths.unsqueeze(1)


def real_targets(batch: Batch) -> Tensor:
    """The target pieces without padding, sentence by sentence: what `Seq2Seq.readout` shall predict."""
    return batch.target[target_mask(batch)]
