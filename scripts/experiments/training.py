"""Training runs as processes, whose validation figures are read while they run."""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.errors import MachineError

PAUSE = 0.5  # the number of seconds after which the figures are read again


class Training:
    """A process of nmt-train with a configuration and overrides. The process ends with its context.

    Its output is appended to the file `log` in the output folder.
    """

    def __init__(self, config: str, overrides: Sequence[str], output: Path) -> None:
        self.output = output
        output.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "nmt.commands.train", config, *overrides, "--output", str(output), "--resume"]
        with (output / "log").open("a", encoding="utf-8") as log:
            # In a separate session, Ctrl-C does not reach the process, and it receives a single signal from `stop`. A
            # second signal would prevent it from saving.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *fault: object) -> None:
        self.stop()
        self.process.wait()

    def stop(self) -> None:
        """Tell the process to save a checkpoint and to stop."""
        self.process.terminate()

    def figures(self, metric: str) -> Iterator[float]:
        """Yield each validation figure until the process ends. Raises MachineError: the training run failed."""
        seen, running = 0, True
        while running:
            running = self.process.poll() is None
            found = [entry[metric] for entry in validations(self.output)]
            yield from found[seen:]
            seen = len(found)
            if running:
                time.sleep(PAUSE)
        if self.process.returncode:
            raise MachineError(f"a training run failed; see {self.output / 'log'}")


def make_parser(description: str | None, second: str, meaning: str) -> argparse.ArgumentParser:
    """Make the parser of a script that trains a configuration many times.

    Args:
        description: the docstring of the script.
        second: the name of a second file, which describes the training runs.
        meaning: the help of the second file.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", metavar="CONFIG", help="the configuration to train")
    parser.add_argument(second, metavar=second.upper(), type=Path, help=meaning)
    parser.add_argument("overrides", metavar="section.key=value", nargs="*", help="overrides of all training runs")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="the folder of all training runs")
    return parser


def exit_on_signals() -> None:
    """Raise SystemExit at a signal, so that the training runs that this program waits for are stopped too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def validations(output: Path) -> list[dict[str, float]]:
    """Read the figures of all validations of a training run so far."""
    path = output / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith("\n")]  # the last line may be incomplete
    return [entry for entry in entries if entry["kind"] == "valid"]
