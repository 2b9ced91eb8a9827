import pytest
import tiny
import torch

from nmt.config import ModelConfig
from nmt.model.encoder import Encoder, final_outputs, mean_outputs, reversal


def test_reversal_turns_the_pieces_and_leaves_the_padding() -> None:
    assert reversal(torch.tensor([4, 2, 1]), 4).tolist() == [[3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_outputs_equal_a_bidirectional_layer_of_torch_on_packed_sequences(cell: str) -> None:
    encoder = Encoder(ModelConfig(cell=cell, embedding_size=5, encoder_size=8)).double()
    theirs = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell](
        5, 4, batch_first=True, bidirectional=True
    )
    layer = encoder.layers[0]
    weights = dict(layer.forward_layer.fused.state_dict())
    weights |= {f"{name}_reverse": value for name, value in layer.backward_layer.fused.state_dict().items()}
    theirs.double().load_state_dict(weights)
    embedded, lengths = torch.randn(3, 6, 5).double(), torch.tensor([6, 2, 4])
    packed = torch.nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    outputs = encoder(embedded, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(outputs[row, :length], expected[row, :length])


@pytest.mark.parametrize(
    "settings", [{}, {"encoder_layers": 3}, {"encoder_layers": 2, "layer_norm": True}, *tiny.PARTS], ids=str
)
def test_a_sentence_does_not_depend_on_its_padding(settings: dict[str, int]) -> None:
    network = tiny.network(**settings).double()
    batch = tiny.batch()
    together = network.encode(batch.source, batch.source_lengths)
    for row, length in enumerate(batch.source_lengths.tolist()):
        alone = network.encode(batch.source[row : row + 1, :length], batch.source_lengths[row : row + 1])
        torch.testing.assert_close(alone.values[0], together.values[row, :length])
        torch.testing.assert_close(alone.summary[0], together.summary[row])


@pytest.mark.parametrize(
    "settings",
    [{"encoder_layers": 2}, {"encoder_layers": 3, "residual": False}, {"encoder_layers": 3, "layer_norm": True}],
)
def test_depth_residual_and_norm_change_the_outputs(settings: dict[str, int]) -> None:
    batch = tiny.batch()
    outputs = [
        tiny.network(**{"encoder_layers": settings.get("encoder_layers", 1), **changed}).encode(
            batch.source, batch.source_lengths
        )
        for changed in (
            {"encoder_layers": 1} if "residual" not in settings and "layer_norm" not in settings else {},
            settings,
        )
    ]
    assert not torch.allclose(outputs[0].values, outputs[1].values)


def test_dropout_between_layers() -> None:
    network = tiny.network(encoder_layers=2, dropout=0.5)
    batch, noise = tiny.batch(), tiny.noise()
    plain = network.encode(batch.source, batch.source_lengths).values
    assert not torch.allclose(network.encode(batch.source, batch.source_lengths, noise).values, plain)


def test_summaries() -> None:
    outputs = torch.arange(12.0).view(1, 3, 4).repeat(2, 1, 1)
    lengths = torch.tensor([3, 2])
    assert final_outputs(outputs, lengths).tolist() == [[8.0, 9.0, 2.0, 3.0], [4.0, 5.0, 2.0, 3.0]]
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert mean_outputs(outputs, mask).tolist() == [[4.0, 5.0, 6.0, 7.0], [2.0, 3.0, 4.0, 5.0]]
