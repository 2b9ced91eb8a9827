"""Measure the parts of the translation time, and compare the products of the decoding loop with the machine's limit."""

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

LOOP = "search"  # the decoding loop without the parts inside it
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
"""The part of each function, by module and name. The time of a function excludes calls of the other functions."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The time and the operations of one translation of a test set."""

    sentences: int
    seconds: float
    """The seconds of the translation without loading."""
    loop: float
    """The seconds in the decoding loop, including the encoder."""
    parts: dict[str, float]
    """The seconds of each part. Measuring takes time itself, so their sum is a little larger than `seconds`."""
    operations: dict[str, float]
    """The multiplications and additions in the matrix products of the loop, by the type of the factors."""
    ceiling: float
    """The seconds of these products if each shape runs alone at its best time."""


def profile(translate: Callable[[], object], sentences: int) -> Profile:
    """Profile a translation. `translate` must do the same at each call."""
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
    """Format a profile as Markdown."""
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
    """The seconds of each part without the parts inside it."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    inside: list[str] = field(default_factory=lambda: [REST])
    latest: float = field(default_factory=time.perf_counter)

    def turn(self) -> None:
        """Add the time since the last call to the innermost part."""
        now = time.perf_counter()
        self.seconds[self.inside[-1]] += now - self.latest
        self.latest = now

    def time_function(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time is added to a part."""

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
def time_functions(clock: Clock, parts: Mapping[str, str]) -> Iterator[None]:
    """Measure the time of functions while the block runs."""
    with ExitStack() as stack:
        for function_name, part in parts.items():
            module, name = function_name.split(":")
            *path, last = name.split(".")
            owner = functools.reduce(getattr, path, importlib.import_module(module))
            stack.enter_context(patch.object(owner, last, clock.time_function(part, vars(owner)[last])))
        yield


def _by_part(translate: Callable[[], object], parts: Mapping[str, str]) -> dict[str, float]:
    clock = Clock()
    with time_functions(clock, parts):
        clock.latest = time.perf_counter()
        translate()
        clock.turn()
    return dict(clock.seconds)


# ---- matrix products

FACTORS = {
    **dict.fromkeys(("aten::mm", "aten::bmm", "aten::_int_mm"), (0, 1)),
    **dict.fromkeys(("aten::addmm", "aten::addmm_", "aten::baddbmm", "aten::baddbmm_"), (1, 2)),
}
"""The indices of the arguments that each operator multiplies: (..., m, k) and (..., k, n)."""
LAYERS = ("aten::linear", "quantized::linear", "onednn::qlinear")
"""The prefixes of operators that map vectors (..., k), their first argument, to (..., n)."""


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
    """The operations of one call."""
    kind: str
    again: Callable[[], object]
    """Repeats the first call."""
    count: int = 0


class Products(TorchDispatchMode):
    """A context that counts matrix products."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: dict[tuple[Any, ...], Calls] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        if name not in FACTORS and (not name.startswith(LAYERS) or name.endswith("prepack")):
            with self:  # without gradients, matmul and similar operators are not decomposed
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
        """Count also the products of compiled loops while the block runs."""
        with ExitStack() as stack:
            for name in LOOPS:
                stack.enter_context(patch.object(kernels, name, self._wrap_loop(name, vars(kernels)[name])))
            yield

    def _wrap_loop(self, name: str, loop: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(loop)
        def wrapper(*args: Any) -> None:
            loop(*args)
            operations = LOOPS[name](*args)
            key = (name, "int8", *(np.shape(arg) for arg in args), operations)
            # The arguments are copied, because they may be buffers that are overwritten.
            self._count(key, operations, functools.partial(loop, *(np.copy(arg) for arg in args)))

        return wrapper

    def operations(self) -> dict[str, float]:
        """Return the multiplications and additions by the type of the factors."""
        counted: defaultdict[str, float] = defaultdict(float)
        for call in self.calls.values():
            counted[call.kind] += call.count * call.operations
        return dict(counted)

    @torch.inference_mode()
    def ceiling(self) -> float:
        """Measure the seconds of all products if each shape runs alone at its best time."""
        return sum(call.count * _best(call) for call in self.calls.values())


def _product(name: str, args: Sequence[Any], result: Tensor) -> tuple[float, tuple[Any, ...]]:
    """Return the operations of a product, and its key: the operator, type, shapes and strides of the factors."""
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
