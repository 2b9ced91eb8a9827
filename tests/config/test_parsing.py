"""Plain data becomes dataclasses; every fault of types, names and bounds is reported at once, with the nearest name."""

import json
from typing import Any, get_args

import pytest
import yaml
from config_faults import find_faults

from nmt.config.corpus import CorpusConfig
from nmt.config.fields import Field, fields_of, format_value
from nmt.config.load import parse_config
from nmt.config.parsing import describe_value
from nmt.config.schema import Config

FIELDS: dict[str, Field] = {
    f"{section.name}.{field.name}": field
    for section in fields_of(Config).values()
    for field in fields_of(section.type).values()
}


def test_no_content_gives_the_defaults() -> None:
    assert parse_config({}) == Config()
    assert parse_config({"model": None, "data": {}}) == Config()


def test_all_faults_are_reported_at_once() -> None:
    content = {
        "data": {"train": [{"path": "a", "paht": "b"}, 3], "max_length": 0},
        "model": {"cell": "lsmt", "dropuot": 0.1, "encoder_layers": 1.5, "residual": "yes", "dropout": -1},
        "training": "fast",
        "extra": 1,
    }
    keys = ", ".join(fields_of(type(Config().training)))
    assert find_faults(content) == [
        "data.train[0].paht: unknown key; did you mean data.train[0].path?",
        "data.train[1]: must hold keys (path, source, target, dataset, name, split, source_column, target_column, "
        "source_language, target_language, tag, streaming, weight), not 3",
        "data.max_length: must be from 1 to 100,000, not 0",
        "model.cell: must be one of lstm, gru, rnn, layer_norm_lstm, not 'lsmt'",
        "model.dropuot: unknown key; did you mean model.dropout?",
        "model.encoder_layers: must be a whole number, not 1.5",
        "model.residual: must be true or false, not 'yes'",
        "model.dropout: must be from 0 to 0.95, not -1",
        f"training: must hold keys ({keys}), not 'fast'",
        "extra: unknown key; allowed are data, tokenizer, model, training, validation",
    ]


TEXT = 'must be text (in quotes where YAML reads it as something else: "no"), not'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"modle": {}}, "modle: unknown key; did you mean model?"),
        ({"training": {"learning_rat": 1}}, "training.learning_rat: unknown key; did you mean training.learning_rate?"),
        ({"data": {1: 2}}, "data.1: unknown key; allowed are source_language, target_language, target_tags, train"),
        ([1], "must hold sections (data, tokenizer, model, training, validation), not [1]"),
        ({"model": [1]}, "model: must hold keys (cell, "),
        ({"model": {"cell": None}}, "model.cell: must be one of lstm, gru, rnn, layer_norm_lstm, not nothing"),
        ({"model": {"cell": ["lstm"]}}, "model.cell: must be one of lstm, gru, rnn, layer_norm_lstm, not ['lstm']"),
        ({"training": {"epochs": True}}, "training.epochs: must be a whole number, not True"),
        ({"training": {"epochs": "3"}}, "training.epochs: must be a whole number, not '3'"),
        ({"training": {"epochs": 3.0}}, "training.epochs: must be a whole number, not 3.0"),
        ({"training": {"epochs": None}}, "training.epochs: must be a whole number, not nothing"),
        ({"training": {"betas": [0.9]}}, "training.betas: must be a list of 2, not [0.9]"),
        ({"training": {"betas": [0.9, 0.9, 0.9]}}, "training.betas: must be a list of 2, not [0.9, 0.9, 0.9]"),
        ({"training": {"betas": 0.9}}, "training.betas: must be a list, not 0.9"),
        ({"training": {"betas": [0.9, "x"]}}, "training.betas[1]: must be a number, not 'x'"),
        ({"training": {"betas": [0.9, -0.1]}}, "training.betas[1]: must be at least 0 and below 1, not -0.1"),
        ({"training": {"betas": [1, 0.9]}}, "training.betas[0]: must be at least 0 and below 1, not 1"),
        ({"training": {"learning_rate": True}}, "training.learning_rate: must be a number, not True"),
        ({"training": {"learning_rate": [1]}}, "training.learning_rate: must be a number, not [1]"),
        ({"model": {"forget_bias": float("nan")}}, "model.forget_bias: must be a number, not nan"),
        ({"training": {"learning_rate": ".inf"}}, "training.learning_rate: must be a number, not '.inf'"),
        ({"training": {"learning_rate": 10**400}}, "training.learning_rate: must be a number, not 1000"),
        ({"training": {"freeze": ["encodre"]}}, "training.freeze[0]: must be one of embeddings, encoder, decoder, att"),
        ({"tokenizer": {"symbols": "<x>"}}, "tokenizer.symbols: must be a list, not '<x>'"),
        ({"tokenizer": {"symbols": ["<x>", 1]}}, f"tokenizer.symbols[1]: {TEXT} 1"),
        ({"data": {"source_language": 1}}, f"data.source_language: {TEXT} 1"),
        ({"data": {"source_language": False}}, f"data.source_language: {TEXT} False"),
        ({"data": {"source_language": ["en"]}}, "data.source_language: must be text, not ['en']"),
        ({"data": {"drop_duplicates": 1}}, "data.drop_duplicates: must be true or false, not 1"),
    ],
)
def test_fault(content: object, says: str) -> None:
    (fault,) = find_faults(content)
    assert fault.startswith(says)


def test_numbers_have_the_type_of_their_key() -> None:
    config = parse_config({"training": {"learning_rate": 1, "warmup": 3}})
    assert (type(config.training.learning_rate), type(config.training.warmup)) == (float, int)


@pytest.mark.parametrize("text", ["1e-3", "1.0e-3", "0.001", "'0.001'", "1E-3"])
def test_all_spellings_of_a_thousandth(text: str) -> None:
    """YAML 1.1 reads 1e-3, which has no dot, as text."""
    assert parse_config(yaml.safe_load(f"training: {{learning_rate: {text}}}")).training.learning_rate == 0.001
    assert parse_config({}, [f"training.learning_rate={text}"]).training.learning_rate == 0.001


def test_short_forms_of_corpora() -> None:
    a, b = CorpusConfig(path="a"), CorpusConfig(path="b", weight=None)
    short: Any
    nothing: Any
    for short in ("a", ["a"], {"path": "a"}, [{"path": "a"}]):
        assert parse_config({"data": {"train": short}}).data.train == (a,)
    assert parse_config({"data": {"train": ["a", {"path": "b"}]}}).data.train == (a, b)
    for nothing in (None, []):
        assert parse_config({"data": {"train": nothing}}).data.train == ()


def find_needed(name: str) -> list[str]:
    """Overrides with which a key has an effect."""
    special = {
        "data.shuffle_buffer": ["data.train=[{dataset: d, streaming: true}]", "training.schedule=constant"],
        "data.temperature": ["data.train=[a, b]"],
        "model.attention_heads": ["model.attention=multi_head", "model.encoder_size=1024", "model.decoder_size=1024"],
        "model.dropout": ["model.decoder_layers=2"],
        "tokenizer.target_model": ["tokenizer.source_model=m", "tokenizer.joint=false", "model.tied_embeddings=none"],
    }
    conditions = [f"{condition.key}={condition.values[0]}" for condition in FIELDS[name].only_with]
    return special.get(name, ["training.start_from=m", *conditions])


@pytest.mark.parametrize(
    ("name", "bound", "beyond"),
    [
        (name, bound, beyond)
        for name, field in FIELDS.items()
        if field.range
        for bound, beyond in ((field.range.least, -1), (field.range.most, 1))
        if bound is not None
    ],
)
def test_bound(name: str, bound: float, beyond: int) -> None:
    parse_config({}, [*find_needed(name), f"{name}={bound}"])
    step = 1 if FIELDS[name].type is int else 1e-7
    fault = find_faults({}, *find_needed(name), f"{name}={bound + beyond * step}")[0]
    assert fault.startswith(f"{name}: must be ")
    assert f"{bound:,}" in fault


def test_every_number_has_bounds() -> None:
    numbers = {name: field.range for name, field in FIELDS.items() if field.type in (int, float)}
    assert [name for name, bounds in numbers.items() if not bounds or (bounds.most, bounds.below) == (None, None)] == []


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.type in (int, float)])
@pytest.mark.parametrize(
    "value", ["9" * 5000, "1e300", ".inf", "-.inf", ".nan", "1e999", "2147483649e9", "010", "0x10", "1:30"]
)
def test_extreme_numbers_are_one_fault(name: str, value: str) -> None:
    number = FIELDS[name].type is float and value == "010"
    assert number or len(find_faults({}, *find_needed(name), f"{name}={value}")) == 1


@pytest.mark.parametrize("text", ["", " ", "x" * 5000, "a\x00b", "a\x1b[31m", "a\nb", "\ud800"])
def test_texts_that_cannot_be_names(text: str) -> None:
    for name in (name for name, field in FIELDS.items() if field.type is str):
        (fault,) = find_faults({}, *find_needed(name), f"{name}={json.dumps(text)}")
        assert fault.startswith(f"{name}: must be a text ")
        assert len(fault) < 300


def list_values(kind: Any) -> tuple[object, ...]:
    """Return the values of a type that has a few values."""
    return (True, False) if kind is bool else get_args(kind)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.only_with])
def test_a_key_without_effect_is_refused(name: str) -> None:
    """The key has another value than the default, and a key on which it depends has a value that excludes it."""
    field = FIELDS[name]
    values = {
        bool: not field.default,
        int: 8,
        str: "m",
    }
    special = {
        "tokenizer.character_coverage": 0.99,
        "tokenizer.symbols": "[<x>]",
        "training.risk_cost": "chrf",
        "training.plateau_factor": 0.25,
    }
    override = f"{name}={special.get(name, values.get(field.type, 0.125))}"
    parse_config({}, [*find_needed(name), override])
    for condition in field.only_with:
        other = FIELDS[condition.key]
        (excluding, *_) = (value for value in list_values(other.type) if value not in condition.values)
        faults = find_faults({}, *find_needed(name), override, f"{condition.key}={excluding}")
        shown = format_value(excluding)
        assert any(fault.startswith(f"{name}: only with {condition}, not with {shown};") for fault in faults)


def test_conditions_name_values_that_exist() -> None:
    for field in FIELDS.values():
        for condition in field.only_with:
            assert set(condition.values) < set(list_values(FIELDS[condition.key].type))


@pytest.mark.parametrize(
    "text",
    ["&a 1", "*a", "!!bool foo", "!!int x", "[" * 10_000, "{a: 1, a: 2}", "{[a]: 1}", "[", "!!python/name:os.system"],
)
def test_invalid_yaml_is_a_fault(text: str) -> None:
    (fault,) = find_faults({}, f"data.train={text}")
    assert fault == f"data.train: {describe_value(text)} is not a YAML value"
