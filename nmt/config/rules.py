"""Rules about several keys of the configuration, and rules about corpora.

Each `if` in this module is a rule. If its condition is true, the rule yields a fault with a key and a message. The
bounds and "only with" conditions of single keys are declared at the fields in nmt/config/schema.py.
"""

import operator
from collections.abc import Iterator

from nmt.config.corpus import CorpusConfig
from nmt.config.fields import fields_of, format_value
from nmt.config.parsing import Fault
from nmt.config.schema import Config, DataConfig, ModelConfig, TokenizerConfig, TrainingConfig
from nmt.metrics.languages import WITHOUT_SPACES, language_code
from nmt.metrics.standard import METRICS

_MAX_COLUMN = 10_000


def find_contradictions(config: Config) -> Iterator[Fault]:
    """Find settings that cannot be used together."""
    yield from find_tokenizer_faults(config.tokenizer)
    yield from find_model_faults(config.model, joint=config.tokenizer.joint)
    yield from find_corpus_faults(config.data)
    yield from find_language_faults(config.data)
    yield from find_term_faults(config.data)
    yield from find_training_faults(config.training, config.model)
    if config.data.streams and config.training.max_updates is None:
        yield from find_endless_faults(config.training)
    if config.training.objective == "risk":
        yield from find_risk_faults(config.training, config.data.target_languages)


def find_idle_settings(config: Config) -> Iterator[Fault]:
    """Find settings that have no effect because of other settings.

    In a new configuration, such a setting is a fault, because a user who sets a key expects an effect. In the
    configuration of a trained model, it is allowed.
    """
    yield from find_unmet_conditions(config)
    yield from find_idle_data(config.data)
    yield from find_idle_model(config.model)
    yield from find_idle_training(config.training, config.model)
    if config.tokenizer.symbols and config.tokenizer.source_model and not config.training.start_from:
        yield Fault("tokenizer.symbols", "tokenizer.source_model brings its own symbols; remove one or the other")


def find_tokenizer_faults(tokenizer: TokenizerConfig) -> Iterator[Fault]:
    """Find faults of the keys that name SentencePiece models."""
    if tokenizer.target_model and (tokenizer.joint or not tokenizer.source_model):
        yield Fault("tokenizer.target_model", "needs tokenizer.source_model and joint: false")
    if tokenizer.source_model and not tokenizer.joint and not tokenizer.target_model:
        yield Fault("tokenizer.source_model", "with joint: false, tokenizer.target_model is needed too")


def find_model_faults(model: ModelConfig, *, joint: bool) -> Iterator[Fault]:
    """Find sizes that do not fit each other, and parts of the network that lack the settings that they require."""
    if model.encoder_size % 2:
        yield Fault("model.encoder_size", f"must be even (half for each direction), not {model.encoder_size}")
    if model.encoder_stack != "bidirectional" and model.encoder_layers == 1:
        yield Fault(
            "model.encoder_stack",
            f"{model.encoder_stack} describes the layers above the first, but encoder_layers is 1; "
            "set encoder_layers to 2 or more",
        )
    if model.attention == "dot" and model.encoder_size != model.decoder_size:
        yield Fault(
            "model.attention",
            f"dot needs encoder_size = decoder_size, not {model.encoder_size} and {model.decoder_size}; "
            "make them equal or choose general",
        )
    if model.attention in ("multi_head", "multi_head_additive") and model.decoder_size % model.attention_heads:
        yield Fault(
            "model.attention_heads",
            f"{model.attention_heads} heads do not divide decoder_size {model.decoder_size}; choose a divisor",
        )
    if model.output == "copy" and not joint:
        yield Fault("model.output", "copy needs tokenizer.joint; choose another output or a joint vocabulary")
    if model.tied_embeddings == "three_way" and not joint:
        yield Fault("model.tied_embeddings", "three_way needs tokenizer.joint; choose two_way or a joint vocabulary")


def find_corpus_faults(data: DataConfig) -> Iterator[Fault]:
    """Find faults of the files, datasets, tags and weights of all corpora."""
    for name, corpora in {"train": data.train, "valid": data.valid, "held_out": data.held_out}.items():
        for index, corpus in enumerate(corpora):
            where = f"data.{name}[{index}]"
            yield from find_source_faults(where, corpus)
            yield from find_tag_faults(where, corpus, data)
            if corpus.streaming and corpus.dataset is None and name != "train":
                yield Fault(f"{where}.streaming", "only for data.train and for dataset; remove it")
            if corpus.weight is not None and name != "train":
                yield Fault(f"{where}.weight", "only for data.train; remove it")
        if len({corpus.weight is None for corpus in corpora}) > 1:
            yield Fault(f"data.{name}", "give every corpus a weight or none")
    if data.temperature is not None and any(corpus.weight is not None for corpus in data.train):
        yield Fault(
            "data.temperature",
            "computes weights from sizes, but the training corpora have weights; remove one or the other",
        )
    if data.temperature is not None and data.streams:
        yield Fault("data.temperature", "needs sizes, which streaming corpora do not have; give them weights instead")


def find_source_faults(where: str, corpus: CorpusConfig) -> Iterator[Fault]:
    """Find a corpus without exactly one source of text, or with keys that are meant for another kind of source."""
    if sum(text is not None for text in (corpus.path, corpus.source, corpus.dataset)) != 1:
        yield Fault(where, "give exactly one of path, source with target, or dataset")
    if (corpus.source is None) != (corpus.target is None):
        yield Fault(where, "source and target go together; give both files")
    unused = {}
    if corpus.dataset is None:
        unused = {"name": "dataset", "split": "dataset"}
        if not corpus.path:
            unused |= dict.fromkeys(("source_column", "target_column"), "dataset and path")
    for key in ("source_column", "target_column"):
        column = getattr(corpus, key)
        if column == "" or (isinstance(column, int) and not 1 <= column <= _MAX_COLUMN):
            yield Fault(f"{where}.{key}", f"must be a name or a number from 1 to {_MAX_COLUMN:,}, not {column!r}")
    for key, use in unused.items():
        if getattr(corpus, key) != getattr(CorpusConfig(), key):
            yield Fault(f"{where}.{key}", f"only for {use}; remove it")


def find_tag_faults(where: str, corpus: CorpusConfig, data: DataConfig) -> Iterator[Fault]:
    """Find a tag of a corpus that is not one word, or that no training corpus has."""
    if corpus.tag is None:
        return
    if where.startswith("data.held_out"):
        yield Fault(f"{where}.tag", "only for data.train and data.valid; remove it")
    elif corpus.tag.split() != [corpus.tag]:
        yield Fault(f"{where}.tag", f"must be one word without spaces, <bt> for example, not {corpus.tag!r}")
    elif data.train and corpus.tag not in data.corpus_tags:
        known = ", ".join(data.corpus_tags) or "none"
        yield Fault(
            f"{where}.tag", f"no training corpus has {corpus.tag}, so the model cannot learn it; they have {known}"
        )


def find_language_faults(data: DataConfig) -> Iterator[Fault]:
    """Find faults of the target languages of the training and validation corpora."""
    trained = data.target_languages
    if len(trained) > 1 and not data.target_tags:
        yield Fault(
            "data.target_tags",
            f"must be true for training corpora with several target languages ({', '.join(trained)})",
        )
    for index, corpus in enumerate(data.valid if data.train else ()):
        if (language := data.languages(corpus)[1]) not in trained:
            yield Fault(
                f"data.valid[{index}]",
                f"its target language is {language}, but training is for {', '.join(trained)}; set its target_language",
            )


def find_term_faults(data: DataConfig) -> Iterator[Fault]:
    """Find languages in which words cannot be found, so that there are no terms to learn."""
    languages = dict.fromkeys((*data.source_languages, *data.target_languages))
    if data.term_share and (found := [name for name in languages if language_code(name) in WITHOUT_SPACES]):
        yield Fault("data.term_share", f"finds words by spaces, which {', '.join(found)} does not write; remove it")


def find_training_faults(training: TrainingConfig, model: ModelConfig) -> Iterator[Fault]:
    """Find settings that freeze all parts of the network."""
    frozen = set(training.freeze)
    if model.tied_embeddings == "three_way" and "softmax" in frozen:
        frozen.add("embeddings")
    if frozen >= {"embeddings", "encoder", "decoder", "softmax"}:
        yield Fault("training.freeze", "leaves nothing to learn; remove a part")


def find_endless_faults(training: TrainingConfig) -> Iterator[Fault]:
    """Find settings that need the number of updates. For streams without `max_updates`, this number is unknown."""
    unknown = "needs training.max_updates where a training corpus is streaming, since its length is unknown; set it"
    if training.schedule == "cosine":
        yield Fault("training.schedule", f"cosine {unknown}, or choose inverse_sqrt, plateau or constant")


def find_risk_faults(training: TrainingConfig, target_languages: tuple[str, ...]) -> Iterator[Fault]:
    """Find faults of the settings of minimum risk training."""
    if not training.start_from:
        yield Fault("training.objective", "risk needs a model trained by likelihood; set training.start_from")
    if len({METRICS[training.risk_cost].segmentation(language) for language in target_languages}) > 1:
        yield Fault(
            "training.risk_cost",
            f"{training.risk_cost} splits words in the same way for all of {', '.join(target_languages)}; choose chrf",
        )


def find_unmet_conditions(config: Config) -> Iterator[Fault]:
    """Find fields whose "only with" condition is not met."""
    for section_name in fields_of(Config):
        section = getattr(config, section_name)
        for field in fields_of(type(section)).values():
            for condition in field.only_with if getattr(section, field.name) != field.default else ():
                actual = operator.attrgetter(condition.key)(config)
                if actual not in condition.values:
                    yield Fault(
                        f"{section_name}.{field.name}",
                        f"only with {condition}, not with {format_value(actual)}; "
                        f"leave it at {format_value(field.default)}",
                    )


def find_idle_data(data: DataConfig) -> Iterator[Fault]:
    """Find settings that have no effect without streams or without several training corpora."""
    if data.shuffle_buffer != DataConfig().shuffle_buffer and not data.streams:
        yield Fault("data.shuffle_buffer", "only for streaming corpora, and there are none; remove it")
    if data.temperature is not None and len(data.train) < 2:
        yield Fault("data.temperature", "only for several training corpora; remove it")


def find_idle_model(model: ModelConfig) -> Iterator[Fault]:
    """Find settings that have no effect in a network with one layer on each side."""
    if model.dropout not in (0, ModelConfig().dropout) and not has_inner_dropout(model):
        yield Fault(
            "model.dropout",
            "acts between the layers of a side, and both have one; set embedding_dropout, output_dropout",
        )
    if max(model.encoder_layers, model.decoder_layers) == 1 and not model.residual:
        yield Fault("model.residual", "adds from the second layer of a side up, and both have one; remove it")


def find_idle_training(training: TrainingConfig, model: ModelConfig) -> Iterator[Fault]:
    """Find settings that have no effect because the network has no attention weights."""
    if "attention" in training.freeze and model.attention == "dot":
        yield Fault("training.freeze", "dot attention has no weights; remove attention")


def has_inner_dropout(model: ModelConfig) -> bool:
    """Return whether `model.dropout` has an effect. It acts between layers, and within the conditional decoder."""
    return max(model.encoder_layers, model.decoder_layers) > 1 or model.decoder == "conditional"
