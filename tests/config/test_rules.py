"""Rules between keys: contradictions are always refused, settings without effect in new configurations."""

import pytest
from config_faults import find_faults

from nmt.config.corpus import CorpusConfig
from nmt.config.load import parse_config


def test_all_contradictions_are_reported_at_once() -> None:
    content = {
        "model": {"encoder_size": 7, "attention": "dot", "decoder_size": 9},
        "tokenizer": {"joint": False},
        "data": {"train": [{"weight": 1}], "shuffle_buffer": 5},
    }
    assert [fault.split(":")[0] for fault in find_faults(content)] == [
        "model.encoder_size",
        "model.attention",
        "model.tied_embeddings",
        "data.train[0]",
        "data.shuffle_buffer",
    ]


def test_a_trained_model_may_have_settings_without_effect_but_no_contradictions() -> None:
    idle = ["model.dropout=0.5", "model.residual=false", "training.plateau_factor=0.1", "data.shuffle_buffer=5"]
    assert len(find_faults({}, *idle)) == 4
    assert parse_config({}, idle, trained=True).model.dropout == 0.5
    assert find_faults({}, *idle, "model.encoder_size=7", trained=True) == [
        "model.encoder_size: must be even (half for each direction), not 7"
    ]


class TestModel:
    @pytest.mark.parametrize(
        ("model", "fault"),
        [
            ({"encoder_size": 5}, "encoder_size: must be even (half for each direction), not 5"),
            *(
                (
                    {"encoder_stack": stack, "encoder_layers": 1},
                    f"encoder_stack: {stack} describes the layers above the first, but encoder_layers is 1; "
                    "set encoder_layers to 2 or more",
                )
                for stack in ("gnmt", "alternating")
            ),
            (
                {"attention": "dot", "encoder_size": 8, "decoder_size": 4},
                "attention: dot needs encoder_size = decoder_size, not 8 and 4; make them equal or choose general",
            ),
            *(
                (
                    {"attention": kind, "attention_heads": 3},
                    "attention_heads: 3 heads do not divide decoder_size 512; choose a divisor",
                )
                for kind in ("multi_head", "multi_head_additive")
            ),
            (
                {"coverage": True, "attention": "general"},
                "coverage: only with model.attention additive, not with general; leave it at false",
            ),
            (
                {"coverage": True, "attention": "additive", "decoder": "parallel"},
                "coverage: only with model.decoder input_feeding or conditional (it attends step by step), "
                "not with parallel; leave it at false",
            ),
            (
                {"dropout": 0.5},
                "dropout: acts between the layers of a side, and both have one; set embedding_dropout, output_dropout",
            ),
            ({"residual": False}, "residual: adds from the second layer of a side up, and both have one; remove it"),
        ],
    )
    def test_fault(self, model: dict[str, object], fault: str) -> None:
        assert find_faults({"model": model}) == [f"model.{fault}"]

    @pytest.mark.parametrize(
        "model",
        [
            {"attention": "dot", "encoder_size": 8, "decoder_size": 8},
            {"attention": "multi_head", "attention_heads": 8, "decoder_size": 24},
            {"attention": "general", "decoder_size": 6},  # the default number of heads does not matter
            {"encoder_stack": "gnmt", "encoder_layers": 2},
            {"coverage": True, "attention": "additive", "decoder": "conditional"},
            {"dropout": 0.0},
            {"dropout": 0.5, "encoder_layers": 2},
            {"dropout": 0.5, "decoder_layers": 2},
            {"dropout": 0.5, "decoder": "conditional"},
            {"residual": False, "encoder_layers": 2},
            {"residual": False, "decoder_layers": 2},
        ],
    )
    def test_no_fault(self, model: dict[str, object]) -> None:
        assert parse_config({"model": model})

    @pytest.mark.parametrize(
        ("model", "fault"),
        [
            ({}, "tied_embeddings: three_way needs tokenizer.joint; choose two_way or a joint vocabulary"),
            (
                {"output": "copy", "tied_embeddings": "two_way"},
                "output: copy needs tokenizer.joint; choose another output or a joint vocabulary",
            ),
        ],
    )
    def test_a_joint_vocabulary_is_needed(self, model: dict[str, object], fault: str) -> None:
        assert find_faults({"tokenizer": {"joint": False}, "model": model}) == [f"model.{fault}"]
        assert parse_config({"tokenizer": {"joint": True}, "model": model})


class TestTokenizer:
    def test_models_of_both_sides(self) -> None:
        separate = {"tied_embeddings": "two_way"}
        needs = "tokenizer.target_model: needs tokenizer.source_model and joint: false"
        assert find_faults({"tokenizer": {"target_model": "b"}}) == [needs]
        assert find_faults({"tokenizer": {"source_model": "a", "target_model": "b"}}) == [needs]
        only_target = {"tokenizer": {"target_model": "b", "joint": False}, "model": separate}
        assert find_faults(only_target) == [needs]
        only_source = {"tokenizer": {"source_model": "a", "joint": False}, "model": separate}
        assert find_faults(only_source) == [
            "tokenizer.source_model: with joint: false, tokenizer.target_model is needed too"
        ]
        both = {"tokenizer": {"source_model": "a", "target_model": "b", "joint": False}, "model": separate}
        assert parse_config(both).tokenizer.target_model == "b"
        assert parse_config({"tokenizer": {"source_model": "a"}}).tokenizer.source_model == "a"

    def test_symbols_of_a_model(self) -> None:
        tokenizer = {"symbols": ["<x>"], "source_model": "a"}
        assert find_faults({"tokenizer": tokenizer}) == [
            "tokenizer.symbols: tokenizer.source_model brings its own symbols; remove one or the other"
        ]
        assert parse_config({"tokenizer": tokenizer, "training": {"start_from": "runs/first"}})
        assert parse_config({"tokenizer": {"symbols": ["<x>"]}})


class TestCorpora:
    ONE = "give exactly one of path, source with target, or dataset"

    @pytest.mark.parametrize(
        ("corpus", "fault"),
        [
            ({}, f": {ONE}"),
            ({"path": "a", "dataset": "b"}, f": {ONE}"),
            ({"path": "a", "source": "b", "target": "c"}, f": {ONE}"),
            ({"source": "a"}, ": source and target go together; give both files"),
            ({"path": "a", "target": "b"}, ": source and target go together; give both files"),
            ({"path": "a", "weight": -1}, ".weight: must be above 0 and at most 1,000,000, not -1"),
            ({"path": "a", "weight": 0}, ".weight: must be above 0 and at most 1,000,000, not 0"),
            ({"path": "a", "split": "test"}, ".split: only for dataset; remove it"),
            ({"path": "a", "name": "b"}, ".name: only for dataset; remove it"),
            (
                {"source": "a", "target": "b", "source_column": 2},
                ".source_column: only for dataset and path; remove it",
            ),
            (
                {"path": "a.tsv", "target_column": 0},
                ".target_column: must be a name or a number from 1 to 10,000, not 0",
            ),
            (
                {"path": "a.tsv", "target_column": ""},
                ".target_column: must be a name or a number from 1 to 10,000, not ''",
            ),
            ({"path": "a.tsv", "target_column": True}, ".target_column: must be text or a whole number, not True"),
        ],
    )
    def test_fault(self, corpus: dict[str, object], fault: str) -> None:
        assert find_faults({"data": {"train": [corpus]}}) == [f"data.train[0]{fault}"]

    @pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "jsonl.xz"])
    def test_columns_of_json_lines(self, ending: str) -> None:
        corpus = {"path": f"a.{ending}", "source_column": "q", "target_column": "a"}
        config = parse_config({"data": {"train": corpus}})
        assert config.data.train == (CorpusConfig(path=f"a.{ending}", source_column="q", target_column="a"),)

    def test_keys_of_datasets(self) -> None:
        keys = {"dataset": "a/b", "name": "c", "split": "test", "source_column": "q", "target_column": "a"}
        assert parse_config({"data": {"valid": {**keys, "streaming": True}}}).data.valid[0].streaming

    @pytest.mark.parametrize("name", ["valid", "held_out"])
    def test_only_training_corpora_have_weights_and_stream_files(self, name: str) -> None:
        assert find_faults({"data": {name: [{"path": "a", "weight": 1}]}}) == [
            f"data.{name}[0].weight: only for data.train; remove it"
        ]
        assert find_faults({"data": {name: ["a", {"path": "a", "streaming": True}]}}) == [
            f"data.{name}[1].streaming: only for data.train and for dataset; remove it"
        ]

    def test_weights_are_for_all_or_none(self) -> None:
        weighted, plain = {"path": "a", "weight": 2}, {"path": "b"}
        assert find_faults({"data": {"train": [weighted, plain]}}) == ["data.train: give every corpus a weight or none"]
        assert parse_config({"data": {"train": [weighted, weighted]}}).data.train[1].weight == 2.0

    @pytest.mark.parametrize(
        ("corpora", "fault"),
        [
            (
                [{"path": "a", "weight": 1}, {"path": "b", "weight": 2}],
                "computes weights from sizes, but the training corpora have weights; remove one or the other",
            ),
            (
                [{"path": "a", "streaming": True}, "b"],
                "needs sizes, which streaming corpora do not have; give them weights instead",
            ),
            (["a"], "only for several training corpora; remove it"),
        ],
    )
    def test_temperature(self, corpora: list[object], fault: str) -> None:
        content = {"data": {"train": corpora, "temperature": 5}, "training": {"schedule": "constant"}}
        assert find_faults(content) == [f"data.temperature: {fault}"]
        assert parse_config({"data": {"train": ["a", "b"], "temperature": 5}})

    def test_only_streams_have_a_shuffle_buffer(self) -> None:
        assert find_faults({"data": {"train": ["a"], "shuffle_buffer": 9}}) == [
            "data.shuffle_buffer: only for streaming corpora, and there are none; remove it"
        ]

    def test_the_length_of_a_stream_is_unknown(self) -> None:
        stream = "data.train=[{path: a, streaming: true}]"
        assert find_faults({}, stream) == [
            "training.schedule: cosine needs training.max_updates where a training corpus is streaming, since its "
            "length is unknown; set it, or choose inverse_sqrt, plateau or constant"
        ]
        assert parse_config({}, [stream, "training.max_updates=100"])
        assert parse_config({}, [stream, "training.schedule=plateau"])


class TestLanguagesAndTags:
    @pytest.mark.parametrize(
        ("data", "fault"),
        [
            (
                {"train": ["a", {"path": "b", "target_language": "fr"}]},
                "target_tags: must be true for training corpora with several target languages (de, fr)",
            ),
            (
                {"train": "a", "valid": ["a", {"path": "b", "target_language": "fr"}]},
                "valid[1]: its target language is fr, but training is for de; set its target_language",
            ),
            (
                {"train": {"path": "a", "tag": "<bt>"}, "valid": ["a", {"path": "b", "tag": "<tb>"}]},
                "valid[1].tag: no training corpus has <tb>, so the model cannot learn it; they have <bt>",
            ),
            (
                {"train": "a", "valid": {"path": "b", "tag": "<tb>"}},
                "valid[0].tag: no training corpus has <tb>, so the model cannot learn it; they have none",
            ),
            (
                {"held_out": {"path": "a", "tag": "<bt>"}},
                "held_out[0].tag: only for data.train and data.valid; remove it",
            ),
            *(
                (
                    {"train": {"path": "a", "tag": tag}},
                    f"train[0].tag: must be one word without spaces, <bt> for example, not {tag!r}",
                )
                for tag in ("a b", " a")
            ),
        ],
    )
    def test_fault(self, data: dict[str, object], fault: str) -> None:
        assert find_faults({"data": data}) == [f"data.{fault}"]

    def test_validation_corpora_alone_are_free(self) -> None:
        """A model folder moved elsewhere may name corpora for validation only."""
        assert parse_config({"data": {"valid": {"path": "a", "target_language": "fr", "tag": "<bt>"}}})

    def test_languages_and_tags_of_corpora(self) -> None:
        train = [
            "a",
            {"path": "b", "target_language": "fr", "tag": "<bt>"},
            {"path": "c", "source_language": "fr", "tag": "<bt>"},
        ]
        data = parse_config({"data": {"train": train, "target_tags": True, "valid": {"path": "v", "tag": "<bt>"}}}).data
        assert [data.languages(corpus) for corpus in data.train] == [("en", "de"), ("en", "fr"), ("fr", "de")]
        assert (data.source_languages, data.target_languages) == (("en", "fr"), ("de", "fr"))
        assert data.corpus_tags == ("<bt>",)
        assert data.tags == ("<2de>", "<2fr>", "<bt>")
        assert (data.tags_before("fr", "<bt>"), data.tags_before("de", None)) == (("<2fr>", "<bt>"), ("<2de>",))

    def test_without_tags(self) -> None:
        data = parse_config({"data": {"train": "a"}}).data
        assert (data.tags, data.tags_before("de", None), data.target_languages) == ((), (), ("de",))
        nothing = parse_config({}).data
        assert (nothing.source_languages, nothing.target_languages) == (("en",), ("de",))


class TestTraining:
    def test_not_everything_can_be_frozen(self) -> None:
        parts = ["encoder", "decoder", "softmax"]
        fault = "training.freeze: leaves nothing to learn; remove a part"
        assert find_faults({"training": {"freeze": parts}}) == [fault]  # the softmax is tied to the embeddings
        all_parts = {"training": {"freeze": [*parts, "embeddings"]}, "model": {"tied_embeddings": "none"}}
        assert find_faults(all_parts) == [fault]
        assert parse_config({"training": {"freeze": parts}, "model": {"tied_embeddings": "two_way"}}).training.freeze

    def test_dot_attention_cannot_be_frozen(self) -> None:
        equal = ["model.attention=dot", "model.encoder_size=8", "model.decoder_size=8"]
        assert find_faults({}, *equal, "training.freeze=[attention]") == [
            "training.freeze: dot attention has no weights; remove attention"
        ]
        assert parse_config({}, ["training.freeze=[attention]"])

    def test_risk_starts_from_a_model(self) -> None:
        fault = "training.objective: risk needs a model trained by likelihood; set training.start_from"
        assert find_faults({"training": {"objective": "risk"}}) == [fault]
        assert parse_config({"training": {"objective": "risk", "start_from": "runs/first"}})

    @pytest.mark.parametrize("language", ["zh", "ja", "th", "km-KH"])
    def test_bleu_of_sentences_splits_all_languages_alike(self, language: str) -> None:
        corpora = [{"path": "a", "target_language": "de"}, {"path": "b", "target_language": language}]
        training = {"objective": "risk", "start_from": "runs/first"}
        data = {"train": corpora, "target_tags": True}
        assert find_faults({"data": data, "training": training}) == [
            f"training.risk_cost: bleu splits words in the same way for all of de, {language}; choose chrf"
        ]
        assert parse_config({"data": {"train": corpora[1:]}, "training": training})
        assert parse_config({"data": data, "training": {**training, "risk_cost": "chrf"}})

    def test_a_default_is_never_without_effect(self) -> None:
        assert parse_config(
            {}, ["training.plateau_factor=0.5", "model.attention_heads=4", "data.shuffle_buffer=100000"]
        )
