"""A function that builds a checked configuration from plain values, such as the content of a YAML or JSON file."""

from typing import Any

from nmt.config.parsing import Fault, from_plain
from nmt.config.removed import drop_removed
from nmt.config.rules import find_contradictions, find_idle_settings
from nmt.config.schema import Config


def build_config(content: dict[Any, Any], faults: list[Fault], *, trained: bool = False) -> Config:
    """Build a `Config` from plain values, and check it.

    Args:
        content: a mapping of sections to mappings of keys to values. Removed keys are deleted from it.
        faults: the list to which all faults are added. With faults, the configuration must not be used.
        trained: whether the configuration belongs to a trained model. Settings without effect are then accepted.
    """
    faults += drop_removed(content, trained=trained)
    config: Config = from_plain(Config, content, "", faults)
    if not faults:
        faults += find_contradictions(config)
        if not trained:
            faults += find_idle_settings(config)
    return config
