"""A command as a process: its exit status, its messages, and the signals that end it."""

import errno
import gc
import io
import logging
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from nmt.commands.process import print_result, run, standard_output, startup
from nmt.errors import ConfigError, Interrupted, MachineError


def fail(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (fail(ConfigError("one\ntwo")), 2, "nmt-x: error: one\nnmt-x: error: two\n"),
        (fail(Interrupted("saved", signal.SIGTERM)), 143, "nmt-x: saved\n"),
        (fail(KeyboardInterrupt()), 130, ""),
        (fail(BrokenPipeError()), 141, ""),
    ],
)
def test_the_exit_status_and_what_is_printed(
    body: Callable[[], None], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("nmt-x", body) == status
    assert capsys.readouterr() == ("", message)


def test_an_error_that_another_process_reports_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    error = MachineError("gone")
    error.reported = True
    assert run("nmt-x", fail(error)) == 2
    assert capsys.readouterr().err == ""


TOO_LITTLE = "nmt-x: error: there is too little memory; lower the beam, or use a machine with more memory\n"
WHERE = "; NMT_TRACEBACK=1 shows where this happened\n"
BUG = "; this is a bug of nmt: run the command with NMT_TRACEBACK=1 and report the traceback\n"


def recurse() -> None:
    recurse()


def allocate() -> None:
    import torch

    torch.empty(2**60)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (fail(MemoryError()), 2, TOO_LITTLE),
        (lambda: bytes(2**60) and None, 2, TOO_LITTLE),
        (allocate, 2, TOO_LITTLE),
        (fail(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), 2, TOO_LITTLE),
        (lambda: open("/no\x1b[31m").close(), 2, "nmt-x: error: /no\\x1b[31m: No such file or directory" + WHERE),
        (fail(OSError(errno.ENOSPC, "disk full")), 2, "nmt-x: error: disk full" + WHERE),
        (recurse, 1, "nmt-x: error: RecursionError (maximum recursion depth exceeded)" + BUG),
        (fail(ZeroDivisionError("one\ntwo")), 1, "nmt-x: error: ZeroDivisionError (one)" + BUG),
        (fail(KeyError()), 1, "nmt-x: error: KeyError" + BUG),
    ],
)
def test_every_other_error_is_one_line(
    body: Callable[[], None],
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run("nmt-x", body, lower="the beam") == status
    assert capsys.readouterr() == ("", message)
    monkeypatch.setenv("NMT_TRACEBACK", "1")
    assert run("nmt-x", body, lower="the beam") == status
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith(message)


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        logging.getLogger("nmt").warning("%s: empty", "a\x1b[2J\x9b\r\u202eb.txt")
        raise ConfigError("\x07é\tß: \ud800")

    assert run("nmt-x", body) == 2
    assert capsys.readouterr().err == (
        "nmt-x: warning: a\\x1b[2J\\x9b\\r\\u202eb.txt: empty\nnmt-x: error: \\x07é\tß: \\ud800\n"
    )


def test_error_without_stderr_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert run("nmt-x", fail(ConfigError("one"))) == 2
    assert capsys.readouterr().out == ""


def test_progress_is_printed_as_it_is_and_warnings_with_the_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("nmt.something")

    def body() -> None:
        logger.debug("detail")
        logger.info("update 1")
        logger.warning("careful")

    package = logging.getLogger("nmt")
    monkeypatch.setattr(package, "level", logging.ERROR)
    handlers = list(package.handlers)
    assert run("nmt-x", body) == 0
    assert capsys.readouterr().err == "update 1\nnmt-x: warning: careful\n"
    assert (package.level, package.handlers) == (logging.ERROR, handlers)


def test_closed_pipe_ends_the_command_silently() -> None:
    code = "import sys; from nmt.commands.process import run; input(); sys.exit(run('x', lambda: print(1)))"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_results_are_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    print_result("±")
    assert buffer.getvalue() == "±\n".encode()


def test_a_closed_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(MachineError, match="standard output is closed"):
        standard_output()
    assert run("nmt-x", lambda: None) == 0


def test_garbage_is_collected_again_after_the_start() -> None:
    with startup():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    with pytest.raises(ZeroDivisionError), startup():
        raise ZeroDivisionError
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_signals_end_the_start_at_once_and_are_exceptions_afterwards() -> None:
    code = """
import os, signal, sys
from nmt.commands.process import run, startup
signal.signal(signal.SIGINT, {before})

def body():
    try:
        with startup():
            {inside}
        {after}
    except KeyboardInterrupt:
        os.write(1, b"cleaned up")
        raise

status = run("x", body)
assert signal.getsignal(signal.SIGINT) is {before}
sys.exit(status)
"""

    def outcome(before: str, inside: str = "pass", after: str = "return 7") -> tuple[int, bytes]:
        command = [sys.executable, "-c", code.format(before=before, inside=inside, after=after)]
        done = subprocess.run(command, check=False, timeout=60, capture_output=True)
        assert done.stderr == b""
        return done.returncode, done.stdout

    for name, status in (("SIGINT", 130), ("SIGTERM", 143)):
        kill = f"os.kill(os.getpid(), signal.{name})"
        for before in ("signal.default_int_handler", "signal.SIG_DFL"):
            assert outcome(before, inside=f"{kill}; import time; time.sleep(5)") == (status, b"")
            assert outcome(before, after=kill) == (status, b"cleaned up")
            assert outcome(before) == (7, b"")
    assert outcome("signal.SIG_IGN", "os.kill(os.getpid(), signal.SIGINT)") == (7, b"")


def test_output_that_cannot_be_flushed_is_discarded() -> None:
    code = "import sys; from nmt.commands.process import run; sys.exit(run('x', lambda: print('x')))"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert done.stderr.startswith(b"x: error: No space left on device; ")
