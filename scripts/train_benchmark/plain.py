"""The reference: the same architecture, written with `nn.LSTM` in float32, without compilation or tuning.

It uses packed sequences, a loop over time for input feeding, elementwise dropout, the logits of the whole batch,
`F.cross_entropy` and Adam.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.config.schema import ModelConfig
from nmt.data.batch import Batch
from nmt.types import BOS, PAD


class PlainSeq2Seq(nn.Module):
    """A bidirectional encoder and a decoder with general attention, each with one layer or more.

    Args:
        config: the architecture. Only the sizes, the numbers of layers and input feeding are used.
    """

    def __init__(self, config: ModelConfig, source_size: int, target_size: int) -> None:
        super().__init__()
        E, C, H = config.embedding_size, config.encoder_size, config.decoder_size
        self.scale = config.embedding_scale
        self.feeding = config.decoder == "input_feeding"
        self.source, self.target = nn.Embedding(source_size, E), nn.Embedding(target_size, E)
        self.encoder = nn.LSTM(E, C // 2, config.encoder_layers, bidirectional=True, batch_first=True)
        self.decoder = nn.LSTM(E + H * self.feeding, H, config.decoder_layers, batch_first=True)
        self.bridge = nn.Linear(C, 2 * config.decoder_layers * H)
        self.query, self.combine = nn.Linear(C, H, bias=False), nn.Linear(H + C, H)
        self.dropout, self.output = nn.Dropout(config.dropout), nn.Linear(H, target_size)

    def forward(self, batch: Batch, label_smoothing: float) -> Tensor:
        """Return the cross entropy, summed over the target tokens."""
        embedded = self.dropout(self.source(batch.source) * self.scale)
        packed = pack_padded_sequence(embedded, batch.source_lengths.cpu(), batch_first=True, enforce_sorted=False)
        values, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        mask = torch.arange(values.size(1), device=values.device) < batch.source_lengths.unsqueeze(1)
        mean = (values * mask.unsqueeze(-1)).sum(1) / batch.source_lengths.unsqueeze(1)
        first = torch.tanh(self.bridge(mean)).view(len(mean), self.decoder.num_layers, 2, -1)
        h, c = first.permute(2, 1, 0, 3).contiguous()
        keys = self.query(values)
        previous = self.dropout(self.target(F.pad(batch.target[:, :-1], (1, 0), value=BOS)) * self.scale)
        if self.feeding:
            vectors, feed = [], torch.zeros_like(h[0])
            for word in previous.unbind(dim=1):
                hidden, (h, c) = self.decoder(torch.cat([word, feed], dim=-1).unsqueeze(1), (h, c))
                feed = self._attend(hidden, keys, values, mask).squeeze(1)
                vectors.append(feed)
            vector = torch.stack(vectors, dim=1)
        else:
            vector = self._attend(self.decoder(previous, (h, c))[0], keys, values, mask)
        logits = self.output(self.dropout(vector)).flatten(0, 1)
        return F.cross_entropy(
            logits, batch.target.flatten(), ignore_index=PAD, label_smoothing=label_smoothing, reduction="sum"
        )

    def _attend(self, hidden: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        scores = (hidden @ keys.mT).masked_fill(~mask.unsqueeze(1), float("-inf"))
        return torch.tanh(self.combine(torch.cat([scores.softmax(dim=-1) @ values, hidden], dim=-1)))
