"""Measure the parts of an update, and compare its matrix products with the machine's limit."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.data.batch import Batch
from nmt.model.attention import Attention
from nmt.model.autograd.cross_entropy import cross_entropy
from nmt.model.dropout import Randomness
from nmt.model.seq2seq import Seq2Seq, real_targets
from nmt.system.devices import product_dtype

Shape = tuple[int, int, int, int]  # of a product: batch, rows, inner size, columns


class Products(TorchDispatchMode):
    """A context that counts matrix products by shape."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: Counter[Shape] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if name in ("aten::mm", "aten::bmm", "aten::addmm", "aten::addmm_", "aten::baddbmm"):
            left, right = args[-2:] if name in ("aten::mm", "aten::bmm") else args[1:3]
            batch = left.size(0) if left.dim() == 3 else 1
            self.shapes[batch, left.size(-2), left.size(-1), right.size(-1)] += 1
        elif name.startswith("aten::mkldnn_rnn_layer"):
            self._layer(args[0], args[2], backward=name.endswith("backward"))
        elif name.startswith("aten::_cudnn_rnn") and "flatten" not in name:  # one layer in one direction, as we use it
            backward = name.endswith("backward")
            batch_first = args[14 if backward else 10]
            self._layer(args[0].transpose(0, 1) if batch_first else args[0], args[1][1], backward=backward)
        return func(*args, **(kwargs or {}))

    def _layer(self, inputs: Tensor, recurrent: Tensor, *, backward: bool) -> None:
        """Count the products inside the fused LSTM of torch: inputs (T, B, D), recurrent weight (4H, H)."""
        T, B, D = inputs.shape
        G, H = recurrent.shape
        if backward:
            self.shapes[1, T * B, G, D] += 1
            self.shapes[1, B, G, H] += T
            self.shapes[1, G, T * B, D] += 1
            self.shapes[1, G, T * B, H] += 1
        else:
            self.shapes[1, T * B, D, G] += 1
            self.shapes[1, B, H, G] += T

    def operations(self) -> float:
        """Return the number of multiplications and additions."""
        return sum(2.0 * b * m * k * n * count for (b, m, k, n), count in self.shapes.items())


def ceiling(shapes: Counter[Shape], dtype: torch.dtype, device: torch.device) -> float:
    """Measure the seconds of these products if each shape runs alone at its best time."""
    return sum(count * _best(shape, dtype, device) for shape, count in shapes.items())


def _best(shape: Shape, dtype: torch.dtype, device: torch.device) -> float:
    b, m, k, n = shape
    left = torch.randn(b, m, k, dtype=dtype, device=device)
    right = torch.randn(b, n, k, dtype=dtype, device=device).mT
    if b == 1:
        left, right = left[0], right[0]
    tries = max(5, min(50, int(1e10 / (2 * b * m * k * n))))
    return min(_seconds(lambda: left @ right) for _ in range(tries))


def _seconds(function: Callable[[], object]) -> float:
    begin = now()
    function()
    return now() - begin


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """Measure the operations per second of a large matrix product, the most that this machine can do."""
    size = 1024
    return 2.0 * size**3 / _best((1, size, size, size), dtype, device)


def now() -> float:
    """Return the time in seconds after all operations of the GPU, if there is one, have finished.

    Without a GPU, this is the CPU time of the process, so other programs on the core hardly matter.
    """
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


@dataclass
class Parts:
    """The seconds of each part of an update, with a value for each batch."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begin = now()
        yield
        self.seconds.setdefault(name, []).append(now() - begin)

    def medians(self) -> dict[str, float]:
        return {name: median(values) for name, values in self.seconds.items()}


def by_part(
    network: Seq2Seq, batches: Sequence[Batch], dtype: torch.dtype | None, smoothing: float
) -> dict[str, float]:
    """Measure the seconds of encoder, decoder, attention and softmax, forward and backward, on real batches.

    Each part runs alone. The seconds of the decoder include the attention.
    """
    device = network.output.weight.device
    parts, randomness = Parts(), Randomness(generator=torch.Generator(device).manual_seed(1))
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        for batch in batches:
            with parts.part("embeddings and encoder"):
                memory = network.encode(batch.source, batch.source_lengths, randomness)
                (memory.values.float().sum() + memory.keys.float().sum()).backward()
            memory = _leaf(network.encode(batch.source, batch.source_lengths, randomness))
            embedded = network.target_embedding(batch.target).detach().requires_grad_()
            with parts.part("decoder with attention"):
                network.decoder(embedded, memory, randomness).vectors.float().sum().backward()
            attention, hidden = (
                network.decoder.attention,
                embedded.new_zeros(*batch.target.shape, network.config.decoder_size),
            )
            with parts.part("attention alone"):
                _attend(attention, network.config.decoder, hidden.requires_grad_(), memory)
            vectors = network(batch, randomness).vectors.detach().to(product_dtype(embedded)).requires_grad_()
            with parts.part("softmax and loss"):
                cross_entropy(
                    vectors, network.output.weight, network.output.bias, real_targets(batch), smoothing
                ).backward()
            network.zero_grad()
    return parts.medians()


def _attend(attention: Attention, decoder: str, hidden: Tensor, memory: Any) -> None:
    hidden = hidden.to(product_dtype(hidden))
    if decoder == "parallel":
        attention(hidden, memory)[0].float().sum().backward()
        return
    seen = attention.step_memory(memory)
    torch.stack([attention(query.unsqueeze(1), seen)[0] for query in hidden.unbind(dim=1)]).float().sum().backward()


def _leaf(memory: Any) -> Any:
    return type(memory)(
        **{name: value.detach().requires_grad_(value.is_floating_point()) for name, value in vars(memory).items()}
    )
