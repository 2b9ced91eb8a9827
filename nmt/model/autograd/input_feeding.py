"""The loop of a decoder with input feeding, for training on a CPU with the native library.

All time steps are one call forward and one call backward (nmt/native/train_decoder.h). Two rearrangements leave only
what depends on the step before in the loop:

- The part of the first layer's gates that depends on the embeddings is one product before the loop.
- In tanh(W [c; h] + b), the product of W with the context c = Σ a_s v_s is Σ a_s (W v_s). The products W v_s are
  computed before the loop, once for each source token.

The gradients of weights, keys and values are products over all time steps, after the loop.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.autograd.native import DecoderArrays, LSTMArrays, NormArrays, address, pack, require, run_rows


@dataclass(frozen=True, kw_only=True)
class FeedingLayer:
    """An LSTM layer of the decoder, its initial state, its dropout masks, and the normalization of its outputs."""

    weights: tuple[Tensor, Tensor, Tensor, Tensor]  # W (4H, E + H or H), U (4H, H) and the two biases (4H,)
    state: tuple[Tensor, Tensor]  # h and c, (B, H)
    input_mask: Tensor | None  # (B, H); None in the first layer
    state_mask: Tensor | None  # (B, H)
    norm: tuple[Tensor, Tensor] | None  # the gain and the bias (H,); either all layers have them or none


def decode_with_feeding(
    embedded: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    layers: Sequence[FeedingLayer],
    combine: tuple[Tensor, Tensor],
    *,
    residual: bool,
) -> tuple[Tensor, Tensor]:
    """Run the decoder over all target positions.

    Args:
        embedded: the embedding of the token before each position, (B, T, E).
        keys, values: (B, S, H) and (B, S, C). Attention is the softmax of the products of keys and queries.
        mask: (B, S) bool, True at source tokens.
        layers: the layers, from the bottom up. The first reads the embedding and the attentional vector.
        combine: the weight (H, C + H) and the bias (H,) of the attentional vector.
        residual: whether each layer above the first adds its input to its output.

    Returns:
        The attentional vectors (B, T, H) and the attention weights (B, T, S).
    """
    flat = [tensor for layer in layers for tensor in (*layer.weights, *layer.state, *(layer.norm or ()))]
    masks = [(layer.input_mask, layer.state_mask) for layer in layers]
    vectors, attention = _Loop.apply(embedded, keys, values, mask, *combine, masks, residual, *flat)  # type: ignore[no-untyped-call]
    return vectors.transpose(0, 1), attention


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        embedded: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        w_combine: Tensor,
        b_combine: Tensor,
        masks: list[tuple[Tensor | None, Tensor | None]],
        residual: bool,
        *flat: Tensor,
    ) -> tuple[Tensor, Tensor]:
        (B, T, E), H, (S, C) = embedded.shape, len(b_combine), values.shape[1:]
        inputs = embedded.transpose(0, 1).contiguous()  # (T, B, E)
        keys, values, mask = keys.contiguous(), values.contiguous(), mask.contiguous()
        products = (values.view(-1, C) @ w_combine[:, :C].t()).view(B, S, H)
        used: list[Tensor] = []
        saved: list[Tensor] = []
        lstms, norms = [], []
        each = len(flat) // len(masks)  # the number of tensors of each layer
        for index, (input_mask, state_mask) in enumerate(masks):
            w_input, w_recurrent, b_input, b_recurrent, h, c, *norm = flat[each * index : each * (index + 1)]
            bias = b_input + b_recurrent
            if index:
                gates = embedded.new_empty(T, B, 4 * H)
            else:
                gates = torch.addmm(bias, inputs.flatten(0, 1), w_input[:, :E].t()).view(T, B, 4 * H)
                w_input = w_input[:, E:]
            joint = torch.cat([w_input, w_recurrent], dim=1)  # (4H, 2H)
            left, cells = embedded.new_empty(T + 1, B, 2 * H), embedded.new_empty(T + 1, B, H)
            left[0, :, :H] = 0
            left[0, :, H:] = h if state_mask is None else h * state_mask
            cells[0] = c
            packed = pack(joint.t())
            added = bias if index else None
            lstms.append(_arrays((input_mask, state_mask), left, gates, cells, weights=packed, bias=added))
            used += [packed, bias]  # they must live until the end of the loop
            saved += [joint, left, gates, cells]
            if norm:
                saved += [norm[0], embedded.new_empty(T, B, H), embedded.new_empty(T, B)]
                norms.append(_norm_arrays(*saved[-3:], bias=norm[1]))
        vectors, queries = embedded.new_empty(T, B, H), embedded.new_empty(T, B, H)
        attention = embedded.new_empty(B, T, S)
        packed = pack(w_combine[:, C:].t())
        decoder = DecoderArrays(
            steps=T, batch=B, size=H, sources=S, layers=len(lstms), residual=residual,
            lstms=(LSTMArrays * len(lstms))(*lstms), norms=_array(norms), keys=address(keys), values=address(products),
            mask=address(mask), weights=address(packed), bias=address(b_combine), queries=address(queries),
            vectors=address(vectors), attention=address(attention),
        )  # fmt: skip
        native = require()
        run_rows(lambda first, rows: native.nmt_decoder_forward(ctypes.byref(decoder), first, rows), B)
        weights = [tensor for index in range(len(masks)) for tensor in flat[each * index : each * index + 2]]
        ctx.save_for_backward(
            inputs, keys, values, products, mask, w_combine, queries, vectors, attention, *saved, *weights
        )
        ctx.masks, ctx.residual = masks, residual
        ctx.set_materialize_grads(False)
        return vectors, attention

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_vectors: Tensor | None, d_attention: Tensor | None) -> tuple[Any, ...]:
        inputs, keys, values, products, mask, w_combine, queries, vectors, attention, *rest = ctx.saved_tensors
        (T, B, H), S, E, L = vectors.shape, keys.size(1), inputs.size(2), len(ctx.masks)
        C, each = values.size(2), len(rest) // L - 2  # the number of tensors of each layer, without its two weights
        saved, weights = [rest[each * index : each * (index + 1)] for index in range(L)], rest[each * L :]
        d_vectors = torch.zeros_like(vectors) if d_vectors is None else d_vectors.contiguous()
        d_attention = None if d_attention is None else d_attention.contiguous()
        d_gates = [torch.empty_like(gates) for _, _, gates, *_ in saved]
        d_states = [(vectors.new_zeros(B, H), vectors.new_zeros(B, H)) for _ in saved]
        d_sums, d_scores = torch.empty_like(vectors), torch.empty_like(attention)
        packs = [pack(joint) for joint, *_ in saved]
        lstms = [
            _arrays(mask, left, gates, cells, transposed=packed, gradients=(d_gate, *d_state))
            for mask, (_, left, gates, cells, *_), packed, d_gate, d_state in zip(
                ctx.masks, saved, packs, d_gates, d_states, strict=True
            )
        ]
        d_outputs = [torch.empty_like(normalized) for *_, normalized, _ in saved] if each > 4 else []
        norms = [
            _norm_arrays(*of_norm, d_outputs=d_output)
            for (_, _, _, _, *of_norm), d_output in zip(saved, d_outputs, strict=False)
        ]
        packed = pack(w_combine[:, C:])
        decoder = DecoderArrays(
            steps=T, batch=B, size=H, sources=S, layers=L, residual=ctx.residual, lstms=(LSTMArrays * L)(*lstms),
            norms=_array(norms), keys=address(keys), values=address(products), mask=address(mask),
            transposed=address(packed), vectors=address(vectors), attention=address(attention),
            d_vectors=address(d_vectors), d_attention=address(d_attention), d_sums=address(d_sums),
            d_scores=address(d_scores),
        )  # fmt: skip
        native = require()
        run_rows(lambda first, rows: native.nmt_decoder_backward(ctypes.byref(decoder), first, rows), B)

        d_keys = d_scores.mT @ queries.transpose(0, 1)  # (B, S, H)
        d_products = (attention.mT @ d_sums.transpose(0, 1)).flatten(0, 1)
        d_values = (d_products @ w_combine[:, :C]).view_as(values)
        flat_sums = d_sums.flatten(0, 1)
        d_combine = torch.empty_like(w_combine)
        d_combine[:, :C] = d_products.t() @ values.flatten(0, 1)
        d_combine[:, C:] = flat_sums.t() @ queries.flatten(0, 1)
        d_layers: list[Tensor] = []
        for index, (_, left, _, _, *of_norm) in enumerate(saved):
            flat, factors = d_gates[index].flatten(0, 1), left[:-1].flatten(0, 1)
            d_input = torch.empty_like(weights[2 * index])
            if not index:
                d_input[:, :E] = flat.t() @ inputs.flatten(0, 1)
            d_joint = flat.t() @ factors  # (4H, 2H)
            d_input[:, -H:] = d_joint[:, :H]
            d_bias = flat.sum(dim=0)
            d_layers += [d_input, d_joint[:, H:], d_bias, d_bias, *d_states[index]]
            if of_norm:
                _, normalized, _ = of_norm
                d_layers += [(d_outputs[index] * normalized).sum(dim=(0, 1)), d_outputs[index].sum(dim=(0, 1))]
        d_embedded = (d_gates[0].flatten(0, 1) @ weights[0][:, :E]).view_as(inputs).transpose(0, 1)
        return d_embedded, d_keys, d_values, None, d_combine, flat_sums.sum(dim=0), None, None, *d_layers


def _arrays(
    masks: tuple[Tensor | None, Tensor | None],
    left: Tensor,
    gates: Tensor,
    cells: Tensor,
    *,
    weights: Tensor | None = None,
    transposed: Tensor | None = None,
    bias: Tensor | None = None,
    gradients: tuple[Tensor | None, ...] = (None, None, None),
) -> LSTMArrays:
    d_gates, d_hidden, d_cell = map(address, gradients)
    (input_mask, state_mask), H = masks, cells.size(-1)
    return LSTMArrays(
        inputs=H, size=H, weights=address(weights), transposed=address(transposed), bias=address(bias),
        input_mask=address(input_mask), state_mask=address(state_mask), left=address(left), gates=address(gates),
        cells=address(cells), d_gates=d_gates, d_hidden=d_hidden, d_cell=d_cell,
    )  # fmt: skip


def _norm_arrays(
    gain: Tensor,
    normalized: Tensor,
    scales: Tensor,
    *,
    bias: Tensor | None = None,
    d_outputs: Tensor | None = None,
) -> NormArrays:
    return NormArrays(
        gain=address(gain), bias=address(bias), normalized=address(normalized),
        scales=address(scales), d_outputs=address(d_outputs),
    )  # fmt: skip


def _array(norms: Sequence[NormArrays]) -> Any:
    """Return an array of C, or None if there is no layer normalization."""
    return (NormArrays * len(norms))(*norms) if norms else None
