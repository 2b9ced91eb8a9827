import dataclasses

import tiny
import torch


def test_select_repeats_and_reorders_rows() -> None:
    network, batch = tiny.network(decoder="input_feeding", attention="additive", coverage=True), tiny.batch()
    memory = network.encode(batch.source, batch.source_lengths)
    rows = torch.tensor([2, 0, 2])
    chosen = memory.select(rows)
    for name in ("values", "keys", "mask", "summary"):
        assert torch.equal(getattr(chosen, name), getattr(memory, name)[[2, 0, 2]])
    state = network.start(memory)
    picked = state.select(rows)
    assert torch.equal(picked.layers[0][1], state.layers[0][1][[2, 0, 2]])
    assert picked.feed is not None
    moved = dataclasses.replace(state, attention=torch.rand(memory.mask.shape))
    assert moved.attention is not None
    attention = moved.select(rows).attention
    assert attention is not None
    assert torch.equal(attention, moved.attention[[2, 0, 2]])
