"""What was measured: speeds, memory and BLEU by contender and setting, kept for making tables and plots again."""

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
    """How sentences are translated."""

    beam: int
    """1 is greedy."""
    alone: bool
    """One sentence at a time, so that the speed tells the latency; else in batches, as fast as it goes."""

    @staticmethod
    def parse(text: str) -> "Setting":
        """BEAM:full or BEAM:1. Raises DataError."""
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
    """One contender at one setting in one round. What another toolkit does not say is None."""

    contender: str
    setting: Setting
    ours: bool
    sentences_per_second: float
    """Without start and loading."""
    tokens_per_second: float | None = None
    """Target pieces and one end of sentence each."""
    whole_sentences_per_second: float | None = None
    """Of the whole process."""
    peak_mib: float | None = None
    """VmHWM of the whole process."""
    bleu: float | None = None


@dataclass(frozen=True, kw_only=True)
class Start:
    """Seconds from the start of a process to its first translated line, or to its end where it only imports torch."""

    contender: str
    seconds: float


@dataclass(kw_only=True)
class Figures:
    """All that one run of the benchmark found, in the order in which it was found."""

    machine: str = ""
    test_set: str = ""
    signature: str = ""
    """sacrebleu's."""
    speeds: list[Speed] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Replace what was saved before. Raises MachineError: the file cannot be written."""
        write_whole(path, json.dumps(asdict(self), indent=1))

    @staticmethod
    def load(paths: Iterable[str]) -> "Figures":
        """Read the figures of one or more files. Ratios between files come from different runs. Raises DataError."""
        result = Figures()
        for path in paths:
            try:
                content = json.loads(Path(path).read_text(encoding="utf-8"))
                result.speeds += map(_speed, content.pop("speeds"))
                result.starts += [Start(**each) for each in content.pop("starts")]
                vars(result).update(content)
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise DataError(f"{path}: not figures that bench-translate --json wrote ({error})") from error
        return result

    def settings(self) -> list[Setting]:
        return list(dict.fromkeys(speed.setting for speed in self.speeds))

    def of(self, setting: Setting) -> dict[str, "Rounds"]:
        """The contenders at one setting."""
        rounds: dict[str, list[Speed]] = {}
        for speed in self.speeds:
            if speed.setting == setting:
                rounds.setdefault(speed.contender, []).append(speed)
        return {name: Rounds(speeds) for name, speeds in rounds.items()}


def _speed(content: dict[str, Any]) -> Speed:
    return Speed(**{**content, "setting": Setting(**content["setting"])})


class Rounds:
    """One contender at one setting, round by round."""

    def __init__(self, speeds: Sequence[Speed]) -> None:
        self.speeds = speeds
        self.ours = speeds[0].ours

    def values(self, name: str) -> list[float]:
        """A field of all rounds; empty where it was not measured."""
        return [getattr(speed, name) for speed in self.speeds if getattr(speed, name) is not None]

    def median(self, name: str) -> float | None:
        values = self.values(name)
        return median(values) if values else None

    def times(self, other: "Rounds") -> float:
        """How many times as fast as another: the median of the ratios, each from one round."""
        field_name = "sentences_per_second"
        return median(a / b for a, b in zip(self.values(field_name), other.values(field_name), strict=False))


def parse_speeds(name: str, output: str, sentences: int) -> list[Speed]:
    """What another toolkit's command printed.

    Args:
        name: of the contender.
        output: of the command; of interest are lines such as
            `SPEED beam=5 batch=64 sentences_per_second=59.9 bleu=34.1 peak_MiB=500 whole_seconds=20.2`. The last three
            are optional, as are `tokens_per_second=` and, if the command translated fewer than all, `sentences=`.
        sentences: of the test set.

    Raises:
        DataError: no such line, or one that says too little.
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
