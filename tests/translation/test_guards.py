"""Guards: loops, limits and omissions are found and searched again, and text without letters stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nmt import Request, SearchOptions, Translator
from nmt.search.options import Options
from nmt.tokenizers.base import Tokenizers
from nmt.translation.guards import LENGTH, LOOP, OMISSION, find_fault, find_loop, needs_no_translation, repair
from nmt.translation.request import Segment
from nmt.types import EOS

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
LOOPING = SearchOptions(beam=3, nbest=3)  # with these options, the model runs into a loop


@pytest.fixture(scope="module")
def translator() -> Translator:
    """A model whose small network runs into loops. Its vocabulary has characters."""
    return Translator.load(MODELS / "parallel", precision="fp32")


@pytest.fixture(scope="module")
def tokenizers(translator: Translator) -> Tokenizers:
    return translator.tokenizers


@dataclass
class Hypothesis:
    ids: list[int]
    score: float = 0.0
    attention: list[list[float]] | None = None
    token_log_probabilities: None = None


@dataclass
class Scripted:
    """A search with known results. It records with which options it was called."""

    results: list[list[int]]
    asked: list[list[Options]]

    def search(self, segments: Sequence[Segment]) -> list[list[Hypothesis]]:
        self.asked.append([segment.options for segment in segments])
        return [[Hypothesis(self.results.pop(0))] for _ in segments]

    def score(
        self, segments: Sequence[Segment], targets: Sequence[Sequence[int]], *, shortlist: bool = True
    ) -> list[list[float]]:
        raise NotImplementedError

    def max_segments(self, options: object) -> int:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("Ein Hund und ein Hund und ein Hund und ein", True),
        ("Sch-Sch-Sch", True),
        ("e e e", True),
        ("nananananana", True),
        ("Ananas und Barbara", False),
        ("Warten Sie ...", False),
        ("Der Mann, der den Hund sieht, der die Katze sieht.", False),
        ("", False),
    ],
)
def test_loops(text: str, loops: bool, tokenizers: Tokenizers) -> None:
    assert (find_loop(tokenizers.target.encode(text), tokenizers.target) is not None) == loops


@given(st.text(alphabet="abcdefgh", min_size=3, max_size=12), st.integers(3, 6))
def test_every_repetition_is_found(translator: Translator, part: str, times: int) -> None:
    target = translator.tokenizers.target
    ids = target.encode(f"{part} " * times)
    loop = find_loop(ids, target)
    assert loop
    assert loop.period <= len(ids) // times
    assert loop.text in f"{part} " * times


def test_faults(tokenizers: Tokenizers) -> None:
    source = tokenizers.source.encode("They are rich and poor and brave and old.")
    options = SearchOptions(max_length_factor=1, max_length_extra=0)
    segment = Segment(source=(*source, EOS), options=options, guarded=True)

    def fault(text: str, of: Segment = segment) -> str | None:
        return find_fault(of, Hypothesis(tokenizers.target.encode(text)), tokenizers)

    assert fault("Sie sind reich und arm.") is None
    assert fault("Sie sind sind sind sind reich.") == LOOP
    assert fault("Sie sind reich und arm und mutig und alt, heute.") == LENGTH
    assert fault("Sie") == OMISSION
    assert fault("Sie sind sind sind sind reich.", replace(segment, guarded=False)) is None
    looping = Segment(source=(*tokenizers.source.encode("ha ha ha ha ha"), EOS), options=SearchOptions(), guarded=True)
    assert fault("ha ha ha ha", looping) is None


def test_segments_with_a_fault_are_searched_again(tokenizers: Tokenizers) -> None:
    encode = tokenizers.target.encode
    source = (*tokenizers.source.encode("They are rich and poor and brave and old."), EOS)
    segments = [Segment(source=source, options=SearchOptions(), guarded=True)] * 4
    good, bad, worse, short = (encode(text) for text in ("Sie sind reich.", "ab ab ab", "aab aab aab aab", "S"))
    search = Scripted(results=[bad, good, good, good], asked=[])
    found = [[Hypothesis(ids)] for ids in (worse, good, bad, short)]
    results, before, left = repair(search, segments, found, tokenizers)
    assert [one[0].ids for one in results] == [good] * 4
    assert before == [LOOP, None, LOOP, OMISSION]
    assert left == [None] * 4
    first, second = search.asked
    assert [options.no_repeat_ngram_size for options in first if isinstance(options, SearchOptions)] == [5, 4, 0]
    assert [options.coverage_penalty for options in first if isinstance(options, SearchOptions)] == [0, 0, 0.3]
    assert len(second) == 1


def test_an_omission_is_searched_again_once(tokenizers: Tokenizers) -> None:
    source = (*tokenizers.source.encode("They are rich and poor and brave and old."), EOS)
    segment, short = Segment(source=source, options=SearchOptions(), guarded=True), tokenizers.target.encode("S")
    search = Scripted(results=[short], asked=[])
    _, before, left = repair(search, [segment], [[Hypothesis(short)]], tokenizers)
    assert (before, left, len(search.asked)) == ([OMISSION], [OMISSION], 1)


def test_a_fault_that_is_left_is_reported(tokenizers: Tokenizers) -> None:
    bad = tokenizers.target.encode("ab ab ab")
    source = (*tokenizers.source.encode("They are rich and poor and brave and old."), EOS)
    segment = Segment(source=source, options=SearchOptions(), guarded=True)
    search = Scripted(results=[bad], asked=[])
    _, before, left = repair(search, [segment], [[Hypothesis(bad)]], tokenizers)
    assert (before, left) == ([LOOP], [LOOP])
    assert len(search.asked) == 1  # the same options would give the same result


@pytest.mark.usefixtures("each_way")
def test_loops_of_a_model_are_repaired() -> None:
    translator, text = Translator.load(MODELS / "parallel", precision="fp32"), "A beautiful student is poor."
    requests = [Request(text, options=LOOPING, guard=guard) for guard in (False, True)]
    (plain, *_), (guarded, *_) = translator.nbest(requests)
    target = translator.tokenizers.target
    assert find_loop(target.encode(plain.text), target)
    assert (plain.searched_again, plain.faults) == ((), ())
    assert not find_loop(target.encode(guarded.text), target)
    assert (guarded.searched_again, guarded.faults) == (("loop",), ())
    assert (
        translator.nbest(text, LOOPING)[0][0].text == plain.text
    )  # a model of 0.1.0 is not guarded unless the user asks for it


@pytest.mark.parametrize("text", ["- - - -", "1 2 3 4", "!!!", "😀😀", "... 42 ?!", "今天天气很好", "שלום עולם"])
def test_text_without_known_letters_stays(text: str, translator: Translator) -> None:
    assert needs_no_translation(text, translator.tokenizers.source.encode(text), translator.tokenizers.source)
    [best] = translator.nbest(text, guard=True)[0]
    assert (best.text, best.tokens, best.score) == (text, [], 0.0)


@pytest.mark.parametrize("text", ["A", "cafe 1", "They are rich 😀."])
def test_text_with_letters_is_translated(text: str, translator: Translator) -> None:
    assert not needs_no_translation(text, translator.tokenizers.source.encode(text), translator.tokenizers.source)


def test_the_parts_of_a_text_are_joined(translator: Translator) -> None:
    best, *_ = translator.nbest("A beautiful student is poor. 1 2 3.", LOOPING, guard=True, split=True)[0]
    assert best.text.endswith(" 1 2 3.")
    assert best.searched_again == ("loop",)
