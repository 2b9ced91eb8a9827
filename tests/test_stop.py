import os
import signal

import pytest

from nmt.training.stop import stop_signals


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
