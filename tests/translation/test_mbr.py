"""Minimum Bayes risk decoding: the choice agrees with sacreBLEU's chrF over all pairs, in both ways of searching."""

from pathlib import Path

import pytest
from sacrebleu import sentence_chrf

from nmt import MbrOptions, Request, SampleOptions, SearchOptions, Translator
from nmt.errors import ConfigError

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
SOURCES = (MODELS / "source.txt").read_text(encoding="utf-8").splitlines()[:6]
OPTIONS = MbrOptions(sampling=SampleOptions(samples=8), search=SearchOptions(beam=3, nbest=3), nbest=4)


@pytest.fixture
def translator() -> Translator:
    return Translator.load(MODELS / "input_feeding")


@pytest.mark.usefixtures("each_way")
def test_the_most_similar_translations_are_chosen() -> None:
    translator = Translator.load(MODELS / "input_feeding")
    found = translator.nbest(SOURCES, OPTIONS)
    beams = translator.nbest(SOURCES, OPTIONS.search)
    samples = translator.nbest(SOURCES, OPTIONS.sampling)
    for chosen, beam, sample in zip(found, beams, samples, strict=True):
        texts = list(dict.fromkeys(one.text for one in [*beam, *sample]))
        references = [one.text for one in sample]
        # The package compares with the mean counts of the samples. That is nearly the mean of all comparisons.
        means = {text: sum(sentence_chrf(text, [other]).score for other in references) / 8 for text in texts}
        assert [one.text for one in chosen] == list(dict.fromkeys(one.text for one in chosen))
        assert len(chosen) == min(4, len(texts))
        assert [one.score for one in chosen] == sorted((one.score for one in chosen), reverse=True)
        assert means[chosen[0].text] >= max(means.values()) - 6


def test_equal_samples_decide(translator: Translator) -> None:
    certain = MbrOptions(sampling=SampleOptions(samples=3, temperature=0), search=SearchOptions(beam=3, nbest=3))
    greedy = translator.translate(SOURCES, SearchOptions(beam=1))
    assert translator.translate(SOURCES, certain) == greedy
    assert [best[0].score for best in translator.nbest(SOURCES, certain)] == pytest.approx([100.0] * len(SOURCES))


def test_texts_with_other_options_are_searched_as_usual(translator: Translator) -> None:
    plain, risk = translator.nbest([Request(SOURCES[0]), Request(SOURCES[0], options=OPTIONS)])
    assert plain == translator.nbest(SOURCES[:1])[0]
    assert risk == translator.nbest(SOURCES[:1], OPTIONS)[0]


def test_capitals_and_several_sentences(translator: Translator) -> None:
    [joined] = translator.nbest(f"{SOURCES[0]} {SOURCES[1]}", OPTIONS, split=True)
    one, other = (translator.nbest(source, OPTIONS)[0] for source in SOURCES[:2])
    assert joined[0].text == f"{one[0].text} {other[0].text}"
    assert translator.nbest("", OPTIONS)[0][0].text == ""


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="nbest: must be from 1 to 1,000, not 0"):
        MbrOptions(nbest=0)
    with pytest.raises(ConfigError, match="attention: must be the same"):
        MbrOptions(search=SearchOptions(nbest=5, attention=True))
