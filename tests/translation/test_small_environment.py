"""The packages of constraints-translate.txt, without PyTorch, are enough to translate."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import nmt
from nmt.native import library

ROOT = Path(__file__).parents[2]
PACKAGE = Path(nmt.__file__).parent
MODELS = ROOT / "tests" / "models" / "0.1.0"
PACKAGES = dict(
    line.split("==")
    for line in (ROOT / "constraints-translate.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
MAX_BYTES = 60_000_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(library.load() is None, reason="the native library is not compiled"),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds nmt and these packages, as a virtual environment would."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "nmt").symlink_to(PACKAGE)
    for name in PACKAGES:
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            (folder / top).symlink_to(Path(str(package.locate_file(top))))
    return folder


def run(environment: Path, code: str, text: str = "", **variables: str) -> str:
    """Run code in a process that sees these packages and the standard library only."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.run(
        [sys.executable, "-S", "-c", code],
        input=text,
        capture_output=True,
        text=True,
        cwd=environment,
        env={**others, "PYTHONPATH": str(environment), **variables},
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_versions_are_those_of_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {f"{name}=={version}" for name, version in PACKAGES.items()} <= {*lines}


def test_size_of_the_environment(environment: Path) -> None:
    links = [folder.resolve() for folder in environment.iterdir() if folder.name != "tokenizers"]
    files = {file for top in links for file in ([top] if top.is_file() else top.rglob("*")) if file.is_file()}
    size = sum(file.stat().st_size for file in files if file.suffix != ".pyc")
    assert 5_000_000 < size < MAX_BYTES


def test_no_other_packages_are_there(environment: Path) -> None:
    code = (
        "import importlib.util as u; print([n for n in ('torch', 'numpy', 'yaml', 'sentencepiece') if u.find_spec(n)])"
    )
    assert run(environment, code) == "['yaml', 'sentencepiece']\n"


@pytest.mark.parametrize("name", ["input_feeding", "gru"])
def test_translate(name: str, environment: Path, tmp_path: Path) -> None:
    """The first translation packs the model, and the second one reads what it packed."""
    case, *_ = json.loads((MODELS / f"{name}.json").read_text(encoding="utf-8"))
    assert case["precision"] == "fp32"
    source = (MODELS / "source.txt").read_text(encoding="utf-8")
    model, cache = shutil.copytree(MODELS / name, tmp_path / "model"), tmp_path / "cache"
    code = f"from nmt.commands.translate import main; main([{str(model)!r}, '--precision', 'fp32'])"
    for _ in range(2):
        lines = run(environment, code, source, XDG_CACHE_HOME=str(cache)).splitlines()
        assert [[line] for line in lines] == case["texts"]["beam"]
        assert [*model.glob("packed.nmt"), *cache.rglob("*.nmt")]


@pytest.mark.parametrize(
    "code",
    [
        "from nmt.commands.train import main; main(['config.yaml', '--output', 'run'])",
        f"from nmt.commands.translate import main; main([{str(MODELS / 'copy')!r}])",
    ],
)
def test_what_needs_pytorch_says_so(environment: Path, code: str) -> None:
    program, _, call = code.partition("; ")
    shown = run(environment, f"{program}; import sys; sys.stderr = sys.stdout; print({call})")
    assert "error: this needs the package torch, which is not installed; install nmt with all" in shown
    assert shown.count("\n") == 2
    assert shown.endswith("\n2\n")


def test_sentences(environment: Path) -> None:
    """The division of a text into sentences uses a package, too."""
    code = "from nmt.data.sentences import split_sentences; print(split_sentences('It rains. It snows.', 'en'))"
    assert "It snows." in run(environment, code)
