"""The LSTM for training on a CPU, with an explicit backward pass (back-propagation through time, Werbos 1990).

This backward pass is faster than autograd for three reasons:

- The gradient of each weight matrix is one large product over the whole sequence instead of a sum of small products.
- Activations are recomputed instead of stored. The data between two products then stay in the processor's cache.
- One sigmoid serves all four gates, because tanh(x) = 2 σ(2x) − 1. The tanh of torch takes several times as long.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nmt.model.dropout import apply_mask
from nmt.model.state import CellState

INPUT, FORGET, CANDIDATE, OUTPUT = range(4)  # the gates in torch's order


def lstm_sequence(
    inputs: Tensor, state: CellState, weights: tuple[Tensor, ...], dtype: torch.dtype, mask: Tensor | None = None
) -> Tensor:
    """Run an LSTM over a sequence and return the outputs (T, B, H) of all time steps.

    Args:
        inputs: (T, B, D).
        state: the initial (h, c), (B, H) each.
        weights: W (4H, D), U (4H, H) and the two biases (4H,). The gates have the order i, f, g, o, as in `nn.LSTM`.
        dtype: the type of the products and the outputs. With bfloat16, cell states and activations are still float32.
        mask: a dropout mask (B, H), or None. At every time step, h is multiplied by the mask before the product U h.
    """
    outputs: Tensor = _Sequence.apply(inputs, *state, dtype, mask, *weights)  # type: ignore[no-untyped-call]
    return outputs


def lstm_cell(gates: Tensor, bias: Tensor, c: Tensor) -> CellState:
    """Compute one time step of an LSTM.

    Args:
        gates: W x + U h without bias, (N, 4H).
        bias: the sum of both biases, (4H,).
        c: the cell state before the step, (N, H).

    Returns:
        The state (h, c) after the step, (N, H) each.
    """
    state: CellState = _Cell.apply(gates, bias, c)  # type: ignore[no-untyped-call]
    return state


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        h: Tensor,
        c: Tensor,
        dtype: torch.dtype,
        mask: Tensor | None,
        *weights: Tensor,
    ) -> Tensor:
        T, (w_input, w_recurrent, b_input, b_recurrent) = len(inputs), weights
        inputs, w_input, w_recurrent = inputs.to(dtype).contiguous(), w_input.to(dtype), w_recurrent.to(dtype)
        gates, bias = F.linear(inputs, w_input), b_input + b_recurrent  # (T, B, 4H)
        outputs = gates.new_empty(T + 1, *h.shape)
        cells = gates.new_empty(T + 1, *c.shape, dtype=_wide_type(gates))
        outputs[0], cells[0] = h, c
        for t in range(T):
            gates[t].addmm_(apply_mask(outputs[t], mask), w_recurrent.t())
            _forward(gates[t], bias, cells[t], outputs[t + 1], cells[t + 1])
        ctx.save_for_backward(inputs, gates, bias, outputs, cells, w_input, w_recurrent, mask)
        return outputs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, gates, bias, outputs, cells, w_input, w_recurrent, mask = ctx.saved_tensors
        d_gates, d_h, d_c = torch.empty_like(gates), gradient[-1], torch.zeros_like(cells[0])
        for t in reversed(range(len(gates))):
            d_c = _backward(gates[t], bias, cells[t], cells[t + 1], d_h, d_c, d_gates[t])
            if t and mask is None:
                d_h = torch.addmm(gradient[t - 1], d_gates[t], w_recurrent)
            elif t:
                d_h = torch.addcmul(gradient[t - 1], d_gates[t] @ w_recurrent, mask)
        flat = d_gates.flatten(0, 1)
        d_bias = flat.sum(dim=0, dtype=d_c.dtype)
        return (
            (flat @ w_input).view_as(inputs) if ctx.needs_input_grad[0] else None,
            apply_mask(d_gates[0] @ w_recurrent, mask),
            d_c,
            None,
            None,
            flat.t() @ inputs.flatten(0, 1),
            flat.t() @ apply_mask(outputs[:-1], mask).flatten(0, 1),
            d_bias,
            d_bias,
        )


class _Cell(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, bias: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        c = c.to(_wide_type(gates))
        h, next_c = gates.new_empty(c.shape), torch.empty_like(c)
        _forward(gates, bias, c, h, next_c)
        ctx.save_for_backward(gates, bias, c, next_c)
        return h, next_c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, bias, c, next_c = ctx.saved_tensors
        d_gates = torch.empty_like(gates)
        d_c = _backward(gates, bias, c, next_c, d_h, d_c, d_gates)
        return d_gates, d_gates.sum(dim=0, dtype=bias.dtype), d_c


def _forward(gates: Tensor, bias: Tensor, c: Tensor, h_out: Tensor, c_out: Tensor) -> None:
    """Compute one step from W x + U h (N, 4H) and the previous c. Write h and c (N, H) to `h_out` and `c_out`."""
    i, f, half_g, o = _activate(gates, bias).unbind(dim=1)
    torch.mul(f, c, out=c_out).addcmul_(i, _tanh(half_g))
    torch.mul(o, _tanh(_half_tanh(c_out)), out=h_out)


def _backward(
    gates: Tensor, bias: Tensor, c: Tensor, next_c: Tensor, d_h: Tensor, d_next_c: Tensor, d_gates_out: Tensor
) -> Tensor:
    """Compute the gradients of one step. `d_h` and `d_next_c` are the gradients of h and c after the step.

    Write the gradient of the gates (N, 4H) to `d_gates_out`, and return the gradient of the previous c (N, H).
    """
    activations = _activate(gates, bias)  # (N, 4, H)
    i, f, half_g, o = activations.unbind(dim=1)
    d_h = d_h.to(c.dtype)
    half = _half_tanh(next_c)
    d_c = torch.addcmul(d_next_c, d_h * o, _slopes(half), value=4)
    above = torch.empty_like(activations)  # the gradient of each activation
    torch.mul(d_c, _tanh(half_g), out=above[:, INPUT])
    torch.mul(d_c, c, out=above[:, FORGET])
    torch.mul(d_c, i, out=above[:, CANDIDATE]).mul_(4.0)
    torch.mul(d_h, _tanh(half), out=above[:, OUTPUT])
    torch.mul(above, _slopes(activations), out=d_gates_out.view_as(above))
    return d_c.mul_(f)


def _activate(gates: Tensor, bias: Tensor) -> Tensor:
    """Apply the sigmoid to the pre-activations `gates + bias` (N, 4H) and return the result (N, 4, H).

    The result is σ(x) for the input, forget and output gates, and σ(2x) for the candidate.
    """
    widened = gates.to(_wide_type(gates), copy=True)  # adding tensors of two types is slower
    activations = widened.add_(bias).view(len(gates), 4, -1)
    activations[:, CANDIDATE].mul_(2.0)
    return activations.sigmoid_()


def _half_tanh(x: Tensor) -> Tensor:
    """Return σ(2x). The value and the derivative of tanh(x) are cheap to compute from σ(2x)."""
    return (x * 2.0).sigmoid_()


def _tanh(half: Tensor) -> Tensor:
    """Compute tanh(x) = 2 σ(2x) − 1. `half` is σ(2x)."""
    return (half * 2.0).sub_(1.0)


def _slopes(sigmoids: Tensor) -> Tensor:
    """Return the derivative σ (1 − σ) of sigmoids σ. For σ(2x), this is a quarter of the derivative of tanh(x)."""
    return torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1)


def _wide_type(gates: Tensor) -> torch.dtype:
    """Return the type for cell states and activations: the type of the gates, or float32 if that is wider."""
    return torch.promote_types(gates.dtype, torch.float32)
