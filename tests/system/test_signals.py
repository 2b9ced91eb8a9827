import os
import signal
import sys
import threading
import time

import pytest

from nmt.system.signals import Terminated, call_interruptibly, end_at_once, handle_signals, interrupt, stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_caught_and_the_second_is_not(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stop:
        assert stop.number is None
        os.kill(os.getpid(), number)
        assert stop.number == number
        assert signal.getsignal(number) == signal.SIG_DFL
    assert signal.getsignal(number) == before
    assert "stopping after this update" in capfd.readouterr().err


def test_a_second_signal_does_not_end_one_of_several_processes(capfd: pytest.CaptureFixture[str]) -> None:
    """Both torchrun and a batch system may send the signal."""
    with stop_signals(alone=False) as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.number == signal.SIGTERM
    assert capfd.readouterr().err.split("\n") == ["", "stopping after this update", ""]
    with stop_signals(alone=False, say=False):
        os.kill(os.getpid(), signal.SIGTERM)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_is_an_exception_once(number: signal.Signals, kind: type[BaseException]) -> None:
    before = signal.getsignal(number)
    caught: list[BaseException] = []
    with handle_signals(interrupt):
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt as error:
            caught.append(error)
        assert signal.getsignal(number) is end_at_once  # so that the next one cuts the cleaning short
    assert [type(error) for error in caught] == [kind]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_within_a_destructor_is_not_lost(
    number: signal.Signals, kind: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    class Sends:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    def destroy_and_wait() -> None:
        Sends()
        threading.Event().wait(30)

    before = sys.unraisablehook
    with handle_signals(interrupt), pytest.raises(kind):
        destroy_and_wait()
    assert sys.unraisablehook == before
    assert capfd.readouterr().err == ""


def test_other_errors_of_destructors_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails:
        def __del__(self) -> None:
            raise ZeroDivisionError

    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(type(unraisable.exc_value)))
    with handle_signals(interrupt):
        Fails()
    assert reported == [ZeroDivisionError]


def test_handlers_of_others_are_kept() -> None:
    arrived: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: arrived.append(number))
    try:
        with handle_signals(interrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert arrived == [signal.SIGTERM]


def test_other_threads_handle_no_signals() -> None:
    seen: list[int | None] = []

    def use() -> None:
        with handle_signals(interrupt), stop_signals() as stop:
            seen.append(stop.number)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_call_of_native_code_can_be_interrupted() -> None:
    began, release = time.monotonic(), threading.Event()
    alarm = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            call_interruptibly(lambda: release.wait(60))
    finally:
        signal.signal(signal.SIGALRM, alarm)
        release.set()
    assert time.monotonic() - began < 30


def test_a_call_returns_results_and_raises_errors() -> None:
    assert call_interruptibly(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        call_interruptibly(lambda: 1 // 0)
