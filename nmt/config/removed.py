"""Keys and values of older versions of the configuration that have been removed.

A model folder of an older version may have a removed key in its configuration, with the value that switches the key
off. Any other use of a removed key or value is a fault.
"""

from collections.abc import Iterator
from typing import Any

from nmt.config.parsing import Fault

LAST_VERSION = "0.1.0"
"""The last version that had the removed keys and values, except those in `LATER`."""

LATER = {"model.word_dropout": "0.2.0", "training.guided_alignment": "0.2.0", "training.r_drop": "0.2.0"}
"""The last versions of keys that were removed later."""

KEYS: dict[str, object] = {
    "model.mixtures": None,  # every value is allowed, because the key had an effect with `output: mixture` only
    "model.zoneout": 0.0,
    "model.word_dropout": None,  # it only affected training
    "training.coverage_loss": 0.0,
    "training.guided_alignment": None,  # every value is allowed, because translation does not depend on it
    "training.r_drop": None,  # it only affected training
    "training.scheduled_sampling": 0.0,
}
"""The removed keys. The value of a key in this table switches the key off."""

VALUES = {"model.cell": ("sru", "ssru"), "model.output": ("mixture", "latent")}
"""The removed values of keys that still exist."""


def drop_removed(content: dict[Any, Any], *, trained: bool) -> Iterator[Fault]:
    """Delete removed keys and values from the content of a configuration. Yield a fault for each one in use.

    Args:
        content: a mapping of sections to mappings of keys to values. The mappings are modified.
        trained: whether the configuration belongs to a model folder. If it does, a removed key may have the value that
            switches the key off.
    """
    for name, off in KEYS.items():
        section, key = _find(content, name)
        if key not in section:
            continue
        value = section.pop(key)
        if not trained:
            yield Fault(name, f"removed after nmt {LATER.get(name, LAST_VERSION)}; delete the key, or use that version")
        elif off is not None and value != off:
            yield Fault(name, f"{value} was removed after nmt {LAST_VERSION}; use that version")
    for name, values in VALUES.items():
        section, key = _find(content, name)
        if section.get(key) in values:
            yield Fault(name, f"{section.pop(key)} was removed after nmt {LAST_VERSION}; use that version")


def _find(content: dict[Any, Any], name: str) -> tuple[dict[Any, Any], str]:
    section, key = name.split(".")
    keys = content.get(section)
    return (keys if isinstance(keys, dict) else {}), key
