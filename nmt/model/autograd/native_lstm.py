"""The LSTM over whole sequences, for training on a CPU in float32 with the native library."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.autograd.native import LSTMArrays, address, pack, require, run_rows
from nmt.model.dropout import apply_mask
from nmt.model.state import CellState


def native_lstm_sequence(
    inputs: Tensor, state: CellState, weights: tuple[Tensor, ...], mask: Tensor | None = None
) -> Tensor:
    """Run an LSTM over a sequence, as `lstm_sequence` in nmt/model/autograd/lstm.py does, with the same arguments."""
    outputs: Tensor = _Sequence.apply(inputs, *state, mask, *weights)  # type: ignore[no-untyped-call]
    return outputs


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, h: Tensor, c: Tensor, mask: Tensor | None, *weights: Tensor) -> Tensor:
        (T, B, _), H, (w_input, w_recurrent, b_input, b_recurrent) = inputs.shape, h.size(1), weights
        inputs = inputs.contiguous()
        gates = torch.addmm(b_input + b_recurrent, inputs.flatten(0, 1), w_input.t()).view(T, B, 4 * H)
        left, cells = inputs.new_empty(T + 1, B, H), inputs.new_empty(T + 1, B, H)
        left[0], cells[0] = apply_mask(h, mask), c
        outputs = left[1:] if mask is None else inputs.new_empty(T, B, H)
        packed = pack(w_recurrent.t())
        layer = LSTMArrays(
            inputs=0, size=H, weights=address(packed), state_mask=address(mask), left=address(left),
            gates=address(gates), cells=address(cells),
        )  # fmt: skip
        given = None if mask is None else address(outputs)
        native = require()
        run_rows(lambda first, rows: native.nmt_lstm_forward(ctypes.byref(layer), T, B, first, rows, given), B)
        ctx.save_for_backward(inputs, gates, left, cells, w_input, w_recurrent, mask)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, gates, left, cells, w_input, w_recurrent, mask = ctx.saved_tensors
        (T, B, _), gradient, packed = inputs.shape, gradient.contiguous(), pack(w_recurrent)
        d_gates, d_h, d_c = torch.empty_like(gates), torch.zeros_like(cells[0]), torch.zeros_like(cells[0])
        layer = LSTMArrays(
            inputs=0, size=d_h.size(1), transposed=address(packed), state_mask=address(mask), gates=address(gates),
            cells=address(cells), d_gates=address(d_gates), d_hidden=address(d_h), d_cell=address(d_c),
        )  # fmt: skip
        given, native = address(gradient), require()
        run_rows(lambda first, rows: native.nmt_lstm_backward(ctypes.byref(layer), T, B, first, rows, given), B)
        flat = d_gates.flatten(0, 1)
        d_bias = flat.sum(dim=0)
        return (
            (flat @ w_input).view_as(inputs) if ctx.needs_input_grad[0] else None,
            d_h,
            d_c,
            None,
            flat.t() @ inputs.flatten(0, 1),
            flat.t() @ left[:-1].flatten(0, 1),
            d_bias,
            d_bias,
        )
