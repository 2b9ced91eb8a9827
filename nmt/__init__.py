"""nmt: recurrent neural machine translation.

This is the whole public API. Names are imported when they are first used, so that `import nmt` does not wait for torch.
"""

import importlib

TYPE_CHECKING = False  # typing is slow to import, and Ctrl-C shows a traceback until nmt.commands.start handles it
if TYPE_CHECKING:
    from typing import Any

    from nmt.config.load import load_config
    from nmt.errors import ConfigError, DataError, Interrupted, MachineError, ModelError, NmtError, UserError
    from nmt.evaluation.scores import evaluate
    from nmt.search.options import SampleOptions, SearchOptions
    from nmt.training.run import train
    from nmt.translation.request import Request, Translation
    from nmt.translation.translator import Translator

__version__ = "0.2.0"
__all__ = [
    "ConfigError",
    "DataError",
    "Interrupted",
    "MachineError",
    "ModelError",
    "NmtError",
    "Request",
    "SampleOptions",
    "SearchOptions",
    "Translation",
    "Translator",
    "UserError",
    "__version__",
    "evaluate",
    "load_config",
    "train",
]

_ERRORS = ("ConfigError", "DataError", "Interrupted", "MachineError", "ModelError", "NmtError", "UserError")
_MODULES = {
    **dict.fromkeys(_ERRORS, "nmt.errors"),
    "Request": "nmt.translation.request",
    "SampleOptions": "nmt.search.options",
    "SearchOptions": "nmt.search.options",
    "Translation": "nmt.translation.request",
    "Translator": "nmt.translation.translator",
    "evaluate": "nmt.evaluation.scores",
    "load_config": "nmt.config.load",
    "train": "nmt.training.run",
}


def __getattr__(name: str) -> "Any":
    if name not in _MODULES:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return __all__
