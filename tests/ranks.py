"""Start processes that train together as torchrun would, but without its start-up time."""

from collections.abc import Callable
from typing import Any

import torch.distributed as dist
import warm


def run(function: Callable[..., Any], *arguments: Any, size: int = 2) -> list[warm.Ended]:
    """Call a function of a test module in `size` processes and wait for their end."""
    # torchrun's part. The class is documented, but torch.distributed does not list it in __all__.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    shared: dict[str, object] = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "TORCHELASTIC_USE_AGENT_STORE": True}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port}
    processes = []
    for rank in range(size):
        places = {key: str(value) for key, value in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items()}
        processes.append(warm.Started(function, *arguments, environment=places))
    return [process.wait() for process in processes]


def results(function: Callable[..., Any], *arguments: Any, size: int = 2) -> list[Any]:
    """As `run`, but returns what the function returned in each process. All must have succeeded."""
    ended = run(function, *arguments, size=size)
    assert [one.status for one in ended] == [0] * size, "\n".join(one.stderr.decode() for one in ended)
    return [one.result for one in ended]
