import os
import signal

import pytest

from nmt.system.signals import stop_signals


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
