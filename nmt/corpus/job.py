"""A job: what is done to which input, and how the input is split into shards.

The job is written to `job.json` when it starts, and never changes. A command that continues it, on any machine,
describes the job again, and the two must be equal.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

from nmt import __version__
from nmt.checkpoint.manifest import MANIFEST, PACKED
from nmt.checkpoint.run_folder import find_model_folder
from nmt.corpus.folders import Folder
from nmt.corpus.inputs import InputFile
from nmt.data.text_files import inner_name
from nmt.errors import DataError
from nmt.system.files import read_checksums

JOB = "job.json"
MEBIBYTE = 1 << 20

TaskName = Literal["translate", "score", "check"]
FormatName = Literal["text", "jsonl", "parquet"]

FORMATS: Mapping[str, FormatName] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""The formats by the ending of a file. All other files are text."""
COMPRESSIONS = (".gz", ".zst", ".xz", ".bz2")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The unit of work: a file, or the lines of a file that begin in a range of bytes."""

    number: int
    """The number of the shard, from 0, in the order of the output."""
    file: InputFile
    start: int = 0
    """The first byte of the range."""
    stop: int | None = None
    """The byte after the range, or None for the whole file."""

    @property
    def size(self) -> int:
        """The size of the shard, by which progress is measured."""
        return (self.file.size if self.stop is None else self.stop) - self.start


@dataclass(frozen=True, kw_only=True)
class Job:
    """The description of a job. Two jobs that are equal have the same output, byte for byte."""

    task: TaskName
    models: tuple[str, ...]
    """For each model, a checksum of the files that translation depends on. The folders can be elsewhere."""
    settings: Mapping[str, Any]
    """The options of the task that differ from their defaults, as they are written to JSON."""
    format: FormatName
    compression: str
    """The ending of the compression of the input, and also of the output, or an empty text."""
    output: str
    """The folder of the output, a path or a URL."""
    shard_bytes: int
    """The maximum size of a shard of a text that is not compressed, in bytes."""
    files: tuple[InputFile, ...]
    """The input, in the order of the output."""
    version: str = field(default=__version__)
    """The version of nmt."""

    @cached_property
    def shards(self) -> list[Shard]:
        """The shards in the order of the output. Compressed files and Parquet files are not split."""
        found: list[Shard] = []
        whole = self.format == "parquet" or bool(self.compression)
        for file in self.files:
            if whole or file.size <= self.shard_bytes:
                found.append(Shard(number=len(found), file=file))
                continue
            for start in range(0, file.size, self.shard_bytes):
                stop = min(start + self.shard_bytes, file.size)
                found.append(Shard(number=len(found), file=file, start=start, stop=stop))
        return found

    def output_name(self, shard: Shard) -> str:
        """Return the name of the file with the output of a shard."""
        ending = {"text": ".txt", "jsonl": ".jsonl", "parquet": ".parquet"}[self.format]
        return f"{shard.number:06d}{ending}{self.compression}"


def recognize_format(files: Sequence[InputFile]) -> tuple[FormatName, str]:
    """Return the format and the compression of input files, by the endings of their names.

    Raises:
        DataError: the files have different formats or compressions.
    """
    kinds: dict[tuple[FormatName, str], str] = {}
    for file in files:
        name = inner_name(file.path).lower()
        compression = next((ending for ending in COMPRESSIONS if name.endswith(ending)), "")
        if name.endswith((".zip", ".tar")):
            raise DataError(f"{file.path}: is an archive; unpack it")
        form = FORMATS.get(os.path.splitext(name.removesuffix(compression))[1], "text")
        if form == "parquet" and compression:
            raise DataError(f"{file.path}: decompress it; Parquet files are compressed inside")
        kinds.setdefault((form, compression), file.path)
    if len(kinds) > 1:
        first, second = list(kinds.values())[:2]
        raise DataError(f"{first} and {second}: have different formats; start a job for the files of each format")
    return next(iter(kinds))


def identify_model(folder: str) -> str:
    """Return a checksum of the files of a model that its translations depend on.

    Raises:
        ModelError: the folder is missing, or has no list of checksums.
    """
    sums = read_checksums(find_model_folder(folder))
    names = [name for name, file in MANIFEST.items() if file.reader != "training" and name != PACKED and name in sums]
    return sha256("".join(f"{sums[name]}  {name}\n" for name in sorted(names)).encode()).hexdigest()


def format_job(job: Job) -> str:
    """Format a job as JSON. Equal jobs have equal texts."""
    return json.dumps(asdict(job), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def read_job(folder: Folder) -> Job | None:
    """Read the job of a folder. Return None if the folder has no job. Raises DataError: its file is damaged."""
    content = folder.read(JOB)
    if content is None:
        return None
    try:
        values = json.loads(content)
        values["files"] = tuple(InputFile(**file) for file in values["files"])
        values["models"] = tuple(values["models"])
        return Job(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{folder.url}/{JOB}: is not a job of this version of nmt ({error}); name another folder"
        ) from error


def start_or_continue(folder: Folder, output: Folder, job: Job) -> None:
    """Write a job to its folder, or check that the folder has this very job.

    Raises:
        DataError: the folder has another job, or the output of a new job has files already.
        MachineError: the folder cannot be written.
    """
    found = read_job(folder)
    # If the output is not empty, another process may have started the same job in this moment.
    if found is None and output.sizes("") and (found := read_job(folder)) is None:
        raise DataError(f"{output.url}: contains files that are not of this job; name an empty folder for the output")
    if found is None:
        folder.write(JOB, format_job(job).encode())  # several processes can do this at once: they write the same bytes
        return
    if difference := _find_difference(found, job):
        raise DataError(f"{folder.url}: {difference}; repeat the command of this job, or name another folder")


def _find_difference(old: Job, new: Job) -> str | None:
    """Describe the first difference between the job of a folder and the job of the command line, or return None."""
    for name in ("task", "version", "output", "format", "compression", "shard_bytes"):
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            return f"the {name.replace('_', ' ')} of its job is {before!r}, not {now!r}"
    if old.models != new.models:
        return "its job has another model (the checksums differ)"
    for key in sorted(old.settings.keys() | new.settings.keys()):
        before, now = old.settings.get(key), new.settings.get(key)
        if before != now:
            return f"its job has {key} = {_show(before)}, not {_show(now)}"
    paths, others = ({file.path: file for file in job.files} for job in (old, new))
    for path in paths:
        if path not in others:
            return f"its job reads {path}, which the command does not name, or which is missing"
        if paths[path] != others[path]:
            return f"{path} has changed since the job was planned"
    if surplus := next((path for path in others if path not in paths), None):
        return f"its job does not read {surplus}"
    return "its job reads the files in another order" if old.files != new.files else None


def _show(value: object) -> str:
    return "its default" if value is None else repr(value)
