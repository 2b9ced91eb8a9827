"""The whole network: embeddings, encoder, decoder, softmax."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from nmt.config import ModelConfig
from nmt.model.decoder import DECODERS
from nmt.model.dropout import Noise, shared_dropout, word_dropout
from nmt.model.encoder import Encoder, mean_outputs
from nmt.model.layer import RecurrentLayer
from nmt.model.loss import cross_entropy
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
        self.target_embedding = nn.Embedding(target_size, E)
        three_way = config.tied_embeddings == "three_way"
        self.source_embedding = self.target_embedding if three_way else nn.Embedding(source_size, E)
        self.encoder = Encoder(config)
        self.decoder = DECODERS[config.decoder](config)
        # Tied weights have the embeddings' size, so the attentional vector is brought to it first.
        tied = config.tied_embeddings != "none"
        self.shrink = nn.Linear(H, E, bias=False) if tied and E != H else nn.Identity()
        self.output = nn.Linear(E if tied else H, target_size)
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
        if self.config.tied_embeddings != "none":  # the softmax's turn came last, but these are embeddings first
            nn.init.normal_(self.output.weight, std=self.config.embedding_size**-0.5, generator=generator)

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
        vectors, weights, state = self.decoder.step(embedded, state, memory)
        return Step(vectors=self.shrink(vectors), attention=weights, state=state)

    def forward(self, batch: Batch, noise: Noise | None = None, label_smoothing: float = 0.0) -> Tensor:
        """Teacher forcing: the cross entropy of the real target pieces, summed, in nats.

        The dropout masks are drawn from `noise`; without it there is no dropout.
        """
        vectors = self.vectors(batch, noise)
        return cross_entropy(vectors, self.output.weight, self.output.bias, real_targets(batch), label_smoothing)

    def vectors(self, batch: Batch, noise: Noise | None = None) -> Tensor:
        """What `logits` takes, (real target pieces, H or E), sentence by sentence, aligned with `real_targets`."""
        memory = self.encode(batch.source, batch.source_lengths, noise)
        previous = F.pad(batch.target[:, :-1], (1, 0), value=BOS)
        embedded = self._embed(self.target_embedding, previous, noise)
        vectors = self.decoder(embedded, memory, noise)
        vectors = shared_dropout(vectors, self.config.output_dropout, noise)
        return self.shrink(vectors[target_mask(batch)])  # type: ignore[no-any-return] # no softmax at padding

    def logits(self, vectors: Tensor) -> Tensor:
        """Scores of the vocabulary, (N, V)."""
        return self.output(vectors)  # type: ignore[no-any-return]

    def _embed(self, embedding: nn.Embedding, ids: Tensor, noise: Noise | None) -> Tensor:
        embedded = word_dropout(embedding(ids), self.config.word_dropout, noise)
        return shared_dropout(embedded, self.config.embedding_dropout, noise)


def target_mask(batch: Batch) -> Tensor:
    """True at the real target pieces, (B, T)."""
    return torch.arange(batch.target.size(1), device=batch.target.device) < batch.target_lengths.unsqueeze(1)


def real_targets(batch: Batch) -> Tensor:
    """The target pieces without padding, sentence by sentence: what `Seq2Seq.vectors` shall predict."""
    return batch.target[target_mask(batch)]
