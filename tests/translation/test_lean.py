"""A translation with the native library imports neither torch nor any other large package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.system.native_library import LIBRARY

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "input_feeding"
LARGE = ("torch", "numpy", "yaml", "safetensors", "sacrebleu", "datasets", "filelock", "tqdm", "jinja2")
BLOCK = f"import sys; sys.modules.update(dict.fromkeys({LARGE}));"

needs_library = pytest.mark.skipif(not LIBRARY.exists(), reason="the native library is not installed")


def run(code: str, text: str = "") -> str:
    """Run Python code in a process that cannot import large packages."""
    process = subprocess.run(
        [sys.executable, "-c", BLOCK + code], input=text, capture_output=True, text=True, env=os.environ, timeout=60
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that is packed already."""
    folder = tmp_path_factory.mktemp("lean") / "model"
    shutil.copytree(MODEL, folder)
    code = f"from nmt import Translator; Translator.load({str(folder)!r}, device='cpu')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert (folder / "packed.nmt").is_file()
    return folder


@pytest.mark.parametrize(
    "module",
    [
        "nmt.commands.translate",
        "nmt.translation.translator",
        "nmt.translation.pipe",
        "nmt.translation.segments",
        "nmt.checkpoint.packed",
        "nmt.tokenizers.files",
        "nmt.config.build",
    ],
)
def test_modules_of_translation_import_no_large_package(module: str) -> None:
    run(f"import {module}")


def test_help_needs_no_large_package() -> None:
    assert "--beam" in run("from nmt.commands.translate import main; main(['--help'])")


@needs_library
def test_the_command_translates(packed: Path) -> None:
    code = f"from nmt.commands.translate import main; sys.exit(main([{str(packed)!r}, '--device', 'cpu']))"
    lines = run(code, "das ist gut\n\n").split("\n")
    assert len(lines) == 3
    assert lines[0]
    assert lines[1] == ""


@needs_library
@pytest.mark.parametrize("options", ["", "SearchOptions(beam=4, nbest=3, attention=True)", "SampleOptions(samples=3)"])
def test_a_translator_translates_and_is_pickled(packed: Path, options: str) -> None:
    code = f"""
import pickle
from nmt import SampleOptions, SearchOptions, Translator
translator = Translator.load({str(packed)!r}, device="cpu", threads=2)
copy = pickle.loads(pickle.dumps(translator))
texts = ["das ist gut", "die Frau lacht"] * 40
assert translator.nbest(texts, {options}) == copy.nbest(texts, {options})
print(translator.translate(texts[0])[0])
"""
    assert run(code).strip()
