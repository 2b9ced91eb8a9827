"""The course of a training as its folder keeps it."""

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
    """What metrics.jsonl of one training holds."""

    name: str
    """Of the folder."""
    records: Sequence[dict[str, Any]]

    def series(self, kind: str, key: str) -> tuple[list[int], list[float]]:
        """Updates and values of the records of a kind (`train` or `valid`) that have this figure."""
        found = [
            (record["update"], record[key])
            for record in self.records
            if record.get("kind") == kind and isinstance(record.get(key), int | float) and math.isfinite(record[key])
        ]
        return [update for update, _ in found], [value for _, value in found]

    @property
    def seconds(self) -> float:
        """Of training, validation included. In older files every process that went on with the training began to count anew."""
        marks = [float(record["seconds"]) for record in self.records]
        return sum(mark for mark, after in itertools.pairwise([*marks, -1.0]) if after < mark)


def read_history(folder: Path) -> History | None:
    """The history of a training's output folder; None where it has none, as a model folder alone.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder / METRICS
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        # A kill may have cut the last line short.
        records = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: cannot be read ({reason(error)}); give the training's own file, or move it away"
        ) from error
    return History(name=str(folder), records=records)
