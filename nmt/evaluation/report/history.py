"""The history of a training, from the metrics.jsonl of its output folder."""

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.checkpoint.run_folder import METRICS
from nmt.errors import ModelError
from nmt.system.files import reason


@dataclass(frozen=True, kw_only=True)
class History:
    """The records of one training."""

    name: str
    """The folder."""
    records: Sequence[dict[str, Any]]

    def series(self, kind: str, key: str) -> tuple[list[int], list[float]]:
        """Updates and values of the records of a kind (`train` or `valid`) in which a figure is a finite number."""
        found = [
            (record["update"], record[key])
            for record in self.records
            if record.get("kind") == kind and isinstance(record.get(key), int | float) and math.isfinite(record[key])
        ]
        return [update for update, _ in found], [value for _, value in found]

    @property
    def seconds(self) -> float:
        """The duration of the training, validations included."""
        # Older versions reset the timer at every --resume, so that a record shows less time than the one before it.
        marks = [float(record["seconds"]) for record in self.records]
        return sum(mark for mark, following in itertools.pairwise([*marks, -1.0]) if following < mark)


def read_history(folder: Path) -> History | None:
    """The history in the output folder of a training, or None where there is none, as in a model folder.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder / METRICS
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        # If the training was killed, the last line may be incomplete.
        records = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: cannot be read ({reason(error)}); restore the file of the training, or move it away"
        ) from error
    return History(name=str(folder), records=records)
