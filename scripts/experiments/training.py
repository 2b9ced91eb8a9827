"""Run a training as a process, and read its validation figures while it runs."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.errors import MachineError

PAUSE = 0.5  # seconds between two looks at a training's figures


class Training:
    """nmt-train with a configuration and overrides, writing to a folder. Leaving its context ends it.

    What it says goes to OUTPUT/log.
    """

    def __init__(self, config: str, overrides: Sequence[str], output: Path) -> None:
        self.output = output
        output.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "nmt.commands.train", config, *overrides, "--output", str(output), "--resume"]
        with (output / "log").open("a", encoding="utf-8") as log:
            # In a separate session Ctrl-C does not reach it: it gets one signal from here. A second would keep it from
            # saving.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *fault: object) -> None:
        self.stop()
        self.process.wait()

    def stop(self) -> None:
        """Let it save and stop."""
        self.process.terminate()

    def figures(self, metric: str) -> Iterator[float]:
        """Its validation figures, as they come, until it ends. Raises MachineError: it failed."""
        seen, running = 0, True
        while running:
            running = self.process.poll() is None
            found = [entry[metric] for entry in validations(self.output)]
            yield from found[seen:]
            seen = len(found)
            if running:
                time.sleep(PAUSE)
        if self.process.returncode:
            raise MachineError(f"a training failed, see {self.output / 'log'}")


def exit_on_signals() -> None:
    """Let signals end this program by SystemExit, and so the trainings that it waits for."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def validations(output: Path) -> list[dict[str, float]]:
    """The figures of all validations of a training so far."""
    path = output / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith("\n")]  # the last one may still be under way
    return [entry for entry in entries if entry["kind"] == "valid"]
