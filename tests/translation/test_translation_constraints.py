"""The constraints of a translator: what they forbid, and what they know about each segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from nmt import Request, SearchOptions, Translator
from nmt.checkpoint.folder import Model, build_network
from nmt.model.candidates import Candidates
from nmt.search.constraints import ForbiddenColumns
from nmt.tokenizers.base import Tokenizer
from nmt.tokenizers.build import train_tokenizers
from nmt.translation import constraints
from nmt.translation.constraints import build_constraints, forbid_tags
from nmt.translation.request import Segment
from nmt.types import EOS

# All translations of one token.
OPTIONS = SearchOptions(beam=60, nbest=60, max_length_factor=0, max_length_extra=1)


def model(*tags: str) -> Model:
    """A model of words with its initial weights."""
    config = tiny.config(Path("none"))
    tokenizers = train_tokenizers(config.tokenizer, tiny.PAIRS, tags)
    network = build_network(config, tokenizers).requires_grad_(False)
    return Model(network=network, tokenizers=tokenizers, config=config, name="tiny")


def test_tags_are_forbidden_and_nothing_else() -> None:
    plain, tagged = (model(*tags).tokenizers.target for tags in ((), ("<2de>", "<2fr>")))
    assert forbid_tags(plain).ids.tolist() == []
    assert forbid_tags(tagged).ids.tolist() == [plain.size, plain.size + 1]


@dataclass(frozen=True)
class ForbidFirstToken:
    """The constraint that translations of a segment do not contain the first token of its source."""

    seen: list[Segment]

    def start(self, sentences: Sequence[Segment], candidates: Candidates) -> ForbiddenColumns:
        self.seen.extend(sentences)
        first = torch.tensor([[segment.ids[0]] for segment in sentences])
        return ForbiddenColumns(candidates.tokens == first)


def test_a_constraint_in_the_table_sees_every_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Segment] = []
    texts: list[str | Request] = [Request("red cat"), Request("one", options=OPTIONS), "house", ""]
    plain = Translator([model()]).nbest(texts, OPTIONS)

    def build(target: Tokenizer) -> ForbidFirstToken:
        return ForbidFirstToken(seen)

    monkeypatch.setattr(constraints, "CONSTRAINTS", (*constraints.CONSTRAINTS, build))
    loaded = model()
    assert len(build_constraints(loaded.tokenizers.target)) == 2
    found = Translator([loaded]).nbest(texts, OPTIONS)
    encode = loaded.tokenizers.source.encode
    assert {segment.source for segment in seen} == {(*encode(text), EOS) for text in ("red cat", "one", "house")}
    assert {segment.options for segment in seen} == {OPTIONS}

    def used(lists: Sequence[Sequence[Any]]) -> list[set[str]]:
        return [{token for translation in each for token in translation.tokens} for each in lists]

    assert [before - after for before, after in zip(used(plain), used(found), strict=True)] == [
        {"red"}, {"one"}, {"house"}, set(),
    ]  # fmt: skip
