"""The part of YAML that configurations need is read as PyYAML reads it, and everything else is refused at once."""

import time

import pytest
import yaml
from fuzzing.mutations import BOMB
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.plain_yaml import MAX_YAML_CHARACTERS, parse_yaml

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False),
    # PyYAML writes U+0085 as it is, and reads it as a line break.
    st.text(st.characters(codec="utf-8", exclude_characters="\x85"), max_size=20),
)
CONTENTS = st.dictionaries(
    st.text(min_size=1, max_size=10, alphabet=st.characters(categories=("L", "N", "P"))),
    st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=5, alphabet="abc"), SCALARS)),
    max_size=5,
)


@given(CONTENTS)
def test_what_is_written_is_read(content: object) -> None:
    assert parse_yaml(yaml.safe_dump(content, allow_unicode=True)) == content


@pytest.mark.parametrize("text", ["2021-02-30", "010", "0x10", "0b1", "1:30", "1_000", "1e5", "=", "<<"])
def test_odd_types_of_yaml_are_text(text: str) -> None:
    assert parse_yaml(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "aliases are not allowed"),
        ("[" * 100_000, "more than 20 levels"),
        ("{a: " * 50_000, "more than 20 levels"),
        ("{" + ", ".join(f"k{i}: 1" for i in range(12_000)) + "}", "more than 10,000 items"),
        ("9" * 100_000, "more than 100 digits"),
        ("a" * (MAX_YAML_CHARACTERS + 1), "more than 262,144 characters"),
        ("!!set {a}", "tags .* are not allowed"),
        ("? [a]\n: b", "a key must be a word"),
        ("{a: 1, a: 2}", "a is given twice"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    start = time.process_time()
    with pytest.raises(yaml.YAMLError, match=says):
        parse_yaml(text)
    assert time.process_time() - start < 10
