"""Checks at the start of a training run. They report a mistake at once, and not after an hour."""

import itertools
import logging

import torch

from nmt.config.schema import Config, DataConfig
from nmt.data.check.findings import Severity
from nmt.data.check.run import check_corpora
from nmt.data.lemmas import Lemmatizer
from nmt.data.readers import corpus_files, describe_corpus, read_pairs
from nmt.data.sentences import split_sentences
from nmt.errors import ConfigError, DataError
from nmt.system.devices import autocast_dtype
from nmt.system.terminal import escape_controls
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.standard_rules import build_normalizers
from nmt.training.finetune import check_start
from nmt.training.log import import_event_writer

logger = logging.getLogger(__name__)

_MAX_WARNINGS = 5  # the largest number of warnings about the text


def check_settings(config: Config, device: torch.device) -> None:
    """Check the settings that can be checked without reading files.

    Raises:
        ConfigError: no corpus is named.
        MachineError: the machine lacks bfloat16 or an optional package that the configuration asks for.
    """
    for name in ("train", "valid"):
        if not getattr(config.data, name):
            raise ConfigError(f"data.{name}: names no corpus; set it in the configuration or as data.{name}=PREFIX")
    autocast_dtype(config.training.precision, device)
    if config.training.tensorboard:
        import_event_writer()
    if config.data.term_share:
        Lemmatizer(config.data.target_languages)


def check_new_training(config: Config) -> None:
    """Check the corpora and models that a new training run needs.

    Raises:
        ConfigError: a vocabulary, the rules of normalization or the model to start from cannot be used.
        DataError: corpora are missing or empty.
        ModelError: the model to start from is missing or damaged.
    """
    _check_corpora(config)
    build_normalizers(config.tokenizer.normalization)
    if config.training.start_from:
        check_start(config.model, config.training.start_from)
    elif config.tokenizer.source_model:
        train_tokenizers(config.tokenizer, ())  # loads the configured tokenizer models and needs no text


def warn_about_text(data: DataConfig, given: str = "configuration and overrides") -> None:
    """Check the text quickly. Log its worst faults, as at most five warnings.

    Args:
        data: the corpora.
        given: the words for what the user has given, and can give to nmt-check too.

    Raises:
        DataError: a corpus cannot be read.
        MachineError: a file needs a package that is not installed.
    """
    found = [finding for finding in check_corpora(data, quick=True).findings if finding.severity >= Severity.WARNING]
    for finding in found[:_MAX_WARNINGS]:
        logger.warning("%s: %s", finding.place, escape_controls(finding.message))
    if found:
        more = f"{len(found) - _MAX_WARNINGS} more faults, " if len(found) > _MAX_WARNINGS else ""
        logger.info("nmt-check shows %sexamples and what to do; give it the same %s", more, given)


def _check_corpora(config: Config) -> None:
    """Report all missing and empty corpora in one error. Datasets are not opened, because this might download them."""
    data, faults = config.data, []
    used = {"train": data.train, "valid": data.valid, "held_out": data.held_out if data.drop_overlap else ()}
    for name, corpus in ((name, corpus) for name, corpora in used.items() for corpus in corpora):
        try:
            corpus_files(corpus, data)
            if corpus.dataset is None and next(read_pairs(corpus, data), None) is None:
                faults.append(f"data.{name}: {describe_corpus(corpus)}: contains no sentence pairs; check the file")
        except DataError as error:
            faults.append(f"data.{name}: {error}")
    if faults:
        raise DataError("\n".join(faults))


def measure_several_sentences(data: DataConfig, lines: int = 10_000) -> float:
    """Return the share of source lines that contain several sentences.

    The share is measured on the first `lines` lines. Each training corpus contributes the same number of lines.

    Raises:
        DataError: a corpus cannot be read.
    """
    counts = []
    for corpus in data.train:
        language, _ = data.languages(corpus)
        pairs = itertools.islice(read_pairs(corpus, data), max(1, lines // len(data.train)))
        texts = (text for pair in pairs if (text := pair.source.strip()))
        counts += [len(split_sentences(text, language)) for text in texts]
    return round(sum(count > 1 for count in counts) / max(1, len(counts)), 4)
