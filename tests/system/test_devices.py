import pytest
import torch

from nmt.errors import MachineError
from nmt.system import devices
from nmt.system.devices import autocast_dtype, choose_device, default_threads


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_an_error() -> None:
    with pytest.raises(MachineError, match="has no GPU"):
        choose_device("cuda")


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert autocast_dtype("fp32", cpu) is None
    assert autocast_dtype("auto", cpu) in (None, torch.bfloat16)


def test_bf16_without_recurrent_layers_in_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(devices, "runs_bf16", lambda _: False)
    with pytest.raises(MachineError, match="precision bf16: this processor"):
        autocast_dtype("bf16", cpu)
    monkeypatch.setattr(devices, "runs_bf16", lambda _: True)
    assert autocast_dtype("bf16", cpu) is torch.bfloat16


def test_threads_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun sets one thread unless the user has set a number; then the processes share the cores."""
    monkeypatch.setattr(devices, "cores", lambda: 9)
    assert default_threads(1) == 1
    assert default_threads(2) == 4
    assert default_threads(10) == 1
    torch.set_num_threads(3)
    assert default_threads(1) == default_threads(2) == 3


def test_a_single_process_uses_at_most_all_cores_unless_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    monkeypatch.setattr(devices, "cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert default_threads(1) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads(1) == 3
