"""A reader of metrics.jsonl, which contains the measurements of a training run as one JSON object per line."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from nmt.errors import ModelError
from nmt.system.files import reason
from nmt.system.opening import read_file

_MAX_METRICS_BYTES = 256 << 20
_MAX_JSON_INTEGER = 2**53  # JSON represents smaller whole numbers exactly


class Record(NamedTuple):
    """A line of metrics.jsonl. Its content has the keys `kind` and `update`, and keys with measurements."""

    line: str
    content: dict[str, Any]


def read_records(path: Path) -> list[Record]:
    """Read the records of a training run. Incomplete lines are left out, because a killed process can leave them.

    Raises:
        ModelError: the file cannot be read, or a complete line is not a record.
    """
    records = []
    try:
        lines = read_file(path, _MAX_METRICS_BYTES).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: cannot be read ({reason(error)}); restore the file, or move it away") from error
    for number, line in enumerate(lines, start=1):
        if not (line.startswith("{") and line.endswith("}")):
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            fault = f"not JSON ({reason(error)})"
        else:
            fault = _find_fault(content)
        if fault:
            raise ModelError(f"{path}:{number}: cannot be read ({fault}); restore the file, or move it away")
        records.append(Record(line, content))
    return records


def _find_fault(record: dict[str, Any]) -> str:
    """Return a few words about what is wrong with a record, or an empty text."""
    for name, value in {"update": record.get("update"), "epoch": record.get("epoch", 0)}.items():
        if type(value) is not int or not 0 <= value < _MAX_JSON_INTEGER:
            return f"{name} is not a whole number"
    seconds = record.get("seconds", 0)
    if type(seconds) not in (int, float) or not 0 <= seconds < _MAX_JSON_INTEGER:
        return "seconds is not a number"
    for name, value in record.items():
        if name != "kind" and value is not None and not (type(value) in (int, float) and abs(value) < math.inf):
            return f"{name:.100} is not a number"
    return "" if isinstance(record.get("kind"), str) else "kind is not a text"
