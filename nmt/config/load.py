"""A configuration as a YAML file: read with overrides, checked as a whole, written."""

import dataclasses
import operator
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nmt.config.fields import fields_of, format_value
from nmt.config.parsing import apply_override, copy_sections, describe, from_plain, names_of, parse_yaml, to_plain
from nmt.config.schema import (
    BY_CHARACTERS,
    Config,
    CorpusConfig,
    DataConfig,
    ModelConfig,
    TokenizerConfig,
    language_code,
)
from nmt.errors import ConfigError
from nmt.system.files import reason

OWN_TOKENIZERS = {"zh", *BY_CHARACTERS}  # languages that BLEU splits in ways of their own


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, apply `section.key=value` overrides, check everything.

    Raises:
        ConfigError: one line for each fault, all of them.
    """
    content = read_yaml(path)
    return parse_config({} if content is None else content, overrides, where=str(path))


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds. Raises ConfigError: it cannot be read, or is none."""
    try:
        return parse_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({reason(error)}); check the path of the configuration") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error


def parse_config(
    content: Any, overrides: Sequence[str] = (), where: str = "configuration", *, trained: bool = False
) -> Config:
    """A `Config` from plain data (what YAML gives) and overrides.

    Args:
        content: sections with their keys.
        overrides: `section.key=value`.
        where: the place of the content, for messages.
        trained: the configuration of a model that exists, in which settings that change nothing do no harm.

    Raises:
        ConfigError: one line for each fault.
    """
    faults: list[str] = []
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where}: must hold sections ({names_of(Config)}), not {describe(content)}")
    merged = copy_sections(content)
    for override in overrides:
        apply_override(override, merged, faults)
    config: Config = from_plain(Config, merged, "", faults)
    if not faults:
        faults += _contradictions(config) + ([] if trained else _useless(config))
    if faults:
        given = {override.partition("=")[0] for override in overrides}
        places = ("command line" if re.split(r":|=|\[", fault)[0].strip("'") in given else where for fault in faults)
        raise ConfigError("\n".join(f"{place}: {fault}" for place, fault in zip(places, faults, strict=True)))
    return config


def dump_config(config: Config) -> str:
    """YAML of the whole configuration, every key written out; `load_config` reads it back to an equal `Config`."""
    return yaml.safe_dump(to_plain(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True)


def _contradictions(config: Config) -> list[str]:
    """Keys that do not fit each other."""
    faults = _model_faults(config) + _corpus_faults(config.data) + _tokenizer_faults(config.tokenizer)
    return faults + _training_faults(config) + _stream_faults(config)


def _useless(config: Config) -> list[str]:
    """Values that would change nothing."""
    faults = []
    for section in fields_of(Config):
        for field in fields_of(type(getattr(config, section))).values():
            value = getattr(getattr(config, section), field.name)
            for condition in field.only_with if value != field.default else ():
                actual = operator.attrgetter(condition.key)(config)
                if actual not in condition.values:
                    faults.append(
                        f"{section}.{field.name}: only with {condition}, not with {format_value(actual)}; "
                        f"leave it at {format_value(field.default)}"
                    )
    if config.data.shuffle_buffer != DataConfig().shuffle_buffer and not config.data.streams:
        faults.append("data.shuffle_buffer: only for streaming corpora, and there are none; remove it")
    if config.data.temperature is not None and len(config.data.train) < 2:
        faults.append("data.temperature: only for several training corpora; remove it")
    model = config.model
    one_layer = max(model.encoder_layers, model.decoder_layers) == 1
    within = not one_layer or model.decoder == "conditional"  # where model.dropout has a place to act
    if not within and model.dropout > 0 and model.dropout != ModelConfig().dropout:
        faults.append(
            "model.dropout: acts between the layers of a side, and both have one; set embedding_dropout, output_dropout"
        )
    if one_layer and not model.residual:
        faults.append("model.residual: adds from the second layer of a side up, and both have one; remove it")
    if "attention" in config.training.freeze and model.attention == "dot":
        faults.append("training.freeze: dot attention has no weights; remove attention")
    kinds = ("embedding_dropout", "word_dropout", "state_dropout", "zoneout", "output_dropout")
    dropout = (within and model.dropout > 0) or any(getattr(model, kind) for kind in kinds)
    if config.training.r_drop and not dropout:
        faults.append(
            "training.r_drop: compares predictions under different dropout, and there is none; set model.output_dropout"
        )
    if config.tokenizer.symbols and config.tokenizer.source_model and not config.training.start_from:
        faults.append("tokenizer.symbols: those of tokenizer.source_model are used; remove one or the other")
    return faults


def _training_faults(config: Config) -> list[str]:
    frozen, faults = set(config.training.freeze), []
    if config.model.tied_embeddings == "three_way" and "softmax" in frozen:
        frozen.add("embeddings")
    if frozen >= {"embeddings", "encoder", "decoder", "softmax"}:
        faults.append("training.freeze: leaves nothing to learn; remove a part")
    return faults + (_risk_faults(config) if config.training.objective == "risk" else [])


def _risk_faults(config: Config) -> list[str]:
    training, languages, faults = config.training, config.data.target_languages, []
    if not training.start_from:
        faults.append("training.objective: risk needs a model that has learned by likelihood; set training.start_from")
    if not training.likelihood_share:
        faults += [
            f"training.{key}: belongs to the likelihood, of which risk has no share; "
            f"set training.likelihood_share, or {key} to 0"
            for key in ("scheduled_sampling", "r_drop", "coverage_loss", "guided_alignment")
            if getattr(training, key)
        ]
    if training.risk_cost == "bleu" and len(languages) > 1 and OWN_TOKENIZERS & {*map(language_code, languages)}:
        faults.append(
            f"training.risk_cost: bleu splits words in one way for all of {', '.join(languages)}; choose chrf"
        )
    return faults


def _model_faults(config: Config) -> list[str]:
    model, faults = config.model, []
    if model.encoder_size % 2:
        faults.append(f"model.encoder_size: must be even (two directions), not {model.encoder_size}")
    if model.encoder_stack != "bidirectional" and model.encoder_layers == 1:
        faults.append(
            f"model.encoder_stack: {model.encoder_stack} says what stands above the first layer, but encoder_layers is 1; "
            "set encoder_layers to 2 or more"
        )
    if model.attention == "dot" and model.encoder_size != model.decoder_size:
        faults.append(
            f"model.attention: dot needs encoder_size = decoder_size, "
            f"not {model.encoder_size} and {model.decoder_size}; make them equal or choose general"
        )
    if model.attention.startswith("multi_head") and model.decoder_size % max(model.attention_heads, 1):
        faults.append(
            f"model.attention_heads: {model.attention_heads} heads do not divide decoder_size {model.decoder_size}; "
            "choose a divisor"
        )
    if model.coverage and (model.attention != "additive" or model.decoder == "parallel"):
        faults.append(
            "model.coverage: needs attention additive and a decoder that attends step by step, "
            f"not {model.attention} and {model.decoder}; choose additive and input_feeding"
        )
    if model.output == "copy" and not config.tokenizer.joint:
        faults.append("model.output: copy needs tokenizer.joint; choose another output or a joint vocabulary")
    if model.output == "latent" and model.attention.startswith("multi_head"):
        faults.append(
            f"model.output: latent needs one head of attention, not {model.attention}; choose general or additive"
        )
    if model.state_dropout and model.cell in ("sru", "ssru"):
        faults.append(f"model.state_dropout: {model.cell} has no product with the state; set it to 0, or use zoneout")
    if model.tied_embeddings == "three_way" and not config.tokenizer.joint:
        faults.append("model.tied_embeddings: three_way needs tokenizer.joint; choose two_way or a joint vocabulary")
    return faults


def _corpus_faults(data: DataConfig) -> list[str]:
    faults = []
    for name in ("train", "valid", "held_out"):
        corpora: tuple[CorpusConfig, ...] = getattr(data, name)
        for index, corpus in enumerate(corpora):
            faults += [f"data.{name}[{index}]{fault}" for fault in _place_faults(corpus)]
            if corpus.streaming and corpus.dataset is None and name != "train":
                faults.append(f"data.{name}[{index}].streaming: only for data.train and for dataset; remove it")
            if corpus.weight is not None and name != "train":
                faults.append(f"data.{name}[{index}].weight: only for data.train; remove it")
        if len({corpus.weight is None for corpus in corpora}) > 1:
            faults.append(f"data.{name}: give every corpus a weight or none")
    return faults + _temperature_faults(data) + _language_faults(data) + _tag_faults(data)


def _temperature_faults(data: DataConfig) -> list[str]:
    if data.temperature is None:
        return []
    faults = []
    if any(corpus.weight is not None for corpus in data.train):
        faults.append(
            "data.temperature: makes weights from sizes, but the training corpora have weights; remove one or the other"
        )
    if data.streams:
        faults.append(
            "data.temperature: needs sizes, which nobody knows of streaming corpora; give them weights instead"
        )
    return faults


def _language_faults(data: DataConfig) -> list[str]:
    learned, faults = data.target_languages, []
    if len(learned) > 1 and not data.target_tags:
        faults.append(
            f"data.target_tags: must be true where the training corpora's target languages are several ({', '.join(learned)})"
        )
    for index, corpus in enumerate(data.valid if data.train else ()):
        if (language := data.languages(corpus)[1]) not in learned:
            where = f"data.valid[{index}]: its target language is {language}"
            faults.append(f"{where}, but training is for {', '.join(learned)}; set its target_language")
    return faults


def _tag_faults(data: DataConfig) -> list[str]:
    faults = []
    for name in ("train", "valid", "held_out"):
        for index, corpus in enumerate(getattr(data, name)):
            where = f"data.{name}[{index}].tag"
            if corpus.tag is None:
                continue
            if name == "held_out":
                faults.append(f"{where}: only for data.train and data.valid; remove it")
            elif corpus.tag.split() != [corpus.tag]:
                faults.append(f"{where}: must be one word without spaces, <bt> for example, not {corpus.tag!r}")
            elif name == "valid" and data.train and corpus.tag not in data.corpus_tags:
                known = ", ".join(data.corpus_tags) or "none"
                faults.append(
                    f"{where}: no training corpus has {corpus.tag}, so nothing is learned of it; they have {known}"
                )
    return faults


def _place_faults(corpus: CorpusConfig) -> list[str]:
    """Faults in where a corpus is read from, and keys that would change nothing there."""
    faults = []
    if sum(place is not None for place in (corpus.path, corpus.source, corpus.dataset)) != 1:
        faults.append(": give exactly one of path, source with target, or dataset")
    if (corpus.source is None) != (corpus.target is None):
        faults.append(": source and target go together; give both files")
    useless = []
    if corpus.dataset is None:
        useless += [(key, "dataset") for key in ("name", "split")]
        if not (corpus.path and re.search(r"\.jsonl(\.gz|\.zst)?$", corpus.path)):
            useless += [(key, "dataset and .jsonl files") for key in ("source_column", "target_column")]
    defaults = CorpusConfig()
    given = [(key, where) for key, where in useless if getattr(corpus, key) != getattr(defaults, key)]
    return faults + [f".{key}: only for {where}; remove it" for key, where in given]


def _stream_faults(config: Config) -> list[str]:
    training, faults = config.training, []
    if not config.data.streams or training.max_updates is not None:
        return []
    unknown = "needs training.max_updates where a training corpus is streaming and nobody knows its length; set it"
    if training.schedule == "cosine":
        faults.append(f"training.schedule: cosine {unknown}, or choose inverse_sqrt, plateau or constant")
    if training.scheduled_sampling:
        faults.append(f"training.scheduled_sampling: grows until the end, so it {unknown}, or take 0")
    return faults


def _tokenizer_faults(tokenizer: TokenizerConfig) -> list[str]:
    faults = []
    if tokenizer.target_model and (tokenizer.joint or not tokenizer.source_model):
        faults.append("tokenizer.target_model: needs tokenizer.source_model and joint: false")
    elif tokenizer.source_model and not tokenizer.joint and not tokenizer.target_model:
        faults.append("tokenizer.source_model: with joint: false, tokenizer.target_model is needed too")
    return faults
