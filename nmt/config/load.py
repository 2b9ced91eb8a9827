"""Functions that read configurations from YAML, apply overrides, check configurations and write them."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from nmt.config.build import build_config
from nmt.config.parsing import (
    Fault,
    copy_sections,
    describe_value,
    names_of,
    to_plain,
)
from nmt.config.plain_yaml import MAX_YAML_CHARACTERS, parse_yaml
from nmt.config.schema import Config
from nmt.errors import ConfigError
from nmt.system.files import reason
from nmt.system.texts import as_texts


def load_config(path: str | Path, overrides: str | Iterable[str] = ()) -> Config:
    """Read a configuration from a YAML file, apply `section.key=value` overrides and check the result.

    Raises:
        ConfigError: the file cannot be read, or the configuration has faults. The message has a line for each fault.
    """
    content = read_yaml(path)
    return parse_config({} if content is None else content, overrides, where=str(path))


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file. Raises ConfigError: the file cannot be read or is not valid YAML."""
    try:
        with open(path, "rb") as stream:  # the path may be a pipe
            content = stream.read(4 * MAX_YAML_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({reason(error)}); check the path of the configuration") from error
    return decode_yaml(content, path)


def decode_yaml(content: bytes, path: str | Path) -> Any:
    """Parse the content of the YAML file `path`. Raises ConfigError: the content is not valid YAML."""
    try:
        return parse_yaml(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error


def parse_config(
    content: Any, overrides: str | Iterable[str] = (), where: str = "configuration", *, trained: bool = False
) -> Config:
    """Build a `Config` from the content of a YAML file and from overrides.

    Args:
        content: a mapping of sections to mappings of keys to values.
        overrides: strings of the form `section.key=value`, where the value is YAML. A single string is one override.
        where: the origin of the content for messages, for example the name of the file.
        trained: whether the configuration belongs to a trained model. Settings without effect are then accepted.

    Raises:
        ConfigError: the configuration has faults. The message has a line for each fault.
        TypeError: an override is not a string.
    """
    faults: list[Fault] = []
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where}: must hold sections ({names_of(Config)}), not {describe_value(content)}")
    merged = copy_sections(content)
    overrides = as_texts(overrides, "overrides")
    for override in overrides:
        apply_override(override, merged, faults)
    config = build_config(merged, faults, trained=trained)
    if faults:
        overridden = {name for override in overrides for name in (override.partition("=")[0], repr(override))}
        places = ("command line" if fault.key.partition("[")[0] in overridden else where for fault in faults)
        raise ConfigError("\n".join(f"{place}: {fault}" for place, fault in zip(places, faults, strict=True)))
    return config


def apply_override(override: str, content: dict[Any, Any], faults: list[Fault]) -> None:
    """Apply an override to the content of a configuration. It has the form `section.key=value`, with a YAML value."""
    name, equals, text = override.partition("=")
    section, dot, key = name.partition(".")
    if not (equals and dot and key):
        faults.append(
            Fault(describe_value(override), "an override is written section.key=value, model.dropout=0.2 for example")
        )
        return
    try:
        value = parse_yaml(text)
    except yaml.YAMLError:
        faults.append(Fault(name, f"{describe_value(text)} is not a YAML value"))
        return
    inner = content.setdefault(section, {})
    if isinstance(inner, dict):
        inner[key] = value
    elif inner is None:
        content[section] = {key: value}


def dump_config(config: Config) -> str:
    """Return a configuration as YAML with every key. `load_config` reads an equal `Config` from it."""
    return yaml.safe_dump(to_plain(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True)
