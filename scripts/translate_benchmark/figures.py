"""The measured speeds, memory and BLEU of each contender and setting. They are saved for later tables and plots."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from nmt.errors import DataError
from nmt.system.files import write_whole


@dataclass(frozen=True, kw_only=True, order=True)
class Setting:
    """The options with which the test set is translated."""

    beam: int
    """1 is greedy search."""
    alone: bool
    """Whether sentences are translated one at a time, to measure the latency, or in batches at full speed."""

    @staticmethod
    def parse(text: str) -> "Setting":
        """Parse BEAM:full or BEAM:1. Raises DataError: the text has neither form."""
        beam, _, batch = text.partition(":")
        if not beam.isdigit() or int(beam) < 1 or batch not in ("full", "1"):
            raise DataError(f"{text}: a setting is BEAM:full or BEAM:1, 5:full for example")
        return Setting(beam=int(beam), alone=batch == "1")

    @property
    def title(self) -> str:
        search = "Greedy" if self.beam == 1 else f"Beam {self.beam}"
        return f"{search}, {'one sentence at a time' if self.alone else 'full speed'}"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The speed of one contender at one setting in one round. Values that another toolkit does not report are None."""

    contender: str
    setting: Setting
    ours: bool
    sentences_per_second: float
    """The speed without start and loading."""
    tokens_per_second: float | None = None
    """The tokens are the target tokens and one end of sentence for each sentence."""
    whole_sentences_per_second: float | None = None
    """The speed of the whole process."""
    peak_mib: float | None = None
    """The VmHWM of the whole process."""
    bleu: float | None = None


@dataclass(frozen=True, kw_only=True)
class Start:
    """Seconds from the start of a process to its first line, or to its end if it only imports torch."""

    contender: str
    seconds: float


@dataclass(kw_only=True)
class Figures:
    """The results of one run of the benchmark, in the order of the measurements."""

    machine: str = ""
    test_set: str = ""
    signature: str = ""
    """The signature of sacreBLEU."""
    speeds: list[Speed] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Save the figures, and replace an existing file. Raises MachineError: the file cannot be written."""
        write_whole(path, json.dumps(asdict(self), indent=1))

    @staticmethod
    def load(paths: Iterable[str]) -> "Figures":
        """Read the figures of one or more files. Raises DataError: a file is damaged."""
        result = Figures()
        for path in paths:
            try:
                content = json.loads(Path(path).read_text(encoding="utf-8"))
                result.speeds += map(_speed, content.pop("speeds"))
                result.starts += [Start(**each) for each in content.pop("starts")]
                vars(result).update(content)
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise DataError(f"{path}: not a file that bench-translate --json wrote ({error})") from error
        return result

    def settings(self) -> list[Setting]:
        return list(dict.fromkeys(speed.setting for speed in self.speeds))

    def of(self, setting: Setting) -> dict[str, "Rounds"]:
        """Return the rounds of each contender at one setting."""
        rounds: dict[str, list[Speed]] = {}
        for speed in self.speeds:
            if speed.setting == setting:
                rounds.setdefault(speed.contender, []).append(speed)
        return {name: Rounds(speeds) for name, speeds in rounds.items()}


def _speed(content: dict[str, Any]) -> Speed:
    return Speed(**{**content, "setting": Setting(**content["setting"])})


class Rounds:
    """All rounds of one contender at one setting."""

    def __init__(self, speeds: Sequence[Speed]) -> None:
        self.speeds = speeds
        self.ours = speeds[0].ours

    def values(self, name: str) -> list[float]:
        """Return the values of a field in all rounds in which it was measured."""
        return [getattr(speed, name) for speed in self.speeds if getattr(speed, name) is not None]

    def median(self, name: str) -> float | None:
        values = self.values(name)
        return median(values) if values else None

    def times(self, other: "Rounds") -> float:
        """Return how many times as fast this contender is as another: the median of the ratios of all rounds."""
        field_name = "sentences_per_second"
        return median(a / b for a, b in zip(self.values(field_name), other.values(field_name), strict=False))


def parse_speeds(name: str, output: str, sentences: int) -> list[Speed]:
    """Parse the output of the command of another toolkit.

    Args:
        name: the name of the contender.
        output: the output of the command. Only such lines are read:
            `SPEED beam=5 batch=64 sentences_per_second=59.9 bleu=34.1 peak_MiB=500 whole_seconds=20.2`. The last three
            are optional, as are `tokens_per_second=` and, if the command translated fewer than all, `sentences=`.
        sentences: the number of sentences in the test set.

    Raises:
        DataError: the output has no line with a speed, or a line lacks a value.
    """
    lines = [line for line in output.splitlines() if line.startswith("SPEED ")]
    if not lines:
        raise DataError(f"{name}: its command printed no line SPEED beam=5 batch=64 sentences_per_second=59.9 ...")
    return [_parse_speed(name, line, sentences) for line in lines]


def _parse_speed(name: str, line: str, sentences: int) -> Speed:
    try:
        values = {key: float(value) for key, value in (word.split("=") for word in line.split()[1:])}
        whole = values.get("whole_seconds")
        return Speed(
            contender=name,
            setting=Setting(beam=int(values["beam"]), alone=values["batch"] == 1),
            ours=False,
            sentences_per_second=values["sentences_per_second"],
            tokens_per_second=values.get("tokens_per_second"),
            whole_sentences_per_second=values.get("sentences", sentences) / whole if whole else None,
            peak_mib=values.get("peak_MiB"),
            bleu=values.get("bleu"),
        )
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{name}: {line!r} cannot be read ({error}); needed are beam=, batch= and sentences_per_second="
        ) from error
