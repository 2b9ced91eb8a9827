"""nmt: recurrent neural machine translation.

This module is the whole public API. Its imports are lazy: a name is imported only when it is first used. As a result,
`import nmt` does not import torch, which would be slow.
"""

import importlib

# This module does not import `typing`, which is slow. Ctrl-C during an import shows a traceback until
# nmt.commands.start has set a handler, so the imports before that should be short.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nmt.checkpoint.training_text import load_languages
    from nmt.config.load import load_config
    from nmt.config.schema import Config
    from nmt.errors import (
        ConfigError,
        DataError,
        DivergenceError,
        Interrupted,
        MachineError,
        ModelError,
        NmtError,
        UserError,
    )
    from nmt.evaluation.scores import Evaluation, evaluate
    from nmt.search.options import MbrOptions, SampleOptions, SearchOptions
    from nmt.training.run import train
    from nmt.translation.documents.translate import translate_file
    from nmt.translation.glossary import read_glossary
    from nmt.translation.request import Alternative, PairScore, Request, RequestSettings, Translation
    from nmt.translation.terms import Term, TermUse
    from nmt.translation.translator import Translator

__version__ = "0.3.0.dev0"
__all__ = [
    "Alternative",
    "Config",
    "ConfigError",
    "DataError",
    "DivergenceError",
    "Evaluation",
    "Interrupted",
    "MachineError",
    "MbrOptions",
    "ModelError",
    "NmtError",
    "PairScore",
    "Request",
    "RequestSettings",
    "SampleOptions",
    "SearchOptions",
    "Term",
    "TermUse",
    "Translation",
    "Translator",
    "UserError",
    "__version__",
    "evaluate",
    "load_config",
    "load_languages",
    "read_glossary",
    "train",
    "translate_file",
]

_ERRORS = (
    "ConfigError",
    "DataError",
    "DivergenceError",
    "Interrupted",
    "MachineError",
    "ModelError",
    "NmtError",
    "UserError",
)
_MODULES = {
    **dict.fromkeys(_ERRORS, "nmt.errors"),
    "Config": "nmt.config.schema",
    "Evaluation": "nmt.evaluation.scores",
    "MbrOptions": "nmt.search.options",
    "Alternative": "nmt.translation.request",
    "PairScore": "nmt.translation.request",
    "Term": "nmt.translation.terms",
    "TermUse": "nmt.translation.terms",
    "read_glossary": "nmt.translation.glossary",
    "Request": "nmt.translation.request",
    "RequestSettings": "nmt.translation.request",
    "SampleOptions": "nmt.search.options",
    "SearchOptions": "nmt.search.options",
    "Translation": "nmt.translation.request",
    "Translator": "nmt.translation.translator",
    "evaluate": "nmt.evaluation.scores",
    "load_config": "nmt.config.load",
    "load_languages": "nmt.checkpoint.training_text",
    "train": "nmt.training.run",
    "translate_file": "nmt.translation.documents.translate",
}


def __getattr__(name: str) -> "Any":
    if name not in _MODULES:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value  # Python does not call this function again for the same name
    return value


def __dir__() -> list[str]:
    return __all__
