"""The configuration in a model folder."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nmt.checkpoint.manifest import CONFIG, MANIFEST
from nmt.config.load import decode_yaml, dump_config, parse_config
from nmt.config.schema import Config
from nmt.errors import ConfigError, ModelError
from nmt.system.files import add_file
from nmt.system.opening import read_file


def load_folder_config(folder: Path) -> Config:
    """Load the configuration in a model folder.

    The configuration must contain every key of `model`, because defaults may have changed since it was written.

    Raises:
        ModelError: the configuration is missing, damaged or incomplete.
    """
    path = folder / CONFIG
    try:
        content = decode_yaml(read_file(path, MANIFEST[CONFIG].max_bytes), path)
        if isinstance(content, dict) and isinstance(content.get("tokenizer"), dict):
            content["tokenizer"].setdefault("normalization", "none")  # version 0.2.0 did not normalize text
            content["tokenizer"].setdefault("truecase", False)  # version 0.2.0 did not change the case of text
        config = parse_config(content, where=str(path), trained=True)
        given = content.get("model") or {}
        missing = [f"model.{key.name}" for key in fields(config.model) if key.name not in given]
        if missing:
            raise ConfigError(f"{path}: lacks {', '.join(missing)}")
        return config
    except ConfigError as error:
        raise ModelError(f"{error}; the folder was damaged or written by another version of nmt") from error


def store_validation_settings(folder: Path, **settings: Any) -> None:
    """Change settings of `validation` in a model folder, which are chosen on the validation text after training.

    Raises:
        ModelError: the configuration is missing, damaged or incomplete.
        MachineError: the folder cannot be written.
    """
    config = load_folder_config(folder)
    chosen = replace(config, validation=replace(config.validation, **settings))
    add_file(folder, CONFIG, dump_config(chosen).encode())
