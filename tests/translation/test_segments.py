"""Segments: how texts are cut, and how the translations of their parts are joined."""

import logging

import pytest

from nmt.config.load import parse_config
from nmt.config.schema import Config, DataConfig, TokenizerConfig
from nmt.errors import ConfigError
from nmt.search.options import Options, SampleOptions, SearchOptions
from nmt.tokenizers.build import train_tokenizers
from nmt.translation.request import Request, Segment, Translation
from nmt.translation.segments import Segmenter, find_middle, join_segments
from nmt.types import EOS


def part(text: str, score: float, source: str, alignment: list[int]) -> Translation:
    attention = [[float(position == place) for place in range(len(source.split()))] for position in alignment]
    tokens, source_tokens = text.split(), source.split()
    return Translation(
        text=text,
        score=score,
        source_tokens=source_tokens,
        tokens=tokens,
        alignment=alignment,
        attention=attention,
    )


FIRST, SECOND, THIRD = part("a b c", -1.0, "x y", [0, 1, 1]), part("d", -3.0, "z", [0]), part("", -5.0, "w", [])


def join(*found: list[Translation], options: Options = SearchOptions()) -> list[Translation]:  # noqa: B008
    return join_segments([Segment(source=(4, EOS), options=options)] * len(found), found, " ")


def test_the_best_of_each_part_are_joined_in_order() -> None:
    (whole,) = join([FIRST, SECOND], [SECOND, THIRD], [THIRD])
    assert (whole.text, whole.tokens, whole.source_tokens) == ("a b c d", ["a", "b", "c", "d"], ["x", "y", "z", "w"])
    assert whole.alignment == [0, 1, 1, 2]
    assert [weights.index(1.0) for weights in whole.attention] == whole.alignment
    assert {len(weights) for weights in whole.attention} == {4}
    # The score is the mean of log P of all tokens, ends of sentences counted.
    assert whole.score == pytest.approx((4 * -1.0 + 2 * -3.0 + 1 * -5.0) / 7)


def test_a_sample_of_a_text_joins_one_sample_of_each_part() -> None:
    found = join([FIRST, SECOND], [SECOND, SECOND], options=SampleOptions(samples=2))
    assert [translation.text for translation in found] == ["a b c d", "d d"]


def test_a_text_of_one_part_and_of_none() -> None:
    assert join([FIRST, SECOND]) == [FIRST, SECOND]
    (blank,) = join()
    assert (blank.text, blank.score, blank.tokens, blank.source_tokens) == ("", 0.0, [], [])


@pytest.mark.parametrize(
    ("text", "halves"),
    [
        # The sentence ends at 8 and 25 of 29 characters: 8 is nearer to the middle.
        ("one two. three four five. six", ["one two. ", "three four five. six"]),
        ("one two three four", ["one two ", "three four"]),
        ("aaaaaaaa", ["aaaa", "aaaa"]),
        ("一二三。四五六", ["一二三。", "四五六"]),
        ("end of it. ", ["end ", "of it. "]),
    ],
)
def test_texts_are_cut_near_the_middle_between_sentences_or_words(text: str, halves: list[str]) -> None:
    middle = find_middle(text, "en")
    assert [text[:middle], text[middle:]] == halves


# ---- texts to segments, by a tokenizer of words: every word is a token

WORDS = "one two three four five six . one. two. three。four"


def configure(**data: object) -> Config:
    return parse_config({"data": data, "tokenizer": {"kind": "words", "vocabulary_size": 60}})


def make_segmenter(config: Config, max_tokens: int = 4) -> Segmenter:
    tokenizers = train_tokenizers(config.tokenizer, [(word, word) for word in WORDS.split()], config.data.tags)
    return Segmenter(tokenizers, config.data, max_tokens)


@pytest.fixture
def segmenter() -> Segmenter:
    return make_segmenter(configure(target_language="de"))


def show(segmenter: Segmenter, request: Request) -> list[str]:
    return [" ".join(segmenter.tokenizer.tokens(segment.ids)) for segment in segmenter.split(request, "line 1")]


def test_a_text_is_one_segment_if_it_is_short(segmenter: Segmenter, caplog: pytest.LogCaptureFixture) -> None:
    assert show(segmenter, Request(" one two three four ")) == ["one two three four"]
    assert [show(segmenter, Request(blank)) for blank in ("", " \t", "\u3000")] == [[], [], []]
    assert not caplog.messages


def test_a_long_text_is_halved_with_a_warning(segmenter: Segmenter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    text = "one two three four five six"
    assert show(segmenter, Request(text)) == ["one two three", "four five six"]
    assert show(segmenter, Request(f"{text} {text}", name="a title")) == ["one two three", "four five six"] * 2
    assert caplog.messages == [
        "line 1: 6 tokens, translated in 2 parts",
        "a title: 12 tokens, translated in 4 parts",
    ]


def test_a_character_is_never_cut() -> None:
    segmenter = make_segmenter(configure(target_language="de"), max_tokens=0)
    assert len(segmenter.split(Request("a b"), "line 1")) == 2


def test_sentences_of_a_text_are_segments_if_asked_for(segmenter: Segmenter, caplog: pytest.LogCaptureFixture) -> None:
    assert show(segmenter, Request("one. two. three", split=True)) == ["one.", "two.", "three"]
    assert show(segmenter, Request("one. two. three")) == ["one. two. three"]
    assert len(segmenter.split(Request("three。four", split=True), "line 1")) == 2  # Chinese has no space there
    assert len(segmenter.split(Request("three.four", split=True), "line 1")) == 1
    assert not caplog.messages


def test_sentences_are_segments_by_default_if_the_model_was_trained_on_sentences(
    segmenter: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    segmenter.split_default = True
    text = "one. two. three"
    assert show(segmenter, Request(text, split=False)) == [text]
    assert show(segmenter, Request("one")) == ["one"]
    assert not caplog.messages
    for _ in range(2):
        assert show(segmenter, Request(text)) == ["one.", "two.", "three"]
    (message,) = caplog.messages
    assert message.startswith("line 1: has 3 sentences, each translated separately, because the model was trained on ")


@pytest.mark.parametrize(("language", "separator"), [("de", " "), ("ja", ""), ("zh-TW", ""), ("ko", " ")])
def test_the_separator_is_that_of_the_target_language(language: str, separator: str) -> None:
    segmenter = make_segmenter(configure(target_language=language))
    assert segmenter.separator(Request("one")) == separator


def translation(text: str, score: float) -> Translation:
    return Translation(text=text, score=score, source_tokens=["a"], tokens=text.split(), alignment=[])


def test_an_nbest_list_of_several_segments_has_the_best_combinations() -> None:
    lists = [
        [translation("a b", -0.1), translation("c", -0.3), translation("d", -0.5)],
        [translation("e", -0.2), translation("f", -0.25)],
    ]
    segments = [Segment(source=(4, 3), options=SearchOptions(nbest=3))] * 2
    joined = join_segments(segments, lists, " ")
    expected = [
        ("a b e", (-0.1 * 3 - 0.2 * 2) / 5),
        ("a b f", (-0.1 * 3 - 0.25 * 2) / 5),
        ("c e", (-0.3 * 3 - 0.2 * 2) / 5),
    ]
    assert [one.text for one in joined] == [text for text, _ in expected]
    assert [one.score for one in joined] == pytest.approx([score for _, score in expected])
    every = sorted((-3 * a.score - 2 * b.score, f"{a.text} {b.text}") for a in lists[0] for b in lists[1])
    assert [one.text for one in joined] == [text for _, text in every[:3]]
    assert join_segments(segments, [lists[0], lists[0]], "")[0].text == "a ba b"
    one_best = [Segment(source=(4, 3), options=SearchOptions())] * 2
    assert [one.text for one in join_segments(one_best, [best[:1] for best in lists], " ")] == ["a b e"]


def test_segments_have_the_options_of_their_request(segmenter: Segmenter) -> None:
    sampling = SampleOptions(samples=3)
    assert {segment.options for segment in segmenter.split(Request("one"), "line 1")} == {SearchOptions()}
    long = Request("one two three four five six", options=sampling)
    assert [segment.options for segment in segmenter.split(long, "line 1")] == [sampling, sampling]


def test_tags_come_before_each_segment_and_do_not_count() -> None:
    french = {"path": "x", "target_language": "fr"}
    train = ["x", french, {**french, "tag": "<bt>"}]
    segmenter = make_segmenter(configure(train=train, target_tags=True))
    four = "one two three four"
    assert show(segmenter, Request(four, to="fr")) == [f"<2fr> {four}"]
    assert show(segmenter, Request(four, to="de", tag="<bt>")) == [f"<2de> <bt> {four}"]
    long = show(segmenter, Request("one two three four five six", to="fr"))
    assert long == ["<2fr> one two three", "<2fr> four five six"]
    for request, message in (
        (Request("one"), r"the target language is not given; choose de or fr \(--to\)"),
        (Request("", to="cs"), "does not translate into cs; choose de or fr"),
        (Request("one", to="de", tag="<x>"), "tag <x>: no training corpus has it; choose <bt>, or leave it out"),
    ):
        with pytest.raises(ConfigError, match=message):
            segmenter.split(request, "line 1")
        with pytest.raises(ConfigError, match=message):
            segmenter.tag_ids(request.to, request.tag)


def test_a_tag_for_a_model_without_tags(segmenter: Segmenter) -> None:
    with pytest.raises(ConfigError, match="leave it out, the model has no tags"):
        segmenter.split(Request("one", tag="<bt>"), "line 1")


class TestCase:
    """Source text in unusual case is tokenized in its usual case, and capitals are translated into capitals."""

    LINES = ("Ein Mann sitzt hier.", "Hier sitzt ein Hund.", "Der Mann und ein Hund sind hier.")

    def segments(self, text: str, *, truecase: bool = True, split: bool = False) -> list[Segment]:
        config = TokenizerConfig(kind="characters", truecase=truecase)
        tokenizers = train_tokenizers(config, [(line + "DEIHMNRSTZ", "A") for line in self.LINES])
        data = DataConfig(source_language="de", target_language="en")
        return Segmenter(tokenizers, data, 100).split(Request(text, split=split), "line 1")

    @pytest.mark.parametrize("text", ["EIN MANN SITZT HIER", "ein mann sitzt hier", "Ein Mann Sitzt Hier"])
    def test_a_line_in_unusual_case(self, text: str) -> None:
        (segment,), (usual,) = self.segments(text), self.segments("Ein Mann sitzt hier")
        assert segment.source == usual.source
        assert segment.capitals == ("en" if text.isupper() else None)

    def test_each_sentence_by_itself(self) -> None:
        found = self.segments("EIN MANN SITZT HIER. Ein Mann sitzt hier.", split=True)
        assert [segment.capitals for segment in found] == ["en", None]
        assert found[0].source == found[1].source
        assert [segment.capitals for segment in self.segments("EIN MANN. Ein Mann sitzt hier.")] == [None]

    def test_truecasing_can_be_switched_off(self) -> None:
        (segment,), (usual,) = self.segments("EIN MANN", truecase=False), self.segments("Ein Mann", truecase=False)
        assert segment.capitals is None
        assert segment.source != usual.source


def odd_forms(text: str) -> list[str]:
    """Texts that look like `text`."""
    return [
        *(text.replace(" ", space) for space in ("\u00a0", "\u202f", "\u2009", "\u3000", "  ", "\t", " \u200b")),
        *(f"{mark}{text}" for mark in ("\ufeff", "\u200f", " \u00a0", "\u200d")),
        *(text.replace("e", f"e{mark}") for mark in ("\u200b", "\u00ad", "\u2060", "\u200c", "\ufe0f")),
        "".join(chr(ord(letter) + 0xFEE0) if letter != " " else letter for letter in text),
    ]


def test_texts_that_look_the_same_have_the_same_segments(segmenter: Segmenter) -> None:
    plain = segmenter.split(Request("one two three"), "line 1")
    assert len(plain) == 1
    for text in odd_forms("one two three"):
        assert segmenter.split(Request(text), "line 1") == plain, ascii(text)


def test_a_text_without_visible_characters_is_blank(segmenter: Segmenter) -> None:
    for text in ("\u200b", "\ufeff \u200e", "\u00ad\u2028", "\x00", "\u180e\u3164"):
        assert segmenter.split(Request(text), "line 1") == []
        assert segmenter.split(Request(text, split=True), "line 1") == []


def test_full_width_marks_end_sentences(segmenter: Segmenter) -> None:
    for text in ("你好！再见？一。", "你好!再见? 一。", "本当！？はい。"):
        parts = len(segmenter.split(Request(text, split=True), "line 1"))
        assert parts == (2 if "！？" in text else 3), text
