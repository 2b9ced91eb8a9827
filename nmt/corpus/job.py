"""The description of a job: the input, its shards, the models and the options."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from nmt.checkpoint.run_folder import find_model_folder
from nmt.corpus.storage import Storage
from nmt.data.text_files import explain_errors, file_version, find_files, is_url
from nmt.errors import ConfigError, DataError
from nmt.system.files import CHECKSUMS

FORMAT = 1
JOB = "job.json"
MAX_JOB_BYTES = 1 << 26

Task = Literal["translate", "score", "check"]
Kind = Literal["lines", "jsonl", "parquet"]

_KINDS: Mapping[str, Kind] = {".jsonl": "jsonl", ".parquet": "parquet"}
_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "modified")  # what file systems tell about a file
_COMPRESSIONS = (".gz", ".zst", ".xz", ".bz2")


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of the corpus, as it was when the job began."""

    name: str
    size: int
    """Bytes."""
    version: str
    """A text that changes when the file changes."""

    @property
    def compression(self) -> str:
        """The ending of the compression, or an empty string."""
        return next((ending for ending in _COMPRESSIONS if self.name.lower().endswith(ending)), "")

    @property
    def kind(self) -> Kind:
        """The format of the file. A file of lines may have any name."""
        name = self.name.lower().removesuffix(self.compression)
        return next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), "lines")

    @property
    def is_divisible(self) -> bool:
        """Whether a part of the file can be read without what is before it."""
        return self.kind != "parquet" and not self.compression


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A part of the corpus that is processed at once: the lines of a file that begin at bytes `start` to `end` - 1."""

    number: int
    """The place of the shard in the corpus, from 0."""
    file: InputFile
    start: int
    end: int

    @property
    def is_whole(self) -> bool:
        """Whether the shard is a whole file."""
        return self.start == 0 and self.end >= self.file.size

    @property
    def name(self) -> str:
        """The name of the shard's files."""
        return f"{self.number:06}"

    @property
    def output(self) -> str:
        """The name of the output file."""
        ending = {"lines": ".txt", "jsonl": ".jsonl", "parquet": ".parquet"}[self.file.kind]
        return f"{self.name}{ending}{self.file.compression}"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job. Two jobs with the same fields have the same output, byte for byte, on the same kind of processor."""

    task: Task
    inputs: tuple[InputFile, ...]
    output: str
    """The folder of the output."""
    models: tuple[str, ...] = ()
    """Model folders. Several are an ensemble."""
    checksums: tuple[str, ...] = ()
    """The checksum of each model."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options of the task, as the command line names them."""
    columns: tuple[str, ...] = ()
    """In .jsonl and .parquet, the columns that are read."""
    result: str = ""
    """In .jsonl and .parquet, the column that is written."""
    shard_bytes: int
    """The size of the parts into which files are divided."""

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, in the order of the corpus."""
        parts = [
            (file, start, min(start + self.shard_bytes, file.size) if file.is_divisible else file.size)
            for file in self.inputs
            for start in (range(0, file.size, self.shard_bytes) if file.is_divisible else [0])
        ]
        return tuple(
            Shard(number=number, file=file, start=start, end=end) for number, (file, start, end) in enumerate(parts)
        )

    def to_json(self) -> bytes:
        """Return the content of job.json."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n").encode()


def find_inputs(patterns: Sequence[str]) -> tuple[InputFile, ...]:
    """Find the files of a corpus, in the order of the patterns, and of the names that match a pattern with `*`.

    Raises:
        DataError: a file is missing, or a pattern matches no file.
    """
    names: dict[str, None] = {}
    for pattern in patterns:
        names.update(dict.fromkeys(_match(pattern)))
    return tuple(map(describe_file, names))


def _match(pattern: str) -> Iterator[str]:
    if "*" not in pattern:
        yield pattern
        return
    found = find_files(pattern, compressed=False)
    if not found:
        raise DataError(f"{pattern}: matches no file; check the path")
    yield from found


def describe_file(name: str) -> InputFile:
    """Describe an input file as it is now. Raises DataError: the file is missing."""
    if is_url(name):
        with explain_errors(name):
            import fsspec

            file_system, path = fsspec.url_to_fs(name)
            known = file_system.info(path)
            version = next((known[key] for key in _VERSIONS if known.get(key)), None) or file_system.ukey(path)
            return InputFile(name=name, size=int(known.get("size") or 0), version=str(version))
    try:
        path_name, size, time = file_version(Path(name))
    except OSError:
        raise DataError(f"{name}: no such file; check the path") from None
    return InputFile(name=str(path_name), size=int(size), version=str(time))


def checksum_model(folder: str) -> str:
    """Return the checksum of a model: of the file with the checksums of its files."""
    return hashlib.sha256((find_model_folder(folder) / CHECKSUMS).read_bytes()).hexdigest()


def open_job(storage: Storage, job: Job) -> Job:
    """Begin a job in a folder, or continue it if the folder has the same job already.

    Returns:
        The job, with the models where they are now.

    Raises:
        ConfigError: the folder has another job.
        DataError: the input has changed.
    """
    if (before := read_job(storage)) is None:
        storage.write(JOB, job.to_json())
        return job
    if before.inputs != job.inputs:
        raise DataError(
            f"{storage.url}: {_describe_change(before.inputs, job.inputs)}; restore it, or begin another job"
        )
    faults = {
        "the task": before.task != job.task,
        "--model": before.checksums != job.checksums,
        "--output": before.output != job.output,
        "--shard-mib": before.shard_bytes != job.shard_bytes,
        "--column": before.columns != job.columns,
        "--result": before.result != job.result,
        "an option": dict(before.options) != dict(job.options),
    }
    if other := next((name for name, differs in faults.items() if differs), None):
        raise ConfigError(
            f"{storage.url}: has a job that differs in {other}; give the same arguments to continue it, or choose "
            "another folder"
        )
    return replace(before, models=job.models)


def _describe_change(before: Sequence[InputFile], now: Sequence[InputFile]) -> str:
    old, new = ({file.name: file for file in files} for files in (before, now))
    for name, file in old.items():
        if name not in new:
            return f"{name} was part of the input when the job began"
        if new[name] != file:
            return f"{name} has changed since the job began ({file.size:,} bytes, now {new[name].size:,})"
    if added := next((name for name in new if name not in old), None):
        return f"{added} was not part of the input when the job began"
    return "the order of the input has changed since the job began"


def read_job(storage: Storage) -> Job | None:
    """Read the job of a folder. Return None if the folder has none. Raises DataError: job.json is damaged."""
    content = storage.read(JOB)
    if content is None:
        return None
    try:
        fields = json.loads(content[:MAX_JOB_BYTES])
        if fields.pop("format") != FORMAT:
            raise DataError(
                f"{storage.path(JOB)}: was written by another version of nmt; finish the job with that version"
            )
        files = tuple(InputFile(**file) for file in fields.pop("inputs"))
        lists: dict[str, Any] = {name: tuple(fields.pop(name)) for name in ("models", "checksums", "columns")}
        return Job(inputs=files, **lists, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{storage.path(JOB)}: is damaged ({error}); begin another job") from error
