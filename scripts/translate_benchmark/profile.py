"""Where translation spends its time, and how near the products of the decoding loop come to the machine's limit."""

import functools
import importlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.search.packed import kernels

LOOP = "search"  # the part that is left of the decoding loop when the parts inside it are taken away
REST = "rest"

PARTS = {
    "nmt.search.loop:decode_batch": LOOP,
    "nmt.search.packed.engine:EngineState.select": LOOP,
    "nmt.model.candidates:Shortlist.candidates": "shortlist",
    "nmt.search.packed.arithmetic:SoftmaxWeights.select_candidates": "shortlist",
    "nmt.search.packed.arithmetic:Int8SoftmaxWeights.select_candidates": "shortlist",
    "nmt.search.packed.engine:Engine.start": "encoder",
    "nmt.search.packed.decoder:EmbeddingTable.__call__": "recurrent layers",
    "nmt.search.packed.decoder:EmbeddingProduct.__call__": "recurrent layers",
    "nmt.search.packed.cells:PackedLayer.step": "recurrent layers",
    "nmt.search.packed.attention:TorchAttention.__call__": "attention",
    "nmt.search.packed.attention:CompiledDotAttention.__call__": "attention",
    "nmt.search.packed.attention:PackedMultiHeadAttention.__call__": "attention",
    "nmt.search.packed.decoder:PackedDecoder.combine_context": "attention",
    "nmt.search.packed.engine:Engine.step": "output and softmax",
    "nmt.tokenizers.subword:SubwordTokenizer.encode": "tokenizer",
    "nmt.tokenizers.subword:SubwordTokenizer.decode": "tokenizer",
    "nmt.tokenizers.subword:SubwordTokenizer.tokens": "tokenizer",
    "nmt.tokenizers.vocabulary:VocabularyTokenizer.encode": "tokenizer",
    "nmt.tokenizers.vocabulary:VocabularyTokenizer.decode": "tokenizer",
    "nmt.tokenizers.vocabulary:VocabularyTokenizer.tokens": "tokenizer",
}
"""Functions by module and name, and the part that their time belongs to, without the functions here that they call."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One translation of a test set, taken apart."""

    sentences: int
    seconds: float
    """Of the whole, without loading."""
    loop: float
    """Seconds of it in the decoding loop, encoder included."""
    parts: dict[str, float]
    """Seconds by part; measuring them takes some time itself, so they add up to a little more than `seconds`."""
    operations: dict[str, float]
    """Multiplications and additions of the loop's matrix products by the type of their factors."""
    ceiling: float
    """Seconds that these products take when each shape runs alone, again and again: its best time."""


def profile(translate: Callable[[], object], sentences: int) -> Profile:
    """Take a translation apart. `translate` must do the same whenever it is called."""
    translate()
    plain = _by_part(translate, {name: part for name, part in PARTS.items() if part == LOOP})
    parts = _by_part(translate, PARTS)
    with Products() as products, products.compiled():
        translate()
    return Profile(
        sentences=sentences,
        seconds=sum(plain.values()),
        loop=plain[LOOP],
        parts=parts,
        operations=products.operations(),
        ceiling=products.ceiling(),
    )


def report(found: Profile) -> str:
    """As Markdown."""
    total = sum(found.parts.values())
    rows = [
        [name, f"{1000 * seconds / found.sentences:.3f}", f"{100 * seconds / total:.1f} %"]
        for name, seconds in sorted(found.parts.items(), key=lambda item: -item[1])
    ]
    rows.append(["**all, measured without parts**", f"{1000 * found.seconds / found.sentences:.3f}", ""])
    operations = sum(found.operations.values())
    kinds = ", ".join(
        f"{100 * count / operations:.0f} % in {kind}"
        for kind, count in sorted(found.operations.items(), key=lambda item: -item[1])
    )
    heads = ["part", "ms per sentence", "share"]
    lines = [
        tabulate(rows, heads, tablefmt="github", disable_numparse=True),
        "",
        f"- operations in matrix products: {operations / found.sentences / 1e6:.1f} million a sentence ({kinds})",
        f"- achieved: {operations / found.loop / 1e9:.1f} billion a second in the decoding loop, encoder included; "
        f"{operations / found.seconds / 1e9:.1f} in all",
        f"- ceiling of these shapes: {operations / found.ceiling / 1e9:.1f} billion a second; achieved "
        f"{100 * found.ceiling / found.loop:.0f} % in the loop, {100 * found.ceiling / found.seconds:.0f} % in all",
    ]
    return "\n".join(lines)


# ---- seconds by part


@dataclass
class Clock:
    """Seconds by part, each without the parts inside it."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    inside: list[str] = field(default_factory=lambda: [REST])
    latest: float = field(default_factory=time.perf_counter)

    def turn(self) -> None:
        """What has passed belongs to the innermost part."""
        now = time.perf_counter()
        self.seconds[self.inside[-1]] += now - self.latest
        self.latest = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted for a part."""

        @functools.wraps(function)
        def wrapper(*arguments: Any, **options: Any) -> Any:
            self.turn()
            self.inside.append(part)
            try:
                return function(*arguments, **options)
            finally:
                self.turn()
                self.inside.pop()

        return wrapper


@contextmanager
def timed(clock: Clock, parts: Mapping[str, str]) -> Iterator[None]:
    """Count the time of functions while the block runs."""
    with ExitStack() as stack:
        for function_name, part in parts.items():
            module, name = function_name.split(":")
            *path, last = name.split(".")
            owner = functools.reduce(getattr, path, importlib.import_module(module))
            stack.enter_context(patch.object(owner, last, clock.timed(part, vars(owner)[last])))
        yield


def _by_part(translate: Callable[[], object], parts: Mapping[str, str]) -> dict[str, float]:
    clock = Clock()
    with timed(clock, parts):
        clock.latest = time.perf_counter()
        translate()
        clock.turn()
    return dict(clock.seconds)


# ---- matrix products

FACTORS = {
    **dict.fromkeys(("aten::mm", "aten::bmm", "aten::_int_mm"), (0, 1)),
    **dict.fromkeys(("aten::addmm", "aten::addmm_", "aten::baddbmm", "aten::baddbmm_"), (1, 2)),
}
"""Operators by name, and which of their arguments are multiplied: (..., m, k) and (..., k, n)."""
LAYERS = ("aten::linear", "quantized::linear", "onednn::qlinear")
"""How the names of operators begin that multiply vectors (..., k), their first argument, to (..., n)."""


def _of_multiply(
    x: Any, _levels: Any, _weight: Any, _scale: Any, _bias: Any, rows: Any, counts: Any, _out: Any
) -> float:
    return float(2.0 * x.size // len(rows) * counts.sum())


def _of_sequence(_projected: Any, weight: Any, _s: Any, _b: Any, _p: Any, _c: Any, outputs: Any) -> float:
    return float(2.0 * len(outputs) * weight.size)


def _of_attention(query: Any, keys: Any, _k: Any, values: Any, _v: Any, lengths: Any, _w: Any, _c: Any) -> float:
    return float(2.0 * len(query) // len(keys) * lengths.sum() * (keys.shape[2] + values.shape[2]))


LOOPS: dict[str, Callable[..., float]] = {
    "multiply": _of_multiply,
    "lstm_sequence": _of_sequence,
    "attend": _of_attention,
}
"""The operations of the products in nmt/search/packed/kernels.py."""


@dataclass
class Calls:
    """All calls of one operator at one shape."""

    operations: float
    """Of each."""
    kind: str
    again: Callable[[], object]
    """Makes the first of them again."""
    count: int = 0


class Products(TorchDispatchMode):
    """Counts the matrix products that run in its block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: dict[tuple[Any, ...], Calls] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        if name not in FACTORS and (not name.startswith(LAYERS) or name.endswith("prepack")):
            with self:  # matmul and the like come whole where nothing is recorded for gradients
                inner = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if inner is NotImplemented else inner
        result = func(*args, **kwargs)
        operations, key = _product(name, args, result)
        self._count(key, operations, functools.partial(func, *args, **kwargs))
        return result

    def _count(self, key: tuple[Any, ...], operations: float, again: Callable[[], object]) -> None:
        self.calls.setdefault(key, Calls(operations=operations, kind=key[1], again=again)).count += 1

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """Count the products of compiled loops too while the block runs."""
        with ExitStack() as stack:
            for name in LOOPS:
                stack.enter_context(patch.object(kernels, name, self._counted(name, vars(kernels)[name])))
            yield

    def _counted(self, name: str, loop: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(loop)
        def wrapper(*args: Any) -> None:
            loop(*args)
            operations = LOOPS[name](*args)
            key = (name, "int8", *(np.shape(arg) for arg in args), operations)
            # Its arguments may be buffers that are written again.
            self._count(key, operations, functools.partial(loop, *(np.copy(arg) for arg in args)))

        return wrapper

    def operations(self) -> dict[str, float]:
        """Multiplications and additions by the type of the factors."""
        counted: defaultdict[str, float] = defaultdict(float)
        for call in self.calls.values():
            counted[call.kind] += call.count * call.operations
        return dict(counted)

    @torch.inference_mode()
    def ceiling(self) -> float:
        """Seconds of all products when each shape runs alone, hot, at its best time."""
        return sum(call.count * _best(call) for call in self.calls.values())


def _product(name: str, args: Sequence[Any], result: Tensor) -> tuple[float, tuple[Any, ...]]:
    """Operations of a product, and what tells it from others: operator, type, shapes, strides of what is multiplied."""
    if name in FACTORS:
        left, right = (args[index] for index in FACTORS[name])
        kind = str(left.dtype).removeprefix("torch.")
        layout = (left.shape, right.shape, left.stride(), right.stride())
        return 2.0 * result.numel() * left.size(-1), (name, kind, *layout)
    vectors = args[0]
    kind = "int8" if name.startswith(("quantized", "onednn")) else str(vectors.dtype).removeprefix("torch.")
    return 2.0 * result.numel() * vectors.size(-1), (name, kind, vectors.shape, result.size(-1))


def _best(call: Calls) -> float:
    tries = max(5, min(50, int(1e10 / max(call.operations, 1))))
    return min(_seconds(call.again) for _ in range(tries))


def _seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin
