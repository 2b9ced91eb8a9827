"""Wheels, editable installations and source distributions hold the native library, or its sources."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from small_library import write_sources

ROOT = Path(__file__).parents[2]
PYTHON = {"__init__.py", "backend.py", "build.py", "library.py"}
C = {"engine.c", "library.c", "small.h"}
SETUP = """
[metadata]
name = nmt
version = 1.0
[options]
packages =
    nmt
    nmt.native
    nmt.system
[options.package_data]
nmt.native =
    *.c
    *.h
"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler was found")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small project with the backend of nmt and a small library."""
    native = tmp_path / "checkout" / "nmt" / "native"
    native.mkdir(parents=True)
    for name in PYTHON:
        shutil.copy(ROOT / "nmt" / "native" / name, native)
    shutil.copy(ROOT / "nmt" / "errors.py", native.parent)
    (native.parent / "system").mkdir()
    for name in ("__init__.py", "native_library.py"):
        shutil.copy(ROOT / "nmt" / "system" / name, native.parent / "system")
    for file in write_sources(tmp_path / "sources").iterdir():
        shutil.copy(file, native)
    (native.parent / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "checkout" / "setup.cfg").write_text(SETUP, encoding="utf-8")
    return tmp_path / "checkout"


def call(checkout: Path, hook: str, **environment: str) -> Path:
    """Call a hook that builds something, in a process as pip does, and return the path of what it built."""
    dist = checkout.parent / "dist"
    code = f"from nmt.native import backend; print('built', backend.{hook}({str(dist)!r}))"
    others = {name: value for name, value in os.environ.items() if name not in {"CC", "CFLAGS", "NMT_NO_NATIVE"}}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={**others, "PYTHONPATH": str(checkout), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    failed = "The native library was not compiled: CC is 'false', which does not work." in result.stdout + result.stderr
    assert failed == (environment.get("CC") == "false")
    return dist / result.stdout.splitlines()[-1].removeprefix("built ")


def native_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name.removeprefix("nmt/native/") for name in archive.namelist() if name.startswith("nmt/native/")}


def library_name() -> str:
    return "libnmt.dylib" if sys.platform == "darwin" else "libnmt.so"


def test_wheel(checkout: Path) -> None:
    wheel = call(checkout, "build_wheel")
    name, version, python, abi, platform = wheel.stem.split("-")
    assert (name, version, python, abi) == ("nmt", "1.0", "py3", "none")
    assert platform.startswith(("linux_", "macosx_"))
    assert native_files(wheel) == {*PYTHON, *C, library_name()}
    assert not list(checkout.glob("nmt/native/libnmt.*"))  # only an editable installation compiles into the checkout


def test_wheel_of_a_build_that_fails(checkout: Path) -> None:
    """The library of an earlier build, which setuptools keeps in build/, is not packaged."""
    call(checkout, "build_wheel")
    assert native_files(call(checkout, "build_wheel", CC="false")) == {*PYTHON, *C}


def test_wheel_without_the_library(checkout: Path) -> None:
    wheel = call(checkout, "build_wheel", NMT_NO_NATIVE="1")
    assert wheel.name == "nmt-1.0-py3-none-any.whl"
    assert native_files(wheel) == {*PYTHON, *C}


def test_editable_installation_compiles_into_the_checkout(checkout: Path) -> None:
    assert call(checkout, "build_editable").exists()
    assert (checkout / "nmt" / "native" / library_name()).exists()


@pytest.mark.parametrize("settings", [{"CC": "false"}, {"NMT_NO_NATIVE": "1"}])
def test_editable_installation_without_the_library(checkout: Path, settings: dict[str, str]) -> None:
    assert call(checkout, "build_editable", **settings).exists()
    assert not list(checkout.glob("nmt/native/libnmt.*"))


def test_source_distribution_holds_the_sources_of_the_library(checkout: Path) -> None:
    call(checkout, "build_editable")
    with tarfile.open(call(checkout, "build_sdist")) as archive:
        names = {Path(name).name for name in archive.getnames() if "/nmt/native/" in name}
    assert names == {*PYTHON, *C}
