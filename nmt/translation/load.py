"""The preparation of loaded models for search: scorers, ensembles and shortlists."""

import logging
from collections.abc import Sequence
from typing import Any

from nmt.checkpoint.folder import Model
from nmt.errors import ConfigError, ModelError
from nmt.model.candidates import Shortlist
from nmt.search.packed.engine import build_scorer, find_unpackable_part
from nmt.search.scorer import EnsembleScorer, ModelScorer, Scorer
from nmt.system.devices import one_thread

logger = logging.getLogger(__name__)


def build_scorers(models: Sequence[Model], precision: str) -> list[Scorer[Any]]:
    """Build a scorer for each model, with a precision for CPUs. See `build_scorer` for the errors."""
    with one_thread():  # precomputed tables must not depend on the number of threads
        scorers = [build_scorer(model.network, precision) for model in models]
    if unknown := dict.fromkeys(part for model in models if (part := find_unpackable_part(model.config.model))):
        logger.info("%s: cannot be packed for int8; PyTorch translates instead, slower and in fp32", ", ".join(unknown))
    return scorers


def combine_scorers(models: Sequence[Model], scorers: Sequence[Scorer[Any]] | None) -> Scorer[Any]:
    """Combine the scorers of all models into one scorer. If `scorers` is None, PyTorch computes the scores."""
    members = scorers or [ModelScorer(model.network) for model in models]
    return members[0] if len(members) == 1 else EnsembleScorer(members)


def check_ensemble(models: Sequence[Model]) -> None:
    """Check that models can be used as an ensemble.

    Raises:
        ConfigError: `models` is empty.
        ModelError: the languages, the vocabularies or the rules of normalization of the models differ.
    """
    if not models:
        raise ConfigError("no model given; name at least one model folder")
    first = models[0]
    for other in models[1:]:
        fault = f"{first.name} and {other.name}: cannot be an ensemble"
        if _describe_languages(first) != _describe_languages(other):
            raise ModelError(
                f"{fault}, one translates {_describe_languages(first)}, the other {_describe_languages(other)}; "
                "name models with the same languages"
            )
        if first.tokenizers.normalizers.source != other.tokenizers.normalizers.source:
            raise ModelError(f"{fault}, they normalize text by different rules; name models with the same rules")
        for side in ("source", "target"):
            if getattr(first.tokenizers, side).vocabulary() != getattr(other.tokenizers, side).vocabulary():
                raise ModelError(f"{fault}, their {side} vocabularies differ; name models with the same vocabularies")


def choose_shortlist(models: Sequence[Model]) -> Shortlist | None:
    """Return the first shortlist that one of the models has. Return None if no model has a shortlist.

    If one of the models copies source tokens, the shortlist of a sentence also contains its source tokens.
    """
    shortlist = next((model.shortlist for model in models if model.shortlist), None)
    copies = any(model.network.output.copies for model in models)
    return shortlist.with_source_tokens(models[0].tokenizers.target.producible) if shortlist and copies else shortlist


def _describe_languages(model: Model) -> str:
    data = model.config.data
    return f"{', '.join(data.source_languages)} to {', '.join(data.target_languages)}"
