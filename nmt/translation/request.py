"""A translation of a line, and how those of its parts become one."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Translation:
    """One translation of one line. Of a line that was split, everything is put together from its parts."""

    text: str
    """Plain text, always a single line."""
    score: float
    """What n-best lists are ordered by, samples not: the mean of log P if the length penalty is 1."""
    source_tokens: list[str]
    """The line's pieces."""
    tokens: list[str]
    """The translation's pieces."""
    alignment: list[int]
    """For each of `tokens` the index of the source token that it attends to most."""
    attention: list[list[float]] = field(default_factory=list)
    """For each of `tokens` its attention weights over `source_tokens`; like `alignment` only if the options ask for it. What is
    missing to a sum of 1 went to the end of the sentence."""


def one_line(text: str) -> str:
    """Text without line breaks: byte pieces can spell any character."""
    return text.replace("\n", " ").replace("\r", " ")


Parts = list[list[Translation]]  # what was found for each segment of a line


def of_line(parts: Parts, join: Callable[[Parts], list[Translation]]) -> list[Translation]:
    """What is found for a line: that of its segment, or of several put together."""
    if not parts:
        return [Translation(text="", score=0.0, source_tokens=[], tokens=[], alignment=[])]
    return parts[0] if len(parts) == 1 else join(parts)


def joined_best(parts: Parts) -> list[Translation]:
    """Only the best: what the second best of the whole is, those of the parts do not tell."""
    return [_joined([best[0] for best in parts])]


def joined_samples(parts: Parts) -> list[Translation]:
    """A sample of the whole is one of each part."""
    return [_joined(list(samples)) for samples in zip(*parts, strict=True)]


def _joined(parts: list[Translation]) -> Translation:
    alignment: list[int] = []
    attention: list[list[float]] = []
    offset, whole = 0, sum(len(part.source_tokens) for part in parts)
    for part in parts:
        alignment += [offset + position for position in part.alignment]
        after = whole - offset - len(part.source_tokens)
        attention += [[0.0] * offset + weights + [0.0] * after for weights in part.attention]
        offset += len(part.source_tokens)
    pieces = sum(len(part.tokens) + 1 for part in parts)
    return Translation(
        text=" ".join(part.text for part in parts if part.text),
        score=sum(part.score * (len(part.tokens) + 1) for part in parts) / pieces,
        source_tokens=[token for part in parts for token in part.source_tokens],
        tokens=[token for part in parts for token in part.tokens],
        alignment=alignment,
        attention=attention,
    )
