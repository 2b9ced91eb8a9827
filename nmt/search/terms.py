"""Search with terms that must be in the translation: dynamic beam allocation (Post and Vilar 2018).

Hypotheses that contain more of the terms are less probable. A hypothesis therefore competes only within its bank. The
hypotheses of a bank lack the same number of tokens of terms. Every step gives each bank the same number of rows of the
beam. A hypothesis can end only if it has all terms. A term can begin where attention looks at its source tokens.

nmt/native/terms.h does the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.batch import Integers
from nmt.search.beam import Beam, BeamStep, Ended
from nmt.search.extensions import NEVER, Scores
from nmt.search.options import SearchOptions
from nmt.search.sentence import BEGINS_WITH_SPACE, CONTINUES_WORD, ENDS_IN_SPACE, ENDS_IN_WORD, Sentence, TermIds
from nmt.types import BOS

MAX_BANKS = 32
MIN_ATTENTION = 0.4  # the sum of the weights of the source tokens of a term from which the term can begin


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a hypothesis has of the terms of its sentence."""

    met: frozenset[int] = frozenset()
    """The terms that it has."""
    term: int | None = None
    """The term of which it has the first tokens, with the form and their number."""
    form: int = 0
    tokens: int = 0
    last: int | None = None
    """The term that the last token completed."""
    begun: int | None = None
    """The term that began with the last token."""


@dataclass
class TermBeamSearch:
    """The decoding strategy for one sentence with terms.

    Args:
        sentence: the sentence.
        options: the options of the search.
        edges: how target tokens begin and end (see nmt/search/sentence.py).
    """

    sentence: Sentence
    options: SearchOptions
    edges: bytes
    needs_attention = True
    has_ended: bool = False
    progress: list[Progress] = field(default_factory=lambda: [Progress()])

    def __post_init__(self) -> None:
        self.total = self.sentence.term_tokens
        self.banks = min(self.total + 1, MAX_BANKS)
        self.width = max(self.options.beam, self.banks)

    def restart(self, sentence: int) -> Self:  # noqa: ARG002 - there is only one
        return replace(self, progress=[Progress()], has_ended=False)

    def extend(
        self,
        beam: Beam,
        scores: Tensor,
        candidates: Integers,
        attention: Tensor | None,
        *,
        margins: bool,  # noqa: ARG002 - sentences with terms are searched alone
    ) -> BeamStep:
        assert attention is not None
        weights, rows = attention.cpu().numpy(), scores[0].cpu().numpy()
        tokens: list[int] = candidates[0].tolist()
        best = beam.log_probabilities[0, 0]
        ahead = (beam.log_probabilities[0] - best).astype(np.float32)
        lists: list[list[tuple[float, int, int]]] = [[] for _ in range(self.banks)]  # (log P, row, column)
        ends = np.full(len(rows), NEVER, dtype=np.float32)
        for row, scored in enumerate(rows):
            if ahead[row] > NEVER:
                ends[row] = self._list_extensions(beam, row, scored + ahead[row], tokens, weights[row], lists)
        complete = np.array([len(own.met) == len(self.sentence.terms) for own in self.progress]) & (ahead > NEVER)
        if self.has_ended or complete.any():  # a translation without all terms is the last resort
            ends[~complete] = NEVER
        for own in lists:
            own.sort(key=lambda extension: -extension[0])
        rivals = [value for value, _, _ in lists[-1][: self.options.beam]]
        rivals += [NEVER] * (self.options.beam - len(rivals))
        others = [sum(ends >= end) - 1 + sum(rival >= end for rival in rivals) for end in ends]
        ended = [row for row, end in enumerate(ends) if end > NEVER and others[row] < self.options.beam]
        self.has_ended |= bool(ended)
        chosen = [own[rank] for rank in range(self.width) for own in reversed(lists) if rank < len(own)][: self.width]
        chosen.sort(key=lambda extension: -extension[0])
        values = np.array([value for value, _, _ in chosen] + [NEVER] * (self.width - len(chosen)))
        origins = np.array([row for _, row, _ in chosen] + [0] * (self.width - len(chosen)))
        last = np.array([tokens[column] for _, _, column in chosen] + [BOS] * (self.width - len(chosen)))
        step = BeamStep(
            beam=Beam(
                sentences=beam.sentences,
                log_probabilities=best + values[None, :],
                last=last,
                length=beam.length + 1,
                before=beam,
                origins=origins,
                attention=attention,
            ),
            ended=Ended(beam=beam, rows=np.array(ended), log_probabilities=best + ends[ended], attention=attention)
            if ended
            else None,
            margins=None,
        )
        self.progress = [
            self._advance(self.progress[origin], token, beam, origin, weights[origin])
            for origin, token in zip(origins.tolist(), last.tolist(), strict=True)
        ]
        return step

    def _list_extensions(
        self,
        beam: Beam,
        row: int,
        scores: Scores,
        tokens: Sequence[int],
        weights: NDArray[np.float32],
        lists: list[list[tuple[float, int, int]]],
    ) -> float:
        """Add the extensions of a hypothesis to the lists of their banks. Return log P of the extension by EOS."""
        end, before = float(scores[0]), self.progress[row]
        highest = scores[1:].max(initial=NEVER)
        if not highest > NEVER:
            return end
        of_terms = {token for term in self.sentence.terms for form in term.forms for token in form}
        limit = self.sentence.max_length(self.options)
        left = scores.copy()
        left[0] = NEVER
        for column in [place for place, token in enumerate(tokens) if token in of_terms and left[place] > NEVER]:
            after = self._advance(before, tokens[column], beam, row, weights)
            if after.begun is not None:
                looked_at = _sum(self.sentence.terms[after.begun], weights) >= MIN_ATTENTION
                if not (looked_at or end >= highest or 2 * beam.length >= limit):
                    after = replace(after, met=after.met - {after.begun}, term=None)
            lists[self._bank(after)].append((float(scores[column]), row, column))
            left[column] = NEVER
        continues = np.array([self._edges(token) & CONTINUES_WORD for token in tokens], dtype=np.bool_)
        if before.last is None:
            continues[:] = False
        others = Progress(met=before.met - ({before.last} if before.last is not None else set()))
        for progress, columns in ((Progress(met=before.met), ~continues), (others, continues)):
            own = np.where(columns, left, NEVER)
            best = np.argsort(-own, kind="stable")[: self.width]
            lists[self._bank(progress)] += [
                (float(own[place]), row, int(place)) for place in best if own[place] > NEVER
            ]
        return end if len(before.met) == len(self.sentence.terms) else NEVER

    def _bank(self, progress: Progress) -> int:
        terms = self.sentence.terms
        count = sum(terms[term].longest for term in progress.met)
        if progress.term is not None:
            term = terms[progress.term]
            count += term.longest - len(term.forms[progress.form]) + progress.tokens
        return count if self.total < MAX_BANKS else count * (MAX_BANKS - 1) // self.total

    def _edges(self, token: int) -> int:
        return self.edges[token] if self.edges else 0

    def _advance(self, before: Progress, token: int, beam: Beam, row: int, weights: NDArray[np.float32]) -> Progress:
        """Return what a hypothesis has of the terms after one more token.

        Args:
            before: what it has before the token.
            token: the token.
            beam: the beam of the hypothesis without the token.
            row: the row of the hypothesis in the beam.
            weights: the attention with which the token was predicted.
        """
        met = before.met
        if before.last is not None and self._edges(token) & CONTINUES_WORD:
            met -= {before.last}  # a term is a whole word
        forms = [
            (number, index, form, index >= len(term.forms) - term.initial)
            for number, term in enumerate(self.sentence.terms)
            if number not in met
            for index, form in enumerate(term.forms)
        ]
        found = Progress(met=met)
        if before.term is not None:  # continue the form, or another form that begins in the same way
            count = before.tokens
            own = self.sentence.terms[before.term].forms[before.form][:count]
            for number, index, form, initial in forms:
                same = (number, index) == (before.term, before.form)
                fits = form[:count] == own and len(form) > count and form[count] == token
                if fits and (not initial or beam.length == count) and (found.term is None or same):
                    found = Progress(met=met, term=number, form=index, tokens=count + 1)
        if found.term is None:
            most, previous = -1.0, int(beam.last[row]) if beam.length else None
            for number, index, form, initial in forms:
                edges, ended = self._edges(form[0]), 0 if previous is None else self._edges(previous)
                inside = edges & CONTINUES_WORD and (previous is None or ended & ENDS_IN_WORD)
                whole = not inside and not (edges & BEGINS_WITH_SPACE and ended & ENDS_IN_SPACE)
                if form[0] == token and (previous is None if initial else whole):
                    looked_at = _sum(self.sentence.terms[number], weights)
                    if looked_at > most:
                        most = looked_at
                        found = Progress(met=met, term=number, form=index, tokens=1, begun=number)
        if found.term is not None and found.tokens == len(self.sentence.terms[found.term].forms[found.form]):
            return Progress(met=met | {found.term}, last=found.term, begun=found.begun)
        return found


def _sum(term: TermIds, weights: NDArray[np.float32]) -> float:
    return float(sum(weights[position] for position in term.positions))
