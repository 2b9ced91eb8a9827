"""Figures of a report against counts made by hand, plain loops, and sacrebleu."""

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from nmt.evaluation.report.figures import (
    Coverage,
    FrequencyGroup,
    Lengths,
    Repetition,
    compare_lengths,
    compute_coverage,
    count_repetitions,
    count_words,
    group_by_frequency,
    group_by_length,
    rank_sentences,
)
from nmt.metrics.standard import BLEU, ChrF
from nmt.translation.request import Translation

REFERENCES = [
    "Ein Mann geht.",
    "Zwei Hunde laufen schnell durch den Schnee.",
    "Ein Kind lacht.",
    "a b c d e f g h i j k",
]
HYPOTHESES = ["Ein Mann steht.", "Zwei Hunde laufen durch den Schnee.", "Ein Kind lacht.", "a b c d e f g h i j"]


def lists(*lines: str) -> list[list[str]]:
    return [line.split() for line in lines]


def test_scores_group_by_length_are_sacrebleus_of_each_group() -> None:
    groups = group_by_length(HYPOTHESES, [REFERENCES], BLEU(), ChrF())
    members = {"1–5": [0, 2], "6–10": [1], "11–15": [3]}  # with the full stops 4, 8, 4 and 11 words
    assert [group.label for group in groups] == list(members)
    for group, chosen in zip(groups, members.values(), strict=True):
        ours, theirs = [HYPOTHESES[index] for index in chosen], [[REFERENCES[index] for index in chosen]]
        assert group.sentences == len(chosen)
        assert group.bleu == sacrebleu.BLEU().corpus_score(ours, theirs).score
        assert group.chrf == sacrebleu.CHRF().corpus_score(ours, theirs).score


def test_the_first_reference_groups_and_all_score() -> None:
    other = ["Ein Mann steht und geht nicht.", "", "Ein Kind lacht.", ""]
    (first, *_) = group_by_length(HYPOTHESES, [REFERENCES, other], BLEU(), ChrF())
    ours, theirs = HYPOTHESES[:1] + HYPOTHESES[2:3], [REFERENCES[:1] + REFERENCES[2:3], other[:1] + other[2:3]]
    assert first.sentences == 2
    assert first.bleu == sacrebleu.BLEU().corpus_score(ours, theirs).score


def test_empty_references_belong_to_the_shortest() -> None:
    (group,) = group_by_length(["x", "y"], [["", "y"]], BLEU(), ChrF())
    assert (group.label, group.sentences) == ("1–5", 2)


def test_accuracy_group_by_frequency_counts_matches_sentence_by_sentence() -> None:
    hypotheses, references = lists("the cat the cat", "a dog"), lists("the cat sat", "the dog sat sat")
    groups = group_by_frequency(hypotheses, references, {"the": 1000, "cat": 1, "sat": 7, "a": 1000})
    assert groups == [
        FrequencyGroup(label="0", reference=1, hypothesis=1, matched=1),  # dog
        FrequencyGroup(label="1", reference=1, hypothesis=2, matched=1),  # cat, which was said twice
        FrequencyGroup(label="5–9", reference=3, hypothesis=0, matched=0),  # sat
        FrequencyGroup(label="1000+", reference=2, hypothesis=3, matched=1),  # the, the, a
    ]
    assert [(group.precision, group.recall) for group in groups] == [(1, 1), (0.5, 1), (0, 0), (1 / 3, 0.5)]
    assert [group.f1 for group in groups] == pytest.approx([1, 2 / 3, 0, 0.4])


def test_words_are_counted_over_all_lines() -> None:
    assert count_words(lists("a b a", "a")) == {"a": 3, "b": 1}


def test_repetitions_beyond_every_reference() -> None:
    hypotheses = lists("a man a man a man", "no no", "very very good")
    references = [lists("a man", "no", "good"), lists("a man a man", "yes", "very very very good")]
    assert count_repetitions(hypotheses, references)[:3] == [
        Repetition(size=1, surplus=1 + 1 + 1, total=11, sentences=2),  # a, man; no; very is the second reference's
        Repetition(size=2, surplus=1 + 1, total=8, sentences=1),  # "a man" against two; "man a" against one
        Repetition(size=3, surplus=1 + 1, total=5, sentences=1),  # "a man a" and "man a man" twice each
    ]


@given(st.lists(st.lists(st.sampled_from("ab"), max_size=7), min_size=1, max_size=4))
def test_a_reference_repeats_nothing_beyond_itself(lines: list[list[str]]) -> None:
    assert all(each.surplus == 0 for each in count_repetitions(lines, [lines]))
    empty: list[list[str]] = [[] for _ in lines]
    for each in count_repetitions(lines, [empty]):
        grams = [[tuple(line[i : i + each.size]) for i in range(len(line) - each.size + 1)] for line in lines]
        assert each.total == sum(map(len, grams))
        assert each.surplus == sum(len(line) - len(set(line)) for line in grams)


def test_lengths_and_short_translations() -> None:
    found = compare_lengths(lists("a b c", "a", "a b c d e f g"), lists("a b c", "a b", "a b c d e f g h i j"))
    assert found == Lengths(hypothesis=11, reference=15, short=1)  # 7 of 10 words is not under 70 %
    assert found.ratio == pytest.approx(11 / 15)
    assert compare_lengths(lists("a"), [[]]).ratio == 0


def translation(pieces: list[str], attention: list[list[float]]) -> Translation:
    return Translation(text="", score=0.0, source_tokens=pieces, tokens=[], alignment=[], attention=attention)


def test_coverage_of_words_is_the_sum_over_their_pieces_and_the_translation() -> None:
    found = compute_coverage(translation(["▁The", "▁do", "g", "▁."], [[0.05, 0.5, 0.2, 0.1], [0.1, 0.25, 0.5, 0.05]]))
    assert found.words == ("The", "dog", ".")
    assert found.attention == pytest.approx((0.15, 1.45, 0.15))
    assert found.neglected() == ["The"]  # the full stop has no letters


def test_tags_are_not_words() -> None:
    pieces, weights = ["<2fr>", "▁The", "<2fr>", "▁do", "g"], [[0.1, 0.2, 0.3, 0.4, 0.5]]
    assert compute_coverage(translation(pieces, weights), tags=["<2fr>"]).words == ("The", "dog")
    assert compute_coverage(translation(pieces, weights), tags=["<2fr>"]).attention == pytest.approx((0.2, 0.9))


def test_without_marks_every_piece_is_a_word() -> None:
    assert compute_coverage(translation(["one", "dog"], [[0.5, 0.25]])) == Coverage(
        words=("one", "dog"), attention=(0.5, 0.25)
    )
    assert compute_coverage(translation([], [])) == Coverage(words=(), attention=())


def test_the_worst_come_first_by_sacrebleus_sentence_chrf() -> None:
    source = ["one", "two", "three", "four"]
    coverages = [Coverage(words=("w",), attention=(0.0 if index == 1 else 1.0,)) for index in range(4)]
    ranked = rank_sentences(source, [REFERENCES], HYPOTHESES, ChrF(), coverages)
    expected = {
        number: sacrebleu.CHRF().sentence_score(ours, [theirs]).score
        for number, (ours, theirs) in enumerate(zip(HYPOTHESES, REFERENCES, strict=True), start=1)
    }
    assert [sentence.number for sentence in ranked] == sorted(expected, key=lambda number: expected[number])
    for sentence in ranked:
        index = sentence.number - 1
        assert sentence.chrf == expected[sentence.number]
        assert (sentence.source, sentence.hypothesis) == (source[index], HYPOTHESES[index])
        assert sentence.references == (REFERENCES[index],)
        assert sentence.neglected == (("w",) if index == 1 else ())
    assert rank_sentences(None, [REFERENCES], HYPOTHESES, ChrF())[0].source is None
