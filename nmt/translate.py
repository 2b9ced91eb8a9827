"""Text to text: lines in, translations out, in the same order.

lines -> segments -> ids -> batches of like length -> search -> ids -> text -> lines
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nmt.checkpoint import Model, load_model
from nmt.errors import ConfigError, ModelError
from nmt.machine import choose_device
from nmt.search.decode import decode
from nmt.search.finished import Hypothesis
from nmt.search.options import SearchOptions
from nmt.search.scorer import EnsembleScorer, ModelScorer, Scorer
from nmt.types import EOS, pad

logger = logging.getLogger(__name__)

MAX_PIECES = 200  # of a segment; LSTMs trained on sentences lose the thread in longer ones
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """One translation of one line. Of a line that was split, everything is put together from its parts."""

    text: str
    """Plain text, always a single line."""
    score: float
    """What n-best lists are ordered by: the mean of log P if the length penalty is 1."""
    source_tokens: list[str]
    """The line's pieces."""
    tokens: list[str]
    """The translation's pieces."""
    alignment: list[int]
    """For each of `tokens` the index of the source token that it attends to most."""


class Translator:
    """One model, or several with the same vocabularies as an ensemble.

    >>> Translator.load("runs/m30k").translate(["A man rides a horse."])  # doctest: +SKIP
    ['Ein Mann reitet ein Pferd.']
    """

    def __init__(self, models: Sequence[Model], *, batch_size: int = 64, batch_pieces: int = 4096) -> None:
        """`batch_size`: most segments searched at once; `batch_pieces`: most source pieces, padding counted.

        Raises ModelError: the models do not fit together.
        """
        _check_ensemble(models)
        self.tokenizers = models[0].tokenizers
        self.source_language = models[0].config.data.source_language
        self.target_language = models[0].config.data.target_language
        self.device = next(models[0].network.parameters()).device
        members = [ModelScorer(model.network) for model in models]
        self.scorer: Scorer[Any] = members[0] if len(members) == 1 else EnsembleScorer(members)
        self.batch_size, self.batch_pieces = batch_size, batch_pieces

    @classmethod
    def load(cls, *folders: str | Path, device: str = "auto", batch_size: int = 64) -> Self:
        """The models in these folders, outputs of nmt-train or model folders.

        Raises:
            ModelError: a folder is missing or damaged, or the models do not fit together.
            MachineError: device "cuda" where there is no GPU.
        """
        place = choose_device(device)
        return cls([load_model(folder, place) for folder in folders], batch_size=batch_size)

    def translate(self, lines: Sequence[str], options: SearchOptions | None = None) -> list[str]:
        """The best translation of each line; an empty string for a line without text."""
        return [best[0].text for best in self.nbest(lines, options)]

    def nbest(
        self, lines: Sequence[str], options: SearchOptions | None = None, numbers: Sequence[int] | None = None
    ) -> list[list[Translation]]:
        """The `options.nbest` best translations of each line, best first; of a line that must be split, only one.

        Args:
            lines: of text, any length.
            options: of the search; by default beam 5.
            numbers: of the lines, for warnings; by default from 1.
        """
        options = options or SearchOptions()
        segments = [
            self._segments(line, number)
            for number, line in zip(numbers or range(1, len(lines) + 1), lines, strict=True)
        ]
        flat = [segment for line in segments for segment in line]
        found = iter(self._search(flat, options))
        return [self._line([(ids, next(found)) for ids in line]) for line in segments]

    # ---- lines and segments

    def _segments(self, line: str, number: int) -> list[list[int]]:
        """The line's ids, in parts of at most MAX_PIECES; none for a line without text."""
        if not line.strip():
            return []
        parts = self._parts(line)
        if len(parts) > 1:
            pieces = sum(map(len, parts))
            logger.warning("line %d: %d pieces, translated in %d parts", number, pieces, len(parts))
        return parts

    def _parts(self, text: str) -> list[list[int]]:
        """Ids of a text, cut in halves until none has more than MAX_PIECES."""
        ids = self.tokenizers.source.encode(text)
        if len(ids) <= MAX_PIECES or len(text) == 1:
            return [ids]
        cut = _middle(text)
        return [part for half in (text[:cut].rstrip(), text[cut:]) for part in self._parts(half) if half]

    def _line(self, parts: list[tuple[list[int], list[Hypothesis]]]) -> list[Translation]:
        if not parts:
            return [Translation(text="", score=0.0, source_tokens=[], tokens=[], alignment=[])]
        if len(parts) == 1:
            ids, hypotheses = parts[0]
            return [self._translation(ids, hypothesis) for hypothesis in hypotheses]
        return [_joined([self._translation(ids, hypotheses[0]) for ids, hypotheses in parts])]

    def _translation(self, source: list[int], hypothesis: Hypothesis) -> Translation:
        alignment: list[int] = []
        if hypothesis.attention is not None and source:
            alignment = hypothesis.attention[:-1, : len(source)].argmax(dim=-1).tolist()
        return Translation(
            text=one_line(self.tokenizers.target.decode(hypothesis.ids)),
            score=hypothesis.score,
            source_tokens=self.tokenizers.source.pieces(source),
            tokens=self.tokenizers.target.pieces(hypothesis.ids),
            alignment=alignment,
        )

    # ---- batches

    def _search(self, segments: list[list[int]], options: SearchOptions) -> list[list[Hypothesis]]:
        """Hypotheses of each segment, searched in batches of like length."""
        order = sorted(range(len(segments)), key=lambda index: len(segments[index]))
        results: list[list[Hypothesis]] = [[] for _ in segments]
        for batch in self._batches(order, segments):
            ids, lengths = pad([[*segments[index], EOS] for index in batch])
            for index, result in zip(
                batch, decode(self.scorer, ids.to(self.device), lengths.to(self.device), options), strict=True
            ):
                results[index] = result
        return results

    def _batches(self, order: list[int], segments: list[list[int]]) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in order:  # from short to long, so the newest is the longest
            if batch and (len(batch) == self.batch_size or (len(batch) + 1) * len(segments[index]) > self.batch_pieces):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch


def one_line(text: str) -> str:
    """Text without line breaks: byte pieces can spell any character."""
    return text.replace("\n", " ").replace("\r", " ")


def _middle(text: str) -> int:
    """Where to cut a text in two: nearest to its middle where a sentence ends, else between words, else anywhere."""
    half = len(text) // 2
    for boundary in (_SENTENCE_END, _SPACE):
        if cuts := [match.end() for match in boundary.finditer(text) if 0 < match.end() < len(text)]:
            return min(cuts, key=lambda cut: abs(cut - half))
    return half


def _joined(parts: list[Translation]) -> Translation:
    alignment: list[int] = []
    offset = 0
    for part in parts:
        alignment += [offset + position for position in part.alignment]
        offset += len(part.source_tokens)
    pieces = sum(len(part.tokens) + 1 for part in parts)
    return Translation(
        text=" ".join(part.text for part in parts if part.text),
        score=sum(part.score * (len(part.tokens) + 1) for part in parts) / pieces,
        source_tokens=[token for part in parts for token in part.source_tokens],
        tokens=[token for part in parts for token in part.tokens],
        alignment=alignment,
    )


def _check_ensemble(models: Sequence[Model]) -> None:
    if not models:
        raise ConfigError("no model; name at least one model folder")
    first = models[0]
    for other in models[1:]:
        if _languages(first) != _languages(other):
            languages = f"one translates {_languages(first)}, the other {_languages(other)}"
            raise ModelError(f"{first.name} and {other.name}: no ensemble, {languages}; name models of one direction")
        for side in ("source", "target"):
            ours, theirs = getattr(first.tokenizers, side), getattr(other.tokenizers, side)
            if _content(ours) != _content(theirs):
                raise ModelError(f"{first.name} and {other.name}: no ensemble, their {side} vocabularies differ")


def _languages(model: Model) -> str:
    return f"{model.config.data.source_language} to {model.config.data.target_language}"


def _content(tokenizer: Any) -> list[str]:
    pieces: list[str] = tokenizer.pieces(list(range(tokenizer.size)))
    return pieces
