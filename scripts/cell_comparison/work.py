"""Run jobs and keep their results in a folder, so that a comparison continues where it was stopped."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from nmt.system.files import saving, write_whole


@dataclass(frozen=True, kw_only=True)
class Job:
    """A call of a function with `settings`. The result can be written as JSON."""

    name: str
    function: Callable[..., Any]
    settings: Mapping[str, Any]
    depends: Mapping[str, Any] = field(default_factory=dict)
    """Other values that the result depends on."""


def results(jobs: Sequence[Job], folder: Path, processes: int, commit: str = "") -> dict[str, Any]:
    """Return the result of each job by name. Kept results with the same settings are reused. New results are kept."""
    with saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = {job.name: kept for job in jobs if (kept := _load_kept(job, folder)) is not None}
    missing = [job for job in jobs if job.name not in found]
    for job, result, seconds in _run(missing, processes):
        write_whole(
            _path(job, folder), json.dumps({"settings": _describe_input(job), "result": result, "commit": commit})
        )
        found[job.name] = result
        print(f"{job.name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return found


def list_commits(jobs: Sequence[Job], folder: Path) -> list[str]:
    """List the commits that produced the kept results."""
    kept = (json.loads(_path(job, folder).read_text(encoding="utf-8")) for job in jobs)
    return sorted({content["commit"] for content in kept})


def _run(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Any, float]]:
    """Run the jobs, and yield each with its result and its seconds when it is done."""
    if processes == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, *_work(job)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_work, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], *future.result()


def _work(job: Job) -> tuple[Any, float]:
    torch.set_num_threads(1)
    begin = time.perf_counter()
    result = job.function(**job.settings)
    return result, time.perf_counter() - begin


def _path(job: Job, folder: Path) -> Path:
    return folder / f"{job.name}.json"


def _load_kept(job: Job, folder: Path) -> Any:
    """Load the result of an earlier run with the same settings, or return None."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        content = json.loads(_path(job, folder).read_text(encoding="utf-8"))
        if content["settings"] == _describe_input(job) and "commit" in content:
            return content["result"]
    return None


def _describe_input(job: Job) -> Any:
    """Return the settings and dependencies of a job as they are after a round trip through JSON."""
    return json.loads(json.dumps({**job.settings, **job.depends}, default=vars))
