"""nmt: recurrent neural machine translation."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.translation.request import Translation
    from nmt.translation.translator import Translator

__version__ = "0.1.0"
__all__ = ["Translation", "Translator", "__version__"]


_HOMES = {"Translation": "nmt.translation.request", "Translator": "nmt.translation.translator"}


def __getattr__(name: str) -> Any:
    """The public names, imported when first used, so that `import nmt` and `--help` do not wait for torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")
