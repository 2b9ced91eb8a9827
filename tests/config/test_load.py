"""nmt/config/schema.py: every fault at once, near names, bounds, and a round trip through YAML."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from nmt.config.fields import Field, fields_of
from nmt.config.load import dump_config, load_config, parse_config
from nmt.config.schema import Config, CorpusConfig
from nmt.errors import ConfigError


def faults(content: object, *overrides: str) -> list[str]:
    """The lines of the error, without the place in front: the file, or the command line where an override is at fault."""
    with pytest.raises(ConfigError) as caught:
        parse_config(content, overrides, where="c.yaml")
    lines = str(caught.value).split("\n")
    assert all(line.startswith(("c.yaml: ", "command line: ")) for line in lines)
    return [line.removeprefix("c.yaml: ").removeprefix("command line: ") for line in lines]


def test_faults_name_their_place() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"model": {"cel": "gru"}}, ["training.epoch=2", "nonsense", "model.dropout=x"], where="c.yaml")
    named = [line.split(": ")[:2] for line in str(caught.value).split("\n")]
    assert sorted(named) == [
        ["c.yaml", "model.cel"],
        ["command line", "'nonsense'"],
        ["command line", "model.dropout"],
        ["command line", "training.epoch"],
    ]


def test_nothing_given_is_all_defaults(tmp_path):
    assert parse_config({}) == Config()
    assert parse_config({"model": None, "data": {}}) == Config()
    (tmp_path / "c.yaml").write_text("# nothing\n")
    assert load_config(tmp_path / "c.yaml") == Config()


def test_all_faults_are_reported_at_once():
    content = {
        "data": {"train": [{"path": "a", "paht": "b"}, 3], "max_length": 0},
        "model": {"cell": "lsmt", "dropuot": 0.1, "encoder_layers": 1.5, "residual": "yes"},
        "training": "fast",
        "extra": 1,
    }
    assert faults(content) == [
        "data.train[0].paht: unknown key; did you mean data.train[0].path?",
        "data.train[1]: must hold keys (path, source, target, dataset, name, split, source_column, target_column, "
        "source_language, target_language, tag, streaming, weight), not 3",
        "data.max_length: must be at least 1, not 0",
        "model.cell: must be one of lstm, gru, rnn, layer_norm_lstm, not 'lsmt'",
        "model.dropuot: unknown key; did you mean model.dropout?",
        "model.encoder_layers: must be a whole number, not 1.5",
        "model.residual: must be true or false, not 'yes'",
        next(fault for fault in faults({"training": "fast"}) if fault.startswith("training: must hold keys (epochs, ")),
        "extra: unknown key; allowed are data, tokenizer, model, training, validation",
    ]


def test_all_contradictions_are_reported_at_once():
    content = {
        "model": {"encoder_size": 7, "attention": "dot", "decoder_size": 9},
        "tokenizer": {"joint": False},
        "data": {"train": [{"weight": 1}]},
    }
    assert [fault.split(":")[0] for fault in faults(content)] == [
        "model.encoder_size",
        "model.attention",
        "model.tied_embeddings",
        "data.train[0]",
    ]


def test_values_out_of_range_are_reported_with_wrong_types():
    content = {
        "model": {"dropout": -1, "cell": "x"},
        "training": {"betas": [0.9, 1.0]},
        "data": {"train": [{"weight": 0}]},
    }
    assert [fault.split(":")[0] for fault in faults(content)] == [
        "model.dropout",
        "model.cell",
        "training.betas[1]",
        "data.train[0].weight",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"modle": {}}, "modle: unknown key; did you mean model?"),
        ({"training": {"learning_rat": 1}}, "training.learning_rat: unknown key; did you mean training.learning_rate?"),
        ({"data": {1: 2}}, "data.1: unknown key; allowed are source_language, target_language, target_tags, train"),
        ([1], "must hold sections (data, tokenizer, model, training, validation), not [1]"),
        (
            {"model": {"cell": None}},
            "model.cell: must be one of lstm, gru, rnn, layer_norm_lstm, not nothing",
        ),
        (
            {"model": {"cell": ["lstm"]}},
            "model.cell: must be one of lstm, gru, rnn, layer_norm_lstm, not ['lstm']",
        ),
        ({"training": {"epochs": True}}, "training.epochs: must be a whole number, not True"),
        ({"training": {"epochs": "3"}}, "training.epochs: must be a whole number, not '3'"),
        ({"training": {"betas": [0.9]}}, "training.betas: must be a list of 2, not [0.9]"),
        ({"training": {"betas": 0.9}}, "training.betas: must be a list, not 0.9"),
        ({"training": {"betas": [0.9, "x"]}}, "training.betas[1]: must be a number, not 'x'"),
        ({"training": {"betas": [0.9, -0.1]}}, "training.betas[1]: must be at least 0 and below 1, not -0.1"),
        ({"training": {"betas": [1, 0.9]}}, "training.betas[0]: must be at least 0 and below 1, not 1"),
        ({"training": {"learning_rate": True}}, "training.learning_rate: must be a number, not True"),
        ({"training": {"learning_rate": [1]}}, "training.learning_rate: must be a number, not [1]"),
        ({"model": {"forget_bias": float("nan")}}, "model.forget_bias: must be a number, not nan"),
        ({"training": {"learning_rate": ".inf"}}, "training.learning_rate: must be a number, not '.inf'"),
        ({"training": {"learning_rate": 10**400}}, "training.learning_rate: must be a number, not 1000"),
        ({"tokenizer": {"symbols": "<x>"}}, "tokenizer.symbols: must be a list, not '<x>'"),
        (
            {"tokenizer": {"symbols": ["<x>", 1]}},
            'tokenizer.symbols[1]: must be text (in quotes where YAML reads it as something else: "no"), not 1',
        ),
        (
            {"data": {"source_language": 1}},
            'data.source_language: must be text (in quotes where YAML reads it as something else: "no"), not 1',
        ),
        ({"data": {"drop_duplicates": 1}}, "data.drop_duplicates: must be true or false, not 1"),
    ],
)
def test_fault(content, says):
    (fault,) = faults(content)
    assert fault.startswith(says)


def test_something_is_left_to_learn():
    parts = ["encoder", "decoder", "softmax"]
    fault = "training.freeze: leaves nothing to learn; remove a part"
    assert faults({"training": {"freeze": parts}}) == [fault]  # the softmax is tied to the embeddings
    assert faults({"training": {"freeze": [*parts, "embeddings"]}, "model": {"tied_embeddings": "none"}}) == [fault]
    assert parse_config({"training": {"freeze": parts}, "model": {"tied_embeddings": "two_way"}}).training.freeze
    assert faults({"training": {"freeze": ["encodre"]}}) == [
        "training.freeze[0]: must be one of embeddings, encoder, decoder, attention, softmax, not 'encodre'"
    ]


def test_risk_begins_with_a_model():
    fault = "training.objective: risk needs a model trained by likelihood; set training.start_from"
    assert faults({"training": {"objective": "risk"}}) == [fault]
    assert parse_config({"training": {"objective": "risk", "start_from": "runs/first"}})


MODEL_FAULTS = [
    (
        {"cell": "layer_norm_lstm", "encoder_transitions": 2},
        "model.encoder_transitions: only with model.cell lstm or gru or rnn, not with layer_norm_lstm; leave it at 1",
    ),
    (
        {"cell": "layer_norm_lstm", "decoder_transitions": 3},
        "model.decoder_transitions: only with model.cell lstm or gru or rnn, not with layer_norm_lstm; leave it at 1",
    ),
    (
        {"encoder_stack": "gnmt", "encoder_layers": 1},
        "model.encoder_stack: gnmt describes the layers above the first, but encoder_layers is 1; "
        "set encoder_layers to 2 or more",
    ),
]


@pytest.mark.parametrize(("model", "says"), MODEL_FAULTS)
def test_model_fault(model, says):
    assert faults({"model": model}) == [says]


CORPUS_FAULTS = [
    ({}, ": give exactly one of path, source with target, or dataset"),
    ({"path": "a", "dataset": "b"}, ": give exactly one of path, source with target, or dataset"),
    ({"source": "a"}, ": source and target go together; give both files"),
    ({"path": "a", "target": "b"}, ": source and target go together; give both files"),
    ({"path": "a", "weight": -1}, ".weight: must be above 0, not -1"),
    ({"path": "a", "split": "test"}, ".split: only for dataset; remove it"),
    ({"path": "a", "name": "b"}, ".name: only for dataset; remove it"),
    ({"path": "a.tsv", "source_column": "b"}, ".source_column: only for dataset and .jsonl files; remove it"),
    ({"path": "a.json", "target_column": "b"}, ".target_column: only for dataset and .jsonl files; remove it"),
]


@pytest.mark.parametrize(("corpus", "says"), CORPUS_FAULTS)
def test_corpus_fault(corpus, says):
    assert faults({"data": {"train": [corpus]}}) == [f"data.train[0]{says}"]


@pytest.mark.parametrize("name", ["valid", "held_out"])
def test_weights_are_for_training(name):
    assert faults({"data": {name: [{"path": "a", "weight": 1}]}}) == [
        f"data.{name}[0].weight: only for data.train; remove it"
    ]


def test_weights_are_for_all_or_none():
    weighted, plain = {"path": "a", "weight": 2}, {"path": "b"}
    assert faults({"data": {"train": [weighted, plain]}}) == ["data.train: give every corpus a weight or none"]
    assert parse_config({"data": {"train": [weighted, weighted]}}).data.train[1].weight == 2.0


@pytest.mark.parametrize(
    ("corpora", "says"),
    [
        (
            [{"path": "a", "weight": 1}, {"path": "b", "weight": 2}],
            "data.temperature: computes weights from sizes, but",
        ),
        ([{"path": "a", "streaming": True}, "b"], "data.temperature: needs sizes, which streaming corpora do not have"),
        (["a"], "data.temperature: only for several training corpora"),
    ],
)
def test_temperature_fault(corpora, says):
    (fault,) = faults({"data": {"train": corpora, "temperature": 5}, "training": {"schedule": "constant"}})
    assert fault.startswith(says)


LANGUAGE_FAULTS = [
    (
        {"train": ["a", {"path": "b", "target_language": "fr"}]},
        "data.target_tags: must be true for training corpora with several target languages (de, fr)",
    ),
    (
        {"train": "a", "valid": ["a", {"path": "b", "target_language": "fr"}]},
        "data.valid[1]: its target language is fr, but training is for de; set its target_language",
    ),
    (
        {"train": {"path": "a", "tag": "<bt>"}, "valid": ["a", {"path": "b", "tag": "<tb>"}]},
        "data.valid[1].tag: no training corpus has <tb>, so the model cannot learn it; they have <bt>",
    ),
    ({"held_out": {"path": "a", "tag": "<bt>"}}, "data.held_out[0].tag: only for data.train and data.valid; remove it"),
    ({"train": {"path": "a", "tag": "a b"}}, "data.train[0].tag: must be one word without spaces, <bt> for example"),
    ({"train": {"path": "a", "tag": "\n"}}, "data.train[0].tag: must be one word without spaces, <bt> for example"),
    ({"train": {"path": "a", "tag": ""}}, "data.train[0].tag: must be one word without spaces, <bt> for example"),
]


@pytest.mark.parametrize(("data", "says"), LANGUAGE_FAULTS)
def test_language_fault(data, says):
    (fault,) = faults({"data": data})
    assert fault.startswith(says)


def test_languages_and_tags_of_corpora():
    train = [
        "a",
        {"path": "b", "target_language": "fr", "tag": "<bt>"},
        {"path": "c", "source_language": "fr", "tag": "<bt>"},
    ]
    data = parse_config({"data": {"train": train, "target_tags": True, "valid": {"path": "v", "tag": "<bt>"}}}).data
    assert [data.languages(corpus) for corpus in data.train] == [("en", "de"), ("en", "fr"), ("fr", "de")]
    assert (data.source_languages, data.target_languages) == (("en", "fr"), ("de", "fr"))
    assert data.tags == ("<2de>", "<2fr>", "<bt>")
    assert (data.tags_before("fr", "<bt>"), data.tags_before("de", None)) == (("<2fr>", "<bt>"), ("<2de>",))
    plain = parse_config({"data": {"train": "a"}}).data
    assert (plain.tags, plain.tags_before("de", None), plain.target_languages) == ((), (), ("de",))


def test_corpora_in_short():
    a = CorpusConfig(path="a")
    for short in ("a", ["a"], {"path": "a"}, [{"path": "a"}]):
        assert parse_config({"data": {"train": short}}).data.train == (a,)
    for none in (None, []):
        assert parse_config({"data": {"train": none}}).data.train == ()
    good = {"path": "a.jsonl.gz", "source_column": "q", "target_column": "a"}
    assert parse_config({"data": {"train": good}}).data.train == (CorpusConfig(**good),)
    hub = {
        "dataset": "a/b",
        "name": "c",
        "split": "test",
        "streaming": True,
        "source_column": "q",
        "target_column": "a",
    }
    plain = {"schedule": "plateau"}  # a stream's length is unknown
    assert parse_config({"data": {"train": hub}, "training": plain}).data.train == (CorpusConfig(**hub),)


@pytest.mark.parametrize("kind", ["words", "characters"])
@pytest.mark.parametrize(
    ("key", "value", "default"),
    [
        ("sampling", 0.1, "0.0"),
        ("symbols", ["x"], "[]"),
        ("character_coverage", 0.99, "1.0"),
        ("byte_fallback", False, "true"),
        ("source_model", "m", "null"),
    ],
)
def test_settings_of_sentencepiece_are_refused_elsewhere(kind, key, value, default):
    assert faults({"tokenizer": {"kind": kind, key: value}}) == [
        f"tokenizer.{key}: only with tokenizer.kind unigram or bpe, not with {kind}; leave it at {default}"
    ]


def test_models_of_both_sides():
    none_tied = {"tied_embeddings": "two_way"}
    assert "needs tokenizer.source_model" in faults({"tokenizer": {"target_model": "b"}})[0]
    assert "joint: false" in faults({"tokenizer": {"source_model": "a", "target_model": "b"}})[0]
    alone = {"tokenizer": {"source_model": "a", "joint": False}, "model": none_tied}
    assert "target_model is needed too" in faults(alone)[0]
    both = {"tokenizer": {"source_model": "a", "target_model": "b", "joint": False}, "model": none_tied}
    assert parse_config(both).tokenizer.target_model == "b"


def test_attention_and_sizes():
    assert "make them equal" in faults({"model": {"attention": "dot", "encoder_size": 8, "decoder_size": 4}})[0]
    coverage = {"coverage": True, "attention": "additive"}
    assert faults({"model": {**coverage, "attention": "general"}}) == [
        "model.coverage: only with model.attention additive, not with general; leave it at false"
    ]
    assert faults({"model": {**coverage, "decoder": "parallel", "decoder_layers": 2}}) == [
        "model.coverage: only with model.decoder input_feeding or conditional (it attends step by step), "
        "not with parallel; leave it at false"
    ]
    separate = {"tokenizer": {"joint": False}, "model": {"output": "copy", "tied_embeddings": "none"}}
    assert "copy needs tokenizer.joint" in faults(separate)[0]
    for kind in ("multi_head", "multi_head_additive"):
        assert "do not divide" in faults({"model": {"attention": kind, "attention_heads": 3}})[0]
    assert "must be even" in faults({"model": {"encoder_size": 5}})[0]
    assert "needs tokenizer.joint" in faults({"tokenizer": {"joint": False}})[0]
    assert parse_config({"model": {"attention": "dot", "encoder_size": 8, "decoder_size": 8}}).model.attention == "dot"


FIELDS: dict[str, Field] = {
    f"{section.name}.{field.name}": field
    for section in fields_of(Config).values()
    for field in fields_of(type(getattr(Config(), section.name))).values()
}
ONLY_WITH = {name: field.only_with for name, field in FIELDS.items() if field.only_with}
BELOW = [(name, field.range.least) for name, field in FIELDS.items() if field.range and field.range.least is not None]
ABOVE = [(name, field.range.most) for name, field in FIELDS.items() if field.range and field.range.most is not None]


def needed_by(name: str) -> list[str]:
    """Overrides with which a key has an effect."""
    if name == "data.shuffle_buffer":
        return ["data.train=[{dataset: d, streaming: true}]", "training.schedule=constant"]
    if name == "data.temperature":
        return ["data.train=[a, b]"]
    if name == "model.dropout":
        return ["model.decoder_layers=2"]
    if name == "tokenizer.target_model":
        return ["tokenizer.source_model=m", "tokenizer.joint=false", "model.tied_embeddings=none"]
    return [
        "training.start_from=m",
        *(f"{condition.key}={condition.values[0]}" for condition in ONLY_WITH.get(name, ())),
    ]


@pytest.mark.parametrize("name", [*ONLY_WITH, "data.shuffle_buffer", "tokenizer.symbols"])
def test_a_value_that_would_change_nothing_is_a_fault(name: str) -> None:
    values = {
        "model.coverage": True,
        "tokenizer.byte_fallback": False,
        "tokenizer.character_coverage": 0.99,
        "tokenizer.sampling": 0.1,
        "tokenizer.source_model": "m",
        "tokenizer.symbols": "[<x>]",
        "tokenizer.target_model": "m",
        "training.likelihood_share": 0.5,
        "training.plateau_factor": 0.25,
        "training.risk_cost": "chrf",
    }
    elsewhere = {
        "model.decoder_transitions": ["model.cell=layer_norm_lstm"],
        "model.encoder_transitions": ["model.cell=layer_norm_lstm"],
        "model.forget_bias": ["model.cell=gru"],
        "tokenizer.target_model": [*needed_by("tokenizer.target_model"), "tokenizer.kind=words"],
    }
    override = f"{name}={values.get(name, 8)}"
    unused = ["tokenizer.kind=words"] if name.startswith("tokenizer.") else []
    assert any(fault.startswith(f"{name}: ") for fault in faults({}, *elsewhere.get(name, unused), override))
    parse_config({}, [*needed_by(name), override])


def test_faults_in_lists_name_where_they_were_given(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("training: {freeze: [encoder]}")
    for override in ("training.freeze=[encodr]", "data.train=[{path: a, weigth: 2}]"):
        with pytest.raises(ConfigError, match=r"^command line: "):
            load_config(tmp_path / "c.yaml", [override])
    (tmp_path / "c.yaml").write_text("training: {freeze: [encodr]}")
    with pytest.raises(ConfigError, match=r"c\.yaml: training\.freeze"):
        load_config(tmp_path / "c.yaml", ["training.epochs=2"])


def test_parts_that_would_change_nothing_are_faults() -> None:
    equal = ["model.attention=dot", "model.encoder_size=8", "model.decoder_size=8"]
    assert faults({}, *equal, "training.freeze=[attention]") == [
        "training.freeze: dot attention has no weights; remove attention"
    ]
    dry = [f"model.{name}=0" for name in ("dropout", "embedding_dropout", "output_dropout")]
    assert faults({}, "model.dropout=0.5") == [
        "model.dropout: acts between the layers of a side, and both have one; set embedding_dropout, output_dropout"
    ]
    assert parse_config({}, ["model.dropout=0.5"], trained=True).model.dropout == 0.5
    parse_config({}, ["model.dropout=0.5", "model.encoder_layers=2"])
    parse_config({}, ["model.dropout=0.5", "model.decoder=conditional"])
    assert faults({}, "model.residual=false") == [
        "model.residual: adds from the second layer of a side up, and both have one; remove it"
    ]
    (fault,) = faults({}, *dry, "training.r_drop=1")
    assert fault.startswith("training.r_drop: compares predictions under different dropout, and there is none")
    parse_config({}, [*dry, "training.r_drop=1", "model.word_dropout=0.1"])
    parse_config({}, [*dry[1:], "training.r_drop=1", "model.decoder=conditional"])
    stream = "data.train=[{path: a, streaming: true}]"
    (fault,) = faults({}, stream, "training.schedule=cosine")
    assert fault.startswith("training.schedule: cosine needs training.max_updates")
    parse_config({}, [stream, "training.schedule=cosine", "training.max_updates=100"])


def test_faults_of_yaml_are_told(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("training: {epochs: 3}\nmodel: {}\ntraining: {learning_rate: 0.1}\n")
    with pytest.raises(ConfigError, match=r"c\.yaml: not valid YAML .*training is given twice.*line 1"):
        load_config(tmp_path / "c.yaml")
    for text in ("2021-02-30", "0x_", "!!int x", "[" * 10_000, "{a: 1, a: 2}"):
        (fault,) = faults({}, f"data.train={text}")
        assert fault.endswith("is not a YAML value")


@pytest.mark.parametrize(("name", "bound", "beyond"), [*((n, b, -1) for n, b in BELOW), *((n, b, 1) for n, b in ABOVE)])
def test_bound(name, bound, beyond):
    parse_config({}, [*needed_by(name), f"{name}={bound}"])
    step = 1 if FIELDS[name].type is int else 1e-7
    fault = faults({}, *needed_by(name), f"{name}={bound + beyond * step}")[0]
    assert fault.startswith(f"{name}: must be ")
    assert str(bound) in fault


def test_every_number_has_bounds():
    """Numbers that any value suits are named here, so that none is forgotten."""
    free = {"model.forget_bias"}
    assert {name for name, field in FIELDS.items() if field.type in (int, float) and not field.range} == free


@pytest.mark.parametrize("text", ["1e-3", "1.0e-3", "0.001", "'0.001'", "1E-3"])
def test_all_spellings_of_a_thousandth(text):
    """YAML 1.1 reads 1e-3, without a dot, as text."""
    assert parse_config(yaml.safe_load(f"training: {{learning_rate: {text}}}")).training.learning_rate == 0.001
    assert parse_config({}, [f"training.learning_rate={text}"]).training.learning_rate == 0.001


class TestOverrides:
    def test_set_one_key_and_leave_the_others(self):
        content = {"model": {"embedding_dropout": 0.1, "cell": "gru"}}
        given = ["model.embedding_dropout=0.2", "training.epochs=3", "data.train=[a, {path: b}]"]
        config = parse_config(content, given)
        assert (config.model.embedding_dropout, config.model.cell, config.training.epochs) == (0.2, "gru", 3)
        assert config.data.train == (CorpusConfig(path="a"), CorpusConfig(path="b"))
        assert content == {"model": {"embedding_dropout": 0.1, "cell": "gru"}}

    def test_last_one_wins_and_null_is_none(self):
        assert parse_config({}, ["training.epochs=3", "training.epochs=4"]).training.epochs == 4
        assert parse_config({"training": {"threads": 2}}, ["training.threads=null"]).training.threads is None
        assert parse_config({"model": None}, ["model.cell=rnn"]).model.cell == "rnn"

    @pytest.mark.parametrize("override", ["dropout=0.1", "model.dropout", "model.=1", "=", ""])
    def test_not_an_override(self, override):
        (fault,) = faults({}, override)
        assert fault.startswith(f"{override!r}: an override is written section.key=value")

    def test_faults_in_overrides(self):
        assert faults({}, "model.dropout=[", "model.dropuot=1", "other.key=1") == [
            "model.dropout: '[' is not a YAML value",
            "model.dropuot: unknown key; did you mean model.dropout?",
            "other: unknown key; allowed are data, tokenizer, model, training, validation",
        ]


FULL = {
    "data": {
        "source_language": "ja",
        "train": [{"path": "a", "weight": 2}, {"dataset": "d", "split": "s", "streaming": True, "weight": 1}],
        "valid": "v",
        "held_out": ["x", {"source": "é", "target": "日本"}],
    },
    "tokenizer": {"symbols": ["<2de>", "no", "1e-3", "▁"]},
    "training": {"betas": [0.8, 0.99], "learning_rate": "1e-3", "max_updates": 7, "ema": 0},
}


@pytest.mark.parametrize("content", [{}, FULL])
def test_round_trip_through_dump(content, tmp_path):
    config = parse_config(content)
    (tmp_path / "c.yaml").write_text(dump_config(config), encoding="utf-8")
    assert load_config(tmp_path / "c.yaml") == config


def test_dump_writes_every_key():
    content = yaml.safe_load(dump_config(Config()))
    for section in dataclasses.fields(Config):
        names = {field.name for field in dataclasses.fields(getattr(Config(), section.name))}
        assert set(content[section.name]) == names


class TestFile:
    def test_faults_name_the_file(self, tmp_path):
        (tmp_path / "c.yaml").write_text("model: {cell: x}\n")
        with pytest.raises(ConfigError, match=r"c\.yaml: model\.cell: must be one of"):
            load_config(tmp_path / "c.yaml")

    def test_missing(self, tmp_path):
        with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file or directory\); check"):
            load_config(tmp_path / "none.yaml")

    @pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"a: b: c", b"\t- x"])
    def test_not_yaml_is_one_line(self, content, tmp_path):
        (tmp_path / "c.yaml").write_bytes(content)
        with pytest.raises(ConfigError, match="not valid YAML") as caught:
            load_config(tmp_path / "c.yaml")
        assert "\n" not in str(caught.value)

    def test_overrides_reach_the_file(self, tmp_path):
        (tmp_path / "c.yaml").write_text("training: {epochs: 3}\n")
        assert load_config(tmp_path / "c.yaml", ["training.epochs=5"]).training.epochs == 5


def test_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().model.dropout = 0.5  # type: ignore[misc]


def test_what_belongs_to_the_likelihood_needs_a_share_of_it():
    risk = {"objective": "risk", "start_from": "runs/first", "r_drop": 1}
    advice = "set training.likelihood_share, or r_drop to 0"
    fault = f"training.r_drop: belongs to the likelihood, of which this risk training has no share; {advice}"
    assert faults({"training": risk}) == [fault]
    assert parse_config({"training": {**risk, "likelihood_share": 0.1}})


@pytest.mark.parametrize("language", ["zh", "ja", "th", "km-KH"])
def test_bleu_of_sentences_knows_one_way_to_split_words(language):
    corpora = [{"path": "a", "target_language": "de"}, {"path": "b", "target_language": language}]
    training = {"objective": "risk", "start_from": "runs/first"}
    fault = f"training.risk_cost: bleu splits words in the same way for all of de, {language}; choose chrf"
    assert faults({"data": {"train": corpora, "target_tags": True}, "training": training}) == [fault]
    assert parse_config({"data": {"train": corpora[1:]}, "training": training})
    assert parse_config(
        {"data": {"train": corpora, "target_tags": True}, "training": {**training, "risk_cost": "chrf"}}
    )
