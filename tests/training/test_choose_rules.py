"""The rules by which settings follow from a text."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from docs_tools.rules import PAGE, format_rules

from nmt.config.load import parse_config
from nmt.data.cleaning import CleaningReport
from nmt.training.choose.measure import SideMeasures, TextMeasures
from nmt.training.choose.rules import RULES, choose_settings, find_rule, plan_length, shrink_rule

LATIN = SideMeasures(words=1000, types=100, characters=Counter("the letters of this side are latin, all of them"))
CHEROKEE = SideMeasures(words=1000, types=100, characters=Counter("ᎠᎴ ᎾᏍᎩ ᏅᏗᎦᎵᏍᏙᏗᎭ ᏂᎦᏛ"))
CHINESE = SideMeasures(words=1000, types=100, characters=Counter({chr(0x4E00 + number): 20 for number in range(3000)}))


def measure(source: SideMeasures, target: SideMeasures, pairs: int = 11_000) -> TextMeasures:
    return TextMeasures(report=CleaningReport(read=pairs, kept=pairs), source=source, target=target)


def choose(measures: TextMeasures, **given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    settings = choose_settings(measures, find_rule(measures.pairs), given)
    overrides = [f"{section}.{key}={value}" for section, keys in given.items() for key, value in keys.items()]
    parse_config(settings, overrides)
    return settings


def test_the_table_in_the_documentation_is_up_to_date() -> None:
    assert format_rules() in PAGE.read_text(encoding="utf-8"), "run scripts/write-configuration-docs"


def test_rows_are_in_order_and_valid() -> None:
    for before, after in pairwise(RULES):
        assert before.pairs < after.pairs
        assert before.epochs >= after.epochs
        assert before.dropout >= after.dropout
    for rule in RULES:
        for used in (rule, shrink_rule(rule)):
            for measures in (measure(LATIN, LATIN), measure(CHEROKEE, LATIN)):
                parse_config(choose_settings(measures, used, {}))


@pytest.mark.parametrize(("pairs", "row"), [(1, 0), (RULES[0].pairs, 0), (RULES[0].pairs + 1, 1), (10**9, -1)])
def test_the_number_of_pairs_chooses_the_rule(pairs: int, row: int) -> None:
    assert find_rule(pairs) == RULES[row]


def test_sides_with_the_same_letters_share_a_vocabulary() -> None:
    settings = choose(measure(LATIN, LATIN))
    assert settings["tokenizer"]["joint"] is True
    assert settings["tokenizer"]["vocabulary_size"] == find_rule(11_000).joint
    assert settings["model"]["tied_embeddings"] == "three_way"


def test_sides_with_other_letters_have_their_own_vocabularies() -> None:
    settings = choose(measure(CHEROKEE, LATIN))
    assert settings["tokenizer"]["joint"] is False
    assert settings["tokenizer"]["vocabulary_size"] == find_rule(11_000).apart
    assert settings["model"]["tied_embeddings"] == "two_way"


def test_other_settings_fit_those_of_the_user() -> None:
    assert choose(measure(LATIN, LATIN), tokenizer={"joint": False})["model"]["tied_embeddings"] == "two_way"
    assert choose(measure(CHEROKEE, LATIN), tokenizer={"joint": True})["model"]["tied_embeddings"] == "three_way"
    assert "character_coverage" not in choose(measure(CHINESE, LATIN), tokenizer={"kind": "words"})["tokenizer"]


def test_many_characters_need_a_larger_vocabulary_without_the_rare_ones() -> None:
    rare = SideMeasures(words=1, types=1, characters=CHINESE.characters + Counter({"龜": 1, "龍": 1}))
    tokenizer = choose(measure(rare, LATIN, 2_000))["tokenizer"]
    assert tokenizer["character_coverage"] == 0.9995
    assert 4_500 < tokenizer["vocabulary_size"] < 5_000


def test_a_side_that_is_partly_in_the_other_script() -> None:
    mixed = SideMeasures(words=1, types=1, characters=LATIN.characters + CHEROKEE.characters)
    measures = measure(mixed, LATIN)
    letters = {script: round(share, 2) for script, share in mixed.scripts.items()}
    assert sum(letters.values()) == pytest.approx(1.0)
    assert measures.shared_script == mixed.scripts["LATIN"]


def test_characters_that_cover_a_share_of_the_text() -> None:
    side = SideMeasures(characters=Counter({"a": 90, "b": 9, "c": 1}))
    assert [side.count_characters(share) for share in (0.5, 0.9, 0.95, 0.99, 1.0)] == [1, 1, 2, 2, 3]
    assert SideMeasures().count_characters() == 0


@pytest.mark.parametrize("updates", [1, 10, 100, 2_300, 1_000_000])
def test_settings_by_the_number_of_updates(updates: int) -> None:
    plan = plan_length(updates, 24)
    parse_config(plan)
    assert plan["training"]["warmup"] <= max(1, updates / 10)
    assert -(-updates // plan["validation"]["every"]) <= 24
