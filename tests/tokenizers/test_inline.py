"""Terms within the ids of a source text."""

from hypothesis import given
from hypothesis import strategies as st

from nmt.config.schema import TokenizerConfig
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.inline import find_tokens, insert_terms
from nmt.types import TERM_TAGS

LINES = [
    "A man on a green ladder.",
    "Two dogs, and (a cat).",
    "Ein Mann auf der Steigleiter.",
    "Zwei Hunde, eine Katze.",
]
TOKENIZER = train_tokenizers(
    TokenizerConfig(kind="bpe", vocabulary_size=320), [(line, line) for line in LINES], TERM_TAGS
).source


def test_terms_are_written_after_their_words() -> None:
    text = "A man on a green ladder."
    ids = TOKENIZER.encode(text)
    (tokens,) = find_tokens(TOKENIZER, text, ids, [(17, 23)])
    assert TOKENIZER.decode(ids[tokens.start : tokens.stop]) == "ladder"
    written = insert_terms(TOKENIZER, ids, [(tokens, "Steigleiter")])
    begin, between, end = TOKENIZER.encode_tags(TERM_TAGS)
    first, second, last = (written.ids.index(id_) for id_ in (begin, between, end))
    assert TOKENIZER.decode(written.ids[first:second]) == "ladder"
    assert TOKENIZER.decode(written.ids[second:last]) == "Steigleiter"
    assert written.origins[first] == written.origins[second] == written.origins[last] == tokens
    assert [written.ids[place] for place in written.places] == ids


@given(st.sampled_from(LINES), st.data())
def test_without_the_terms_the_ids_are_those_of_the_text(text: str, data: st.DataObject) -> None:
    ids = TOKENIZER.encode(text)
    places = data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=6, unique=True).map(sorted))
    parts = list(zip(places[::2], places[1::2], strict=False))
    tokens = find_tokens(TOKENIZER, text, ids, parts)
    written = insert_terms(TOKENIZER, ids, [(own, "Katze") for own in tokens])
    assert [written.ids[place] for place in written.places] == ids
    assert len(written.ids) == len(written.origins)
    for (start, end), own in zip(parts, tokens, strict=True):
        assert text[start:end].strip() in TOKENIZER.decode(ids[own.start : own.stop])


def test_of_overlapping_terms_the_first_is_written() -> None:
    ids = TOKENIZER.encode("Two dogs")
    written = insert_terms(TOKENIZER, ids, [(range(2), "Hunde"), (range(1, 2), "Katze"), (range(0), "Mann")])
    assert TOKENIZER.decode(written.ids).endswith("Hunde" + TOKENIZER.decode(ids[2:])) or len(ids) == 2
    assert written.ids.count(TOKENIZER.encode_tags(TERM_TAGS)[0]) == 1
