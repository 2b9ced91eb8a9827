"""The history of a training run. It is read from the file metrics.jsonl in the output folder of the run."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.checkpoint.metrics_file import read_records
from nmt.checkpoint.run_folder import METRICS_FILE


@dataclass(frozen=True, kw_only=True)
class History:
    """The records of one training run."""

    name: str
    """The path of the output folder."""
    records: Sequence[dict[str, Any]]

    def series(self, kind: str, key: str) -> tuple[list[int], list[float]]:
        """Return all recorded values of one figure.

        Args:
            kind: the kind of records to read, `train` or `valid`.
            key: the name of the figure in the records. Records without a finite number for this key are ignored.

        Returns:
            The numbers of the updates at which the figure was recorded, and the values of the figure.
        """
        found = [
            (record["update"], record[key])
            for record in self.records
            if record.get("kind") == kind and isinstance(record.get(key), int | float) and math.isfinite(record[key])
        ]
        return [update for update, _ in found], [value for _, value in found]

    @property
    def seconds(self) -> float:
        """The duration of training in seconds, including validations."""
        # Older versions reset the timer at every --resume. If a record shows less time than the previous record, the
        # timer was reset in between. The sum adds the last time before each reset.
        marks = [float(record.get("seconds", 0)) for record in self.records]
        return sum(mark for mark, following in itertools.pairwise([*marks, -1.0]) if following < mark)


def read_history(folder: Path) -> History | None:
    """Read the history of a training run from its output folder. Return None if the folder has no history.

    A model folder that is not an output folder of training has no history.

    Raises:
        ModelError: the history cannot be read.
    """
    path = folder / METRICS_FILE
    if not path.is_file():
        return None
    records = [record.content for record in read_records(path)]
    return History(name=str(folder), records=records)
