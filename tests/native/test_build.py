"""The native library is compiled with whatever compiler there is; without one, a line says what to do."""

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from small_library import write_sources

from nmt.native import build
from nmt.native.build import (
    FLAGS,
    FOLDER,
    VARIANT_SOURCES,
    VARIANTS,
    BuildError,
    Compiler,
    compile_library,
    find_compiler,
    find_system_compiler,
)
from nmt.system.native_library import LIBRARY

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler was found")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CC", "CFLAGS", "LDFLAGS", "NMT_NO_NATIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return write_sources(tmp_path / "sources")


@pytest.fixture
def compiler() -> Compiler:
    return find_compiler()


def write_script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def open_library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.power.restype, library.power.argtypes = ctypes.c_double, [ctypes.c_double]
    return library


def list_of_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(not build.is_wanted(), reason="there are no C files, or NMT_NO_NATIVE is set")
def test_library_of_this_checkout_is_compiled() -> None:
    """Tests of the native library use it. Without it, nmt works, but these tests would test nothing."""
    assert build.is_current(), f"{LIBRARY} is missing or older than its sources: run python -m nmt.native.build"


def test_compile_library(sources: Path, tmp_path: Path, compiler: Compiler) -> None:
    output = tmp_path / "libsmall.so"
    variants = compile_library(compiler, output, sources)
    assert variants[0] == "plain"
    assert set(variants) <= {"plain", "avx2", "avx512vnni", "neon"}
    library = open_library(output)
    assert library.value() == 3
    assert library.power(4.0) == 8.0
    assert list_of_files(tmp_path) == ["libsmall.so", "sources"]
    with pytest.raises(AttributeError):
        _ = library.value_plain  # only the functions of the interface are visible


def test_sources_are_compiled_without_warnings(compiler: Compiler) -> None:
    variants = {"plain": [""], **VARIANTS.get(compiler.machine, {})}
    strict = ["-Werror", "-fsyntax-only", *(f"-DNMT_HAVE_{name.upper()}" for name in variants)]
    for source in FOLDER.glob("*.c"):
        for name in variants if source.name in VARIANT_SOURCES else ["plain"]:
            command = [*compiler.command, *FLAGS, *strict, *variants[name][0].split(), f"-DNMT_VARIANT={name}"]
            answer = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
            assert (answer.returncode, answer.stderr) == (0, "")


def test_flags_of_the_environment_are_used(
    sources: Path, tmp_path: Path, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-DVALUE=5 '-DUNUSED=a b'")
    compile_library(compiler, tmp_path / "libsmall.so", sources)
    assert open_library(tmp_path / "libsmall.so").value() == 5
    monkeypatch.setenv("LDFLAGS", "-lthere-is-no-such-library")
    with pytest.raises(BuildError, match="no-such-library"):
        compile_library(compiler, tmp_path / "libsmall.so", sources)


def test_unknown_variant_is_left_out(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_script(tmp_path / "old-cc", 'case "$*" in *avx*|*dotprod*) exit 1;; esac; exec cc "$@"')
    monkeypatch.setenv("CC", old)
    assert compile_library(find_compiler(), tmp_path / "libsmall.so", sources) == ["plain"]
    assert open_library(tmp_path / "libsmall.so").value() == 3


def test_fault_in_a_source_keeps_the_old_library(sources: Path, tmp_path: Path, compiler: Compiler) -> None:
    output = tmp_path / "libsmall.so"
    output.write_text("old", encoding="utf-8")
    (sources / "engine.c").write_text("int broken(void) { return nothing; }\n", encoding="utf-8")
    with pytest.raises(BuildError, match=r"engine\.c:1:\d+: error: .*nothing"):
        compile_library(compiler, output, sources)
    assert output.read_text(encoding="utf-8") == "old"
    assert list_of_files(tmp_path) == ["libsmall.so", "sources"]


def test_output_that_cannot_be_written(sources: Path, tmp_path: Path, compiler: Compiler) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BuildError, match=r"libsmall\.so cannot be written \(Not a directory|File exists\)"):
        compile_library(compiler, tmp_path / "file" / "libsmall.so", sources)


def test_compilers_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cc may be there without the headers of C, or only offer to be installed."""
    system = shutil.which("cc")
    (tmp_path / "cc").symlink_to("/bin/false")
    clang = write_script(tmp_path / "clang", f'PATH={os.environ["PATH"]} exec {system} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_system_compiler()
    assert found is not None
    assert found.command == ("clang",)
    assert found.machine in {"x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "i686"}
    monkeypatch.setenv("CC", " ")
    assert find_compiler() == found
    monkeypatch.setenv("CC", f"{clang} -DANY")
    assert find_compiler().command == (clang, "-DANY")
    monkeypatch.setenv("CC", "/bin/false")
    assert find_system_compiler() is None
    with pytest.raises(BuildError, match="CC is '/bin/false', which does not work"):
        find_compiler()
    assert build.list_build_requirements() == []


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(build, "is_wanted", lambda: not os.environ.get("NMT_NO_NATIVE"))


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "arm64"])
def test_ziglang_is_required_where_there_is_no_compiler(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert build.list_build_requirements() == ["ziglang>=0.13"]
    monkeypatch.setenv("NMT_NO_NATIVE", "1")
    assert build.list_build_requirements() == []


@pytest.mark.usefixtures("no_compiler")
def test_ziglang_is_not_required_where_it_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    assert build.list_build_requirements() == []


def test_ziglang_is_not_required_beside_a_compiler() -> None:
    assert build.list_build_requirements() == []


@pytest.mark.usefixtures("no_compiler")
def test_no_compiler(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main([]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("The native library was not compiled: no C compiler was found. nmt works without it")
    assert output.err.endswith("run python -m nmt.native.build.\n")


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize(
    ("system", "machine", "libc", "target"),
    [
        ("linux", "x86_64", "glibc", "x86_64-linux-gnu.2.17"),
        ("linux", "aarch64", "glibc", "aarch64-linux-gnu.2.17"),
        ("linux", "x86_64", "", "x86_64-linux-musl"),
        ("darwin", "arm64", "", "aarch64-macos"),
    ],
)
def test_target_of_zig(system: str, machine: str, libc: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: types.SimpleNamespace())
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    found = find_compiler()
    assert found.command[:6] == (sys.executable, "-m", "ziglang", "cc", "-target", target)
    assert found.machine == target.partition("-")[0]


def test_command(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "FOLDER", sources)
    monkeypatch.setattr(build, "LIBRARY", tmp_path / "libsmall.so")
    monkeypatch.setattr(build.compile_library, "__defaults__", (None, sources, ()))
    output = tmp_path / "new" / "libsmall.so"
    assert build.main(["--output", str(output), "--if-needed"]) == 0
    assert f"cc compiled {output}" in capsys.readouterr().out
    first = output.stat().st_mtime_ns
    os.utime(output, ns=(first + 10**10, first + 10**10))  # newer than build.py in a fresh checkout, whatever the clock
    assert build.main(["--output", str(output), "--if-needed"]) == 0
    assert capsys.readouterr().out == ""
    (sources / "small.h").touch()
    os.utime(output, ns=(1, 1))
    assert not build.is_current(output)
    monkeypatch.setenv("NMT_NO_NATIVE", "1")
    assert build.main(["--output", str(output), "--if-needed"]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("NMT_NO_NATIVE")
    assert build.main(["--output", str(output), "--if-needed"]) == 0
    assert build.main(["--output", str(output)]) == 0
    assert capsys.readouterr().out.count(f"cc compiled {output}") == 2


@pytest.mark.skipif(not shutil.which("aarch64-linux-gnu-gcc"), reason="no compiler for aarch64 was found")
def test_compile_for_aarch64(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler decides for which processor the variants are, not this machine."""
    monkeypatch.setenv("CC", "aarch64-linux-gnu-gcc")
    output = tmp_path / "libsmall.so"
    assert compile_library(find_compiler(), output, sources) == ["plain", "neon"]
    assert output.read_bytes()[18:20] == b"\xb7\x00"  # e_machine of ELF: EM_AARCH64
