from pathlib import Path

import pytest
import torch

from nmt.errors import MachineError
from nmt.machine import autocast_dtype, choose_device, keep_memory, return_memory


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(MachineError, match="has no GPU"):
        choose_device("cuda")


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert autocast_dtype("fp32", cpu) is None
    assert autocast_dtype("bf16", cpu) is torch.bfloat16
    assert autocast_dtype("auto", cpu) in (None, torch.bfloat16)


def test_memory_can_be_kept_and_returned() -> None:
    keep_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20
    kept = _resident()
    return_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20
    assert _resident() <= kept


def _resident() -> int:
    """Pages of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1])
