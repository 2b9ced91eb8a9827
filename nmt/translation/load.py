"""The choice between the native library and PyTorch, and the check that models can be used together."""

from collections.abc import Sequence
from pathlib import Path

from nmt.checkpoint.packed import PackedModel, load_packed
from nmt.checkpoint.text_model import TextModel
from nmt.errors import ConfigError, ModelError
from nmt.native.library import load
from nmt.system.machine import may_have_gpu


def load_packed_models(folders: Sequence[str | Path], *, device: str, precision: str) -> list[PackedModel] | None:
    """Load models for the native library.

    Returns:
        The models, or None if PyTorch must be used: on a GPU, without the library, and with networks that the
        library does not know.

    Raises:
        ModelError: a folder is missing or damaged.
    """
    wanted = device in ("auto", "cpu")
    if not wanted or (device == "auto" and may_have_gpu()) or load() is None:
        return None
    models = []
    for folder in folders:
        model = load_packed(folder, "fp32" if precision == "fp32" else "int8")
        if model is None:
            return None
        models.append(model)
    return models


def check_ensemble(models: Sequence[TextModel]) -> None:
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


def _describe_languages(model: TextModel) -> str:
    data = model.config.data
    return f"{', '.join(data.source_languages)} to {', '.join(data.target_languages)}"
