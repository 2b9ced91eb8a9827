"""Run functions in processes that have imported torch already, because its import takes two seconds of CPU time."""

import multiprocessing
import os
import pickle
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "torch._dynamo", "nmt.training.run", "nmt.translation.translator"])
_PATIENCE = 180  # seconds until a process that hangs is killed


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended."""

    status: int | None  # minus the signal's number if one killed it
    result: Any  # None unless the status is 0
    stdout: bytes
    stderr: bytes


class Started:
    """A function that runs in another process, with its standard streams in files."""

    def __init__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        content: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process. The function is one of a module. It reads `content` on standard input."""
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        (self._folder / "stdin").write_bytes(content)
        self._process = _CONTEXT.Process(target=_run, args=(self._folder, dict(environment or {}), function, arguments))
        self._process.start()

    def wait(self) -> Ended:
        """Wait for the end of the process."""
        with self._stack:
            self._process.join(_PATIENCE)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join()
            status = self._process.exitcode
            self._process.close()
            stdout, stderr, result = (self._read(name) for name in ("stdout", "stderr", "result"))
        return Ended(status=status, result=pickle.loads(result) if result else None, stdout=stdout, stderr=stderr)

    def _read(self, name: str) -> bytes:
        path = self._folder / name
        return path.read_bytes() if path.exists() else b""


def run(function: Callable[..., Any], *arguments: Any, content: bytes = b"") -> Ended:
    """Call a function of a module in a process, and wait for its end."""
    return Started(function, *arguments, content=content).wait()


def run_command(main: Callable[[], int], *arguments: str, content: bytes = b"") -> Ended:
    """Run the main function of a command or a script with these arguments. Its status is that of the process."""
    return run(_exit, main, arguments, content=content)


def _exit(main: Callable[[], int], arguments: tuple[str, ...]) -> None:
    sys.argv = [main.__module__.rpartition(".")[2], *arguments]
    sys.exit(main())


def _run(
    folder: Path, environment: Mapping[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ |= {**environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    os.dup2(os.open(folder / "stdin", os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        buffering = -1 if name == "stdout" else 1
        setattr(sys, name, os.fdopen(descriptor, "w", buffering, encoding="utf-8", closefd=False))
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    try:
        result = function(*arguments)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    (folder / "result").write_bytes(pickle.dumps(result))
