import pytest
import tiny
import torch

from nmt.model.classics.stacks import ForwardLayer
from nmt.model.encoder import BidirectionalLayer, Encoder, final_outputs, mean_outputs, reverse_positions
from nmt.model.layer import RecurrentLayer


def test_reverse_keeps_padding_at_the_end() -> None:
    assert reverse_positions(torch.tensor([4, 2, 1]), 4).tolist() == [[3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_outputs_equal_a_bidirectional_layer_of_torch_on_packed_sequences(cell: str) -> None:
    encoder = Encoder(tiny.model_config(cell=cell, embedding_size=5, encoder_size=8)).double()
    theirs = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell](
        5, 4, batch_first=True, bidirectional=True
    )
    layer = encoder.layers[0]
    assert isinstance(layer, BidirectionalLayer)
    weights = dict(tiny.fused(layer.forward_layer).state_dict())
    weights |= {f"{name}_reverse": value for name, value in tiny.fused(layer.backward_layer).state_dict().items()}
    theirs.double().load_state_dict(weights)
    embedded, lengths = torch.randn(3, 6, 5).double(), torch.tensor([6, 2, 4])
    packed = torch.nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    outputs = encoder(embedded, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(outputs[row, :length], expected[row, :length])


def reads(layer: RecurrentLayer, inputs: torch.Tensor, *, backwards: bool) -> torch.Tensor:
    """Outputs (S, H) of a sentence (S, D) by torch's own layer, flipped before and after where it reads backwards."""
    inputs = inputs.flip(0) if backwards else inputs
    outputs: torch.Tensor = tiny.fused(layer)(inputs)[0]
    return outputs.flip(0) if backwards else outputs


@pytest.mark.parametrize("residual", [True, False])
def test_gnmt_is_forward_above_the_first_layer(residual: bool) -> None:
    network, batch = tiny.network(encoder_stack="gnmt", encoder_layers=3, residual=residual).double(), tiny.batch()
    embedded = network.source_embedding(batch.source)
    outputs = network.encoder(embedded, batch.source_lengths)
    first, *above = network.encoder.layers
    assert isinstance(first, BidirectionalLayer)
    for row, length in enumerate(batch.source_lengths.tolist()):
        sentence = embedded[row, :length]
        both = [
            reads(first.forward_layer, sentence, backwards=False),
            reads(first.backward_layer, sentence, backwards=True),
        ]
        hidden = torch.cat(both, dim=-1)
        for layer in above:
            assert isinstance(layer, ForwardLayer)
            found = reads(layer.forward_layer, hidden, backwards=False)
            hidden = hidden + found if residual else found
        torch.testing.assert_close(outputs[row, :length], hidden)
        torch.testing.assert_close(network.encoder.final(outputs, batch.source_lengths)[row], hidden[-1])


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("layers", [2, 3])
def test_alternating_stacks_change_direction(layers: int, residual: bool) -> None:
    network = tiny.network(encoder_stack="alternating", encoder_layers=layers, residual=residual).double()
    batch = tiny.batch()
    embedded = network.source_embedding(batch.source)
    outputs = network.encoder(embedded, batch.source_lengths)
    for row, length in enumerate(batch.source_lengths.tolist()):
        ends = {}
        for begins_backwards in (False, True):
            hidden, backwards = embedded[row, :length], begins_backwards
            for index, layer in enumerate(network.encoder.layers):
                assert isinstance(layer, BidirectionalLayer)
                found = reads(layer.backward_layer if backwards else layer.forward_layer, hidden, backwards=backwards)
                hidden, backwards = hidden + found if index and residual else found, not backwards
            ends[not backwards] = hidden  # by the direction of its last layer
        torch.testing.assert_close(outputs[row, :length], torch.cat([ends[False], ends[True]], dim=-1))
        final = torch.cat([ends[False][-1], ends[True][0]])
        torch.testing.assert_close(network.encoder.final(outputs, batch.source_lengths)[row], final)


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
    batch, randomness = tiny.batch(), tiny.randomness()
    plain = network.encode(batch.source, batch.source_lengths).values
    assert not torch.allclose(network.encode(batch.source, batch.source_lengths, randomness).values, plain)


def test_summaries() -> None:
    outputs = torch.arange(12.0).view(1, 3, 4).repeat(2, 1, 1)
    lengths = torch.tensor([3, 2])
    assert final_outputs(outputs, lengths).tolist() == [[8.0, 9.0, 2.0, 3.0], [4.0, 5.0, 2.0, 3.0]]
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert mean_outputs(outputs, mask).tolist() == [[4.0, 5.0, 6.0, 7.0], [2.0, 3.0, 4.0, 5.0]]
