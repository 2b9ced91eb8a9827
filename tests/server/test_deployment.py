"""The packages of constraints-serve.txt, without PyTorch, are enough to serve models."""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def read_versions(name: str) -> dict[str, str]:
    """Return the version of each package in a file of constraints, and in the files that it includes."""
    versions: dict[str, str] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            versions |= read_versions(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            package, version = line.split("==")
            versions[canonicalize_name(package)] = version
    return versions


def test_versions_are_those_of_constraints() -> None:
    assert read_versions("constraints-serve.txt").items() <= read_versions("constraints.txt").items()


def test_every_requirement_is_listed() -> None:
    """The packages are installed with --no-deps."""
    packages = read_versions("constraints-serve.txt")
    needed = {
        canonicalize_name(one.name)
        for package in packages
        for one in map(Requirement, requires(package) or ())
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }
    assert needed <= packages.keys()


def test_the_server_imports_no_torch() -> None:
    modules = "nmt.server.app, nmt.server.run, nmt.server.models, nmt.translation.documents"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "False\n"
