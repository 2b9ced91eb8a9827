"""The values of the gates of an LSTM encoder along a sentence."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.checkpoint.folder import load_model
from nmt.errors import ModelError
from nmt.model.cells import lstm
from nmt.model.encoder import BidirectionalLayer
from nmt.types import EOS

UNITS = 12  # the number of units that are shown one by one


def gates(layer: Any, inputs: Tensor) -> dict[str, Tensor]:
    """Compute the forget, input and output gates, cell states and outputs (T, H) of an LSTM layer for inputs (T, D)."""
    w_input, w_recurrent, b_input, b_recurrent = layer.fused.all_weights[0]
    state = layer.zero_state(inputs[:1])
    seen: dict[str, list[Tensor]] = {name: [] for name in ("forget", "input", "output", "cell", "hidden")}
    for step in inputs.split(1):
        projected, recurrent = F.linear(step, w_input, b_input), F.linear(state[0], w_recurrent, b_recurrent)
        i, f, _, o = torch.sigmoid(projected + recurrent).chunk(4, dim=-1)
        state = lstm(projected, recurrent, state)
        for name, values in zip(seen, (f, i, o, state[1], state[0]), strict=True):
            seen[name].append(values)
    return {name: torch.cat(values) for name, values in seen.items()}


def read_sentence(folder: str, sentence: str) -> dict[str, Any]:
    """Return the tokens of a sentence, the means of the gates in both directions, and some units of the forward layer.

    The means are over the units. For the cell state, this is the mean of the absolute value. The units shown are those
    whose cell state varies most.
    """
    model = load_model(folder)
    if model.config.model.cell != "lstm":
        raise ModelError(f"{folder}: its cell is {model.config.model.cell}; name a model with cell lstm")
    ids = [*model.tokenizers.source.encode(sentence), EOS]
    embedded = model.network.source_embedding(torch.tensor(ids))
    layer = model.network.encoder.layers[0]
    assert isinstance(layer, BidirectionalLayer)
    forward = gates(layer.forward_layer, embedded)
    backward = {name: values.flip(0) for name, values in gates(layer.backward_layer, embedded.flip(0)).items()}
    units = forward["cell"].std(dim=0, correction=0).topk(min(UNITS, forward["cell"].size(1))).indices
    return {
        "pieces": model.tokenizers.source.tokens(ids),
        "forward": means(forward),
        "backward": means(backward),
        "units": units.tolist(),
        "forget": forward["forget"][:, units].t().tolist(),
        "cell": forward["cell"][:, units].t().tolist(),
    }


def means(seen: dict[str, Tensor]) -> dict[str, list[float]]:
    """Compute the means over the units for each token."""
    return {name: seen[name].abs().mean(dim=1).tolist() for name in ("forget", "input", "output", "cell")}
