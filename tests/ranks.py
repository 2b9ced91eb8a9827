"""Start processes that train together as torchrun would, but without its start-up time."""

import multiprocessing
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch._dynamo", "nmt.training.run"])  # imported once for all ranks: it takes seconds
_PATIENCE = 180  # seconds until a process that hangs is killed


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended."""

    status: int | None  # minus the signal's number if one killed it
    result: Any  # None unless the status is 0
    stderr: str


def run(folder: Path, function: Callable[..., Any], *arguments: Any, size: int = 2) -> list[Ended]:
    """Call a function of a test module in `size` processes and wait for their end."""
    folder.mkdir(parents=True, exist_ok=True)
    # torchrun's part. The class is documented, but torch.distributed does not list it in __all__.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    processes = []
    for rank in range(size):
        places: dict[str, object] = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port, "TORCHELASTIC_USE_AGENT_STORE": True}
        target = (folder / f"rank-{rank}", {key: str(value) for key, value in places.items()}, function, arguments)
        processes.append(_CONTEXT.Process(target=_rank, args=target))
        processes[-1].start()
    return [_ended(process, folder / f"rank-{rank}") for rank, process in enumerate(processes)]


def results(folder: Path, function: Callable[..., Any], *arguments: Any, size: int = 2) -> list[Any]:
    """As `run`, but returns what the function returned in each process. All must have succeeded."""
    ended = run(folder, function, *arguments, size=size)
    assert [one.status for one in ended] == [0] * size, "\n".join(one.stderr for one in ended)
    return [one.result for one in ended]


def _rank(path: Path, places: dict[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.update(places)
    os.dup2(os.open(f"{path}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    try:
        result = function(*arguments)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    Path(f"{path}.result").write_bytes(pickle.dumps(result))


def _ended(process: Any, path: Path) -> Ended:
    process.join(_PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
    status = process.exitcode
    process.close()
    stored = Path(f"{path}.result")
    result = pickle.loads(stored.read_bytes()) if status == 0 and stored.exists() else None
    return Ended(status=status, result=result, stderr=Path(f"{path}.stderr").read_text(encoding="utf-8"))
