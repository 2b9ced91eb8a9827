"""The public API: what `import nmt` offers, and nothing else."""

import inspect
import subprocess
import sys

import pytest

import nmt

PUBLIC = {
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
}


def test_the_public_names() -> None:
    assert set(nmt.__all__) == PUBLIC == set(dir(nmt))
    assert set(nmt._MODULES) == PUBLIC - {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_name_is_documented(name: str) -> None:
    value = getattr(nmt, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)
    assert getattr(nmt, name) is value


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'nmt' has no attribute 'Trainer'"):
        nmt.Trainer  # noqa: B018
    with pytest.raises(ImportError):
        from nmt import Trainer  # noqa: F401


def test_importing_nmt_does_not_import_torch() -> None:
    light = "Config, ConfigError, Interrupted, Request, SearchOptions, Translation, load_config"
    code = f"import sys; from nmt import {light}; print(sorted({{'torch', 'sacrebleu'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
