"""The steps of a translation, one by one: equal to a translation in one call."""

import threading
from pathlib import Path

import pytest

from nmt import Request, SampleOptions, SearchOptions, Term, Translation, Translator
from nmt.translation.plan import make_plan
from nmt.translation.request import Segment

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
SOURCE = (MODELS / "source.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(MODELS / "input_feeding", precision="fp32")


@pytest.mark.parametrize(
    "request_",
    [
        Request(SOURCE[0]),
        Request(" ".join(SOURCE[:4]), split=True),
        Request("", options=SearchOptions(nbest=2)),
        Request(f"<p>{SOURCE[0]}</p><p>See <b>http://x.org</b>: {SOURCE[1]}</p>", markup="html"),
        Request(f"{SOURCE[0]} http://x.org", options=SearchOptions(nbest=3)),
        Request(SOURCE[1], options=SampleOptions(samples=3)),
        Request(SOURCE[1], prefix="Die b"),
        Request(SOURCE[1], terms=[Term("sister", "Nonne")], options=SearchOptions(attention=True)),
    ],
)
def test_steps_equal_a_call(translator: Translator, request_: Request) -> None:
    plan = make_plan(translator, request_)
    found: dict[Segment, list[Translation]] = {}
    for segment in reversed(plan.segments):
        found |= translator.translate_segments([segment])
    assert plan.finish(found) == translator.nbest(request_)[0]


def test_threads_with_different_terms(translator: Translator) -> None:
    """Each request is translated with its own terms, whichever thread prepares them."""
    glossaries = [[Term("sister", target)] for target in ("Nonne", "Frau", "Mutter")]
    wrong = []

    def split(terms: list[Term]) -> None:
        for _ in range(300):
            segment = make_plan(translator, Request(SOURCE[1], terms=terms)).segments[0]
            if segment.found_terms != tuple(terms):
                wrong.append(segment)

    threads = [threading.Thread(target=split, args=(terms,)) for terms in glossaries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
