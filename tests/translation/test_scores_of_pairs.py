"""Translator.score, in both ways of searching."""

import math
from pathlib import Path

import pytest

from nmt import Request, Translator
from nmt.errors import ConfigError
from nmt.search.options import SearchOptions

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
SOURCES = (MODELS / "source.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("shortlist", [False, True])
@pytest.mark.parametrize("name", ["input_feeding", "parallel"])
def test_scores_equal_those_of_the_search(name: str, shortlist: bool) -> None:
    translator = Translator.load(MODELS / name, precision="fp32", shortlist=shortlist)
    found = translator.nbest(SOURCES, SearchOptions(beam=3, nbest=3))
    # Long texts are divided before search.
    pairs = [(source, one) for source, best in zip(SOURCES, found, strict=True) for one in best if len(source) < 150]
    scores = translator.score([source for source, _ in pairs], [one.text for _, one in pairs])
    # For the same text, a search can find other tokens than the tokenizer.
    both = zip(scores, (one for _, one in pairs), strict=True)
    same = [(score, one) for score, one in both if one.tokens and score.tokens == one.tokens]
    assert len(same) > 10
    assert [score.per_token for score, _ in same] == pytest.approx([one.score for _, one in same], abs=1e-5)


@pytest.mark.usefixtures("each_way")
def test_threads_and_batches_do_not_change_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.translation.translator.PART", 3)
    targets = SOURCES[::-1]
    alone = [Translator.load(MODELS / "parallel").score(*pair)[0] for pair in zip(SOURCES, targets, strict=True)]
    together = Translator.load(MODELS / "parallel", threads=2, batch_size=4).score(SOURCES, targets)
    for one, other in zip(alone, together, strict=True):
        assert one.token_log_probabilities == pytest.approx(other.token_log_probabilities, abs=1e-4)


def test_an_empty_translation_has_the_probability_of_eos() -> None:
    [score] = Translator.load(MODELS / "parallel").score(SOURCES[0], "")
    assert (score.tokens, score.words) == ([], 0)
    assert len(score.token_log_probabilities) == 1
    assert score.per_word == score.log_probability < 0
    assert math.isfinite(score.log_probability)


def test_languages_and_faults() -> None:
    translator = Translator.load(MODELS / "languages")
    first, second = translator.data.target_languages[:2]
    one, other = (translator.score(SOURCES[0], SOURCES[1], to=language)[0] for language in (first, second))
    assert one.log_probability != other.log_probability
    assert translator.score(Request(SOURCES[0], to=second), SOURCES[1], to=first) == [other]
    with pytest.raises(ConfigError, match="target language"):
        translator.score(SOURCES[0], SOURCES[1])
    with pytest.raises(ValueError, match="2 texts have 1 translations"):
        translator.score(SOURCES[:2], SOURCES[:1], to=first)
    with pytest.raises(TypeError, match="translations"):
        translator.score(SOURCES[:1], [None], to=first)  # type: ignore[list-item]
