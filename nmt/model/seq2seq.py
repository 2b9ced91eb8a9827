"""The whole network: embeddings, encoder, decoder and output layer."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from nmt.config.schema import ModelConfig
from nmt.data.batch import Batch
from nmt.model.classics.conditional import ConditionalDecoder
from nmt.model.classics.copy import CopyOutput
from nmt.model.classics.stacks import AlternatingLayer, ForwardLayer
from nmt.model.decoder import InputFeedingDecoder, ParallelDecoder
from nmt.model.dropout import Randomness, shared_dropout
from nmt.model.embedding import Embedding
from nmt.model.encoder import BidirectionalLayer, Encoder, mean_outputs
from nmt.model.layer import RecurrentLayer
from nmt.model.output import Readout, SoftmaxOutput
from nmt.model.state import DecoderState, Memory, Step
from nmt.types import BOS

STACKS: dict[str, type[BidirectionalLayer] | type[ForwardLayer] | type[AlternatingLayer]] = {
    "bidirectional": BidirectionalLayer,
    "gnmt": ForwardLayer,
    "alternating": AlternatingLayer,
}
"""The classes of the encoder layers above the first. The keys are the values of `model.encoder_stack`."""

DECODERS: dict[str, type[InputFeedingDecoder] | type[ParallelDecoder] | type[ConditionalDecoder]] = {
    "input_feeding": InputFeedingDecoder,
    "parallel": ParallelDecoder,
    "conditional": ConditionalDecoder,
}

OUTPUTS: dict[str, type[SoftmaxOutput] | type[CopyOutput]] = {"softmax": SoftmaxOutput, "copy": CopyOutput}


class Seq2Seq(nn.Module):
    """A recurrent encoder and a decoder with attention (Bahdanau et al. 2015; Luong et al. 2015).

    Args:
        config: the architecture.
        source_size, target_size: the sizes of the vocabularies. With three-way tying, they must be equal.
        generator: the random generator for the initial weights. None leaves weights uninitialized, for a caller that
            loads weights.
    """

    def __init__(self, config: ModelConfig, *, source_size: int, target_size: int, generator: Generator | None) -> None:
        super().__init__()
        E, H, scale = config.embedding_size, config.decoder_size, config.embedding_scale
        self.config = config
        self.source_size, self.target_size = source_size, target_size
        self.target_embedding = Embedding(target_size, E, scale)
        three_way = config.tied_embeddings == "three_way"
        self.source_embedding = self.target_embedding if three_way else Embedding(source_size, E, scale)
        self.encoder = Encoder(config, STACKS[config.encoder_stack])
        self.decoder = DECODERS[config.decoder](config)
        # If the output layer shares the weights of the embeddings, it needs vectors of the embedding size.
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
        # For a large vocabulary, Glorot initialization would make these weights too small, and thereby all scores.
        nn.init.normal_(self.output.weight, std=self.output.in_features**-0.5, generator=generator)

    def encode(self, source: Tensor, lengths: Tensor, randomness: Randomness | None = None) -> Memory:
        """Encode source ids (B, S) with lengths (B,)."""
        embedded = self._embed(self.source_embedding, source, randomness)  # (B, S, E)
        values = self.encoder(embedded, lengths, randomness)  # (B, S, H)
        mask = torch.arange(source.size(1), device=source.device) < lengths.unsqueeze(1)
        summary = mean_outputs(values, mask) if self.config.bridge == "mean" else self.encoder.final(values, lengths)
        return Memory(values=values, keys=self.decoder.attention.project(values), mask=mask, summary=summary)

    def start(self, memory: Memory) -> DecoderState:
        """Return the decoder's state before the first token, with B rows."""
        return self.decoder.start(memory)

    def step(self, tokens: Tensor, state: DecoderState, memory: Memory) -> Step:
        """Decode one target position of every hypothesis.

        Row b·K + k of a tensor belongs to hypothesis k of sentence b.

        Args:
            tokens: the last token of each hypothesis, (N,). In the first step, all tokens are BOS.
            state: the state before the step.
            memory: the encoded sentences.
        """
        decoded, state = self.decoder.step(self.target_embedding(tokens), state, memory)
        return Step(vectors=self.project(decoded.vectors), attention=decoded.attention, state=state)

    def forward(self, batch: Batch, randomness: Randomness | None = None) -> Readout:
        """Run the network with teacher forcing. Return a readout with one row per target token, without padding.

        The rows have the order of `real_targets`. Dropout masks are drawn from `randomness`. If `randomness` is None,
        nothing is dropped.
        """
        memory = self.encode(batch.source, batch.source_lengths, randomness)
        previous = F.pad(batch.target[:, :-1], (1, 0), value=BOS)
        embedded = self._embed(self.target_embedding, previous, randomness)  # (B, T, E)
        decoded = self.decoder(embedded, memory, randomness)
        vectors = shared_dropout(decoded.vectors, self.config.output_dropout, randomness)  # (B, T, H)
        mask = target_mask(batch)  # used to remove padding before the softmax
        columns = batch.source.unsqueeze(1).expand_as(decoded.attention)[mask] if self.output.copies else None
        return Readout(vectors=self.project(vectors[mask]), attention=decoded.attention[mask], columns=columns)

    def step_readout(self, step: Step, source: Tensor) -> Readout:
        """Return the readout of a step, with one row per hypothesis. `source` (N, S) are the source ids of each row."""
        columns = source if self.output.copies else None
        return Readout(vectors=step.vectors, attention=step.attention, columns=columns)

    def predict(self, readout: Readout) -> Tensor:
        """Compute log-probabilities (R, V) over the whole vocabulary, in float32 or a wider type."""
        return self.output.log_probabilities(readout, self.output.log_softmax)

    def _embed(self, embedding: Embedding, ids: Tensor, randomness: Randomness | None) -> Tensor:
        return shared_dropout(embedding(ids), self.config.embedding_dropout, randomness)


def target_mask(batch: Batch) -> Tensor:
    """Return a mask (B, T) that is True at target tokens and False at padding."""
    return torch.arange(batch.target.size(1), device=batch.target.device) < batch.target_lengths.unsqueeze(1)


def real_targets(batch: Batch) -> Tensor:
    """Return the target tokens (R,) without padding, sentence by sentence. Row r of a readout predicts token r."""
    return batch.target[target_mask(batch)]
