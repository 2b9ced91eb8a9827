"""A command as a process: its exit status, its messages, and the signals that end it."""

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


def test_bugs_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run("nmt-x", fail(ZeroDivisionError()))


def test_an_error_without_stderr_is_not_printed_to_stdout(
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


def test_a_reader_that_left_ends_the_command_silently() -> None:
    code = (
        "import sys, time; from nmt.commands.process import run; time.sleep(0.5); sys.exit(run('x', lambda: print(1)))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
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


def test_ctrl_c_ends_the_start_at_once_and_is_an_exception_afterwards() -> None:
    code = """
import os, signal, sys
signal.signal(signal.SIGINT, {before})
from nmt.commands.process import startup
with startup():
    {inside}
assert signal.getsignal(signal.SIGINT) is {before}
sys.exit(7)
"""

    def status(before: str, inside: str) -> int:
        command = [sys.executable, "-c", code.format(before=before, inside=inside)]
        return subprocess.run(command, check=False, timeout=60).returncode

    kill = "os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(5)"
    assert status("signal.default_int_handler", kill) == 130
    assert status("signal.default_int_handler", "pass") == 7
    assert status("signal.SIG_IGN", "os.kill(os.getpid(), signal.SIGINT)") == 7


def test_what_cannot_be_flushed_is_discarded() -> None:
    code = "import sys; from nmt.commands.process import run; print('x'); sys.exit(run('x', lambda: None))"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False)
    assert b"OSError" in done.stderr  # a bug of the command, once, with its traceback
    assert b"Exception ignored" not in done.stderr
