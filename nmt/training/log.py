"""The log of a training run. It consists of a progress bar or log lines, metrics.jsonl, and TensorBoard events."""

import contextlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from tqdm import tqdm

from nmt.checkpoint.metrics_file import read_records
from nmt.checkpoint.run_folder import LOG_FILE, METRICS_FILE
from nmt.errors import MachineError
from nmt.metrics.standard import MEASURES, Auto
from nmt.system.files import saving, write_whole

logger = logging.getLogger(__name__)


class EventWriter(Protocol):
    """The methods of TensorBoard's SummaryWriter that this module uses."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


class NoLog:
    """The log of all processes except the first process. It discards everything."""

    def __enter__(self) -> "NoLog":
        return self

    def __exit__(self, *error: object) -> None: ...

    def update(self, **figures: object) -> None: ...

    def restart_clock(self) -> None: ...

    def validation(self, **figures: object) -> None: ...


class TrainingLog:
    """A context manager that records and shows the progress of a training run.

    Args:
        output: the output folder. metrics.jsonl and tensorboard/ are written into this folder.
        update: the number of the last update before the run is resumed, or 0. Records of later updates are removed,
            because training repeats these updates.
        every: the number of updates between two records. A record contains the means over these updates.
        bar: whether to draw a progress bar on a terminal instead of writing log lines.
        tensorboard: whether to write TensorBoard events.
    """

    def __init__(self, output: Path, *, update: int, every: int, bar: bool, tensorboard: bool) -> None:
        self.path = output / METRICS_FILE
        self.seconds_before = 0.0  # the seconds that this run took before it was resumed
        if os.path.lexists(self.path):
            kept = [record for record in read_records(self.path) if record.content["update"] <= update]
            write_whole(self.path, "".join(f"{record.line}\n" for record in kept))
            self.seconds_before = float(kept[-1].content.get("seconds", 0)) if kept else 0.0
        self.every = every
        self.bar = tqdm(
            total=1.0, bar_format="{percentage:3.0f}% |{bar}| {postfix}", dynamic_ncols=True, disable=not bar
        )
        self.writer = import_event_writer()(str(output / "tensorboard"), purge_step=update + 1) if tensorboard else None
        self.loss, self.tokens, self.norm, self.updates = 0.0, 0, 0.0, 0
        self.began = self.clock = time.perf_counter()
        self.timed = 0  # the number of target tokens since the clock was restarted
        self.first_progress: float | None = None

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()
        if self.writer:
            self.writer.close()

    def update(
        self, *, update: int, epoch: int, progress: float, loss: float, tokens: int, norm: float, rate: float
    ) -> None:
        """Record one update of the weights.

        Args:
            update: the number of the update, counted from 1.
            epoch: the number of the epoch, counted from 1.
            progress: the fraction of training that is done, from 0 to 1.
            loss: the loss, summed over the target tokens.
            tokens: the number of target tokens.
            norm: the norm of the gradient of the loss per target token.
            rate: the learning rate.
        """
        if self.first_progress is None:
            self.first_progress = progress
        self.loss, self.tokens = self.loss + loss, self.tokens + tokens
        self.norm, self.updates, self.timed = self.norm + norm, self.updates + 1, self.timed + tokens
        if update % self.every:
            return
        speed = self.timed / (time.perf_counter() - self.clock)
        values = {"loss": self.loss / self.tokens, "gradient_norm": self.norm / self.updates, "learning_rate": rate}
        self._record("train", update, epoch, {**values, "tokens_per_second": round(speed)})
        left = self._estimate_time_left(progress)
        text = f"epoch {epoch}  update {update}  loss {values['loss']:.3f}  {speed:,.0f} tokens/s  {left} left"
        if self.bar.disable:
            logger.info("%3.0f%%  %s", 100 * progress, text)
        else:
            self.bar.n = min(progress, 1.0)
            self.bar.set_postfix_str(text)
        self.loss, self.tokens, self.norm, self.updates = 0.0, 0, 0.0, 0
        self.restart_clock()

    def restart_clock(self) -> None:
        """Restart the measurement of the speed. The time for validation and saving is then not counted."""
        self.clock, self.timed = time.perf_counter(), 0

    def validation(self, *, update: int, epoch: int, values: dict[str, float], best: str | None) -> None:
        """Record the results of a validation.

        If they are the best results so far, `best` is the text that shows their score. Otherwise, it is None.
        """
        self._record("valid", update, epoch, values)
        # The figure of `Auto` is one of the other scores in another form.
        figures = "  ".join(_format_figure(name, value) for name, value in values.items() if name != Auto.name)
        verdict = f"  best so far ({best})" if best else ""
        self.say(f"validation after update {update} (epoch {epoch}): {figures}{verdict}")
        self.restart_clock()

    def say(self, line: str) -> None:
        """Log a line. If there is a progress bar, the line appears above the bar."""
        if not self.bar.disable:
            self.bar.clear()
        logger.info(line)

    def _estimate_time_left(self, progress: float) -> str:
        done = progress - (self.first_progress or 0.0)
        if done <= 0:
            return "?"
        minutes, seconds = divmod(int((time.perf_counter() - self.began) / done * max(1 - progress, 0)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

    def _record(self, kind: str, update: int, epoch: int, values: dict[str, Any]) -> None:
        seconds = round(self.seconds_before + time.perf_counter() - self.began, 1)
        record = {"kind": kind, "update": update, "epoch": epoch, "seconds": seconds}
        clean = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with saving(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**record, **clean}) + "\n")
        for name, value in values.items() if self.writer else ():
            assert self.writer
            self.writer.add_scalar(f"{kind}/{name}", value, update)


Log = TrainingLog | NoLog


@contextlib.contextmanager
def log_file(output: Path) -> Iterator[None]:
    """Until the end of the block, also write all log messages of nmt to OUTPUT/train.log, with date and time.

    Messages that do not fit on the disk are dropped, because only checkpoints must not be lost.

    Raises:
        MachineError: the file cannot be opened.
    """
    with saving(output / LOG_FILE):
        handler = _LogFile(output / LOG_FILE, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger("nmt")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()


@contextlib.contextmanager
def mute_progress() -> Iterator[None]:
    """Until the end of the block, log only warnings and errors of nmt."""
    log = logging.getLogger("nmt")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore errors of the disk. Any other error is a fault of nmt, which logging reports with a traceback."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def _format_figure(name: str, value: float) -> str:
    """Format one result of a validation for the log. `name` is `METRIC`, or `METRIC SET` if there are several sets."""
    metric, *rest = name.split(" ", maxsplit=1)
    if metric not in MEASURES:
        return f"{name} {value:.4g}"
    return " ".join([MEASURES[metric].title, *rest, MEASURES[metric].format(value)])


def import_event_writer() -> Callable[..., EventWriter]:
    """Import and return TensorBoard's class SummaryWriter. Raises MachineError: TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MachineError("training.tensorboard: needs the extra: pip install 'nmt[tensorboard]'") from error
    return SummaryWriter
