"""docs/configuration.md is generated from nmt/config/schema.py and complete."""

import pytest
from docs_tools.configuration import PAGE, format_page, wrap

from nmt.config.corpus import CorpusConfig
from nmt.config.fields import docs_of, fields_of
from nmt.config.schema import Config


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == format_page(), "run scripts/write-configuration-docs"


@pytest.mark.parametrize("kind", [CorpusConfig, *(section.type for section in fields_of(Config).values())])
def test_every_key_is_in_the_page_with_its_docstring(kind: type) -> None:
    page, docs = format_page(), docs_of(kind)
    for name in fields_of(kind):
        assert len(docs[name]) > 10
        assert f"- **`{name}`**: " in page
        assert wrap(docs[name]).splitlines()[0] in page


def test_the_page_shows_values_defaults_and_conditions() -> None:
    page = " ".join(format_page().split())
    for expected in (
        "- **`cell`**: `lstm`, `gru`, `rnn`, ",
        "- **`dropout`**: number from 0 to 0.95; default `0.3`.",
        "- **`max_updates`**: whole number from 1 to 1,000,000,000; default `null`.",
        "- **`betas`**: list of 2, each a number at least 0 and below 1; default `[0.9, 0.98]`.",
        "- **`residual`**: true or false; default `true`.",
        "- **`train`**: [corpus](#corpora), or a list of them; default `[]`.",
        "Only if `training.schedule` is `plateau`.",
        "- **`symbols`**: list of text; default `[]`.",
        "[data](#data), [tokenizer](#tokenizer), [model](#model), [training](#training), [validation](#validation)",
    ):
        assert expected in page


def test_lines_are_short() -> None:
    assert [line for line in format_page().splitlines() if len(line) > 120 and not line.startswith("<!--")] == []
