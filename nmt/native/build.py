"""Compile the native library: python -m nmt.native.build

The compiler is the command in the environment variable CC, or else cc, gcc or clang, or else `zig cc` of the package
ziglang. CFLAGS and LDFLAGS are added to the flags. The library does not use Python.h, so one library serves every
version of Python.

engine.c and train.c are compiled once for each kind of processor. At run time, library.c chooses one of these variants.
"""

import argparse
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nmt.system.native_library import LIBRARY

FOLDER = LIBRARY.parent

FLAGS = [
    *("-O3", "-g0", "-std=gnu11", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
]
VARIANT_SOURCES = ("engine.c", "train.c")  # these are compiled for each variant, the other sources once
# The flags of each variant beside `plain`, which has none. The second form for `neon` is the one that zig accepts.
VARIANTS = {
    "x86_64": {
        "avx2": ["-mavx2 -mfma"],
        "avx512vnni": ["-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mprefer-vector-width=512"],
    },
    "aarch64": {"neon": ["-march=armv8.2-a+dotprod", "-mcpu=generic+v8_2a+dotprod"]},
}
ZIG_MACHINES = ("x86_64", "aarch64")  # the package ziglang is not there for every processor
PROBE = """
#include <math.h>
#include <stdlib.h>
#include <string.h>
double probe(double x) { return exp(x); }
"""
ADVICE = (
    "nmt works without it, but translates more slowly. Install a C compiler (Debian and Ubuntu: apt install gcc "
    "libc6-dev; macOS: xcode-select --install; without rights: pip install ziglang), and run python -m nmt.native.build"
)


class BuildError(Exception):
    """The library was not compiled. The message is one line."""


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """A C compiler. `machine` is the kind of processor that it compiles for, such as x86_64 or aarch64."""

    command: tuple[str, ...]
    machine: str


def is_wanted() -> bool:
    """Return whether the library can be compiled here, and the variable NMT_NO_NATIVE does not forbid it."""
    return not os.environ.get("NMT_NO_NATIVE") and any(FOLDER.glob("*.c"))


def is_current(library: Path = LIBRARY) -> bool:
    """Return whether the library is there and newer than its sources."""
    sources = [Path(__file__), *FOLDER.glob("*.[ch]")]
    return library.exists() and library.stat().st_mtime >= max(source.stat().st_mtime for source in sources)


def find_system_compiler() -> Compiler | None:
    """Find the compiler that the environment variable CC names, or else cc, gcc or clang."""
    chosen = _read_compiler_command()
    with tempfile.TemporaryDirectory() as workspace:
        for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
            # A compiler may be there without the headers of C. On macOS without Xcode, cc only offers to install it.
            if shutil.which(command[0]) and _accepts(command, ["-shared", "-fPIC"], Path(workspace)):
                machine = _run([*command, "-dumpmachine"], Path(workspace)).partition("-")[0]
                return Compiler(command=tuple(command), machine=_unify_name(machine))
    return None


def _read_compiler_command() -> list[str]:
    return shlex.split(os.environ.get("CC", ""))


def find_compiler() -> Compiler:
    """Find a compiler of the system, or else the package ziglang, which contains one. Raises BuildError."""
    system = find_system_compiler()
    if system:
        return system
    if _read_compiler_command():
        raise BuildError(f"CC is {os.environ['CC']!r}, which does not work")
    if not importlib.util.find_spec("ziglang"):
        raise BuildError("no C compiler was found")
    machine = _unify_name(platform.machine())
    if sys.platform == "darwin":
        target = f"{machine}-macos"
    elif platform.libc_ver()[0] == "glibc":
        target = f"{machine}-linux-gnu.2.17"  # the library then runs with this and every newer version of glibc
    else:
        target = f"{machine}-linux-musl"
    command = (sys.executable, "-m", "ziglang", "cc", "-target", target, "-fno-sanitize=all")
    return Compiler(command=command, machine=machine)


def list_build_requirements() -> list[str]:
    """List the packages that compiling needs: a compiler, if the system has none."""
    needs_zig = is_wanted() and _unify_name(platform.machine()) in ZIG_MACHINES and not _read_compiler_command()
    return ["ziglang>=0.13"] if needs_zig and find_system_compiler() is None else []


def compile_library(
    compiler: Compiler, output: Path = LIBRARY, sources: Path = FOLDER, flags: Sequence[str] = ()
) -> list[str]:
    """Compile the C files in the folder `sources`, and return the names of the variants.

    `flags` are added to the usual ones. A variant that the compiler does not know is left out. `output` is replaced at
    once or stays as it is, so that processes may use it meanwhile. Raises BuildError.
    """
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        variants = {"plain": [], **_find_variants(compiler, workspace)}
        common = [*compiler.command, *FLAGS, *flags, *(f"-DNMT_HAVE_{name.upper()}" for name in variants)]
        extra = shlex.split(os.environ.get("CFLAGS", ""))
        commands = []
        for source in sorted(sources.glob("*.c")):
            builds = variants if source.name in VARIANT_SOURCES else {"plain": []}
            for name, own in builds.items():
                target = workspace / f"{source.stem}-{name}.o"
                special = [*own, f"-DNMT_VARIANT={name}"]
                commands.append([*common, *special, *extra, "-c", str(source), "-o", str(target)])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(partial(_run, workspace=workspace), commands))
        linked = workspace / "linked"
        objects = [command[-1] for command in commands]
        # Without -O3, zig compiles its parts of the C library for debugging, which takes five times as long.
        link = [*compiler.command, *FLAGS, "-shared", *objects, "-o", str(linked), "-lm"]
        _run([*link, *shlex.split(os.environ.get("LDFLAGS", ""))], workspace)
        _replace(output, linked)
    return list(variants)


def build(output: Path = LIBRARY) -> str:
    """Compile the library. Return one line that says how, or raise BuildError with one line that says what to do."""
    start = time.perf_counter()
    try:
        compiler = find_compiler()
        variants = compile_library(compiler, output)
    except BuildError as error:
        raise BuildError(f"The native library was not compiled: {error}. {ADVICE}.") from error
    seconds, size = time.perf_counter() - start, output.stat().st_size / 1000
    name = "zig cc" if "ziglang" in compiler.command else shlex.join(compiler.command)
    kinds = ", ".join(variants)
    return f"{name} compiled {output} ({size:.0f} kB) for {compiler.machine} ({kinds}) in {seconds:.1f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile the library as the command line says. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m nmt.native.build", description="Compile the native library.")
    parser.add_argument("--output", type=Path, default=LIBRARY, metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--if-needed", action="store_true", help="do nothing if FILE is newer than its sources, or NMT_NO_NATIVE is set"
    )
    options = parser.parse_args(arguments)
    if options.if_needed and (not is_wanted() or is_current(options.output)):
        return 0
    try:
        print(build(options.output))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _find_variants(compiler: Compiler, workspace: Path) -> dict[str, list[str]]:
    """Return the flags of the variants that the compiler knows, beside `plain`."""
    variants = {}
    for name, forms in VARIANTS.get(compiler.machine, {}).items():
        known = next(
            (form.split() for form in forms if _accepts(compiler.command, ["-c", *form.split()], workspace)), None
        )
        if known is not None:
            variants[name] = known
    return variants


def _accepts(command: Sequence[str], flags: Sequence[str], workspace: Path) -> bool:
    """Return whether a compiler works with these flags."""
    source = workspace / "probe.c"
    source.write_text(PROBE, encoding="utf-8")
    try:
        _run([*command, *flags, str(source), "-o", str(workspace / "probe"), "-lm"], workspace)
    except BuildError:
        return False
    return True


def _run(command: Sequence[str], workspace: Path) -> str:
    """Run a compiler and return what it prints. zig writes its cache into the workspace."""
    cache = {"ZIG_GLOBAL_CACHE_DIR": str(workspace / "zig"), "ZIG_LOCAL_CACHE_DIR": str(workspace / "zig")}
    environment = {**os.environ, **cache}
    try:
        result = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise BuildError(f"{command[0]} does not run ({error.strerror})") from error
    if result.returncode:
        lines = result.stderr.splitlines() or ["it printed no message"]
        errors = [line for line in lines if "error:" in line and not line.startswith(("collect2", "clang"))]
        reason = [*errors, *lines][0]  # the linker's own message comes first and has no "error:"
        raise BuildError(f"{command[0]} failed ({reason.strip()})")
    return result.stdout


def _unify_name(machine: str) -> str:
    """Return one name for a kind of processor that has several."""
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(machine.lower(), machine.lower())


def _replace(output: Path, linked: Path) -> None:
    """Move a linked library to its place, which may be on another disk."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            shutil.copy(linked, folder)
            Path(folder, linked.name).replace(output)
    except OSError as error:
        raise BuildError(f"{output} cannot be written ({error.strerror})") from error


if __name__ == "__main__":
    sys.exit(main())
