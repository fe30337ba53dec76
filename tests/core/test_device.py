import pytest
import torch

from arena_lib.core.device import at_least_float32, pick_device
from arena_lib.errors import ConfigError


@pytest.fixture
def machine(monkeypatch):
    def have(n_cuda=0, has_mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)

    return have


def test_auto_takes_the_fastest_that_is_here(machine):
    machine()
    assert pick_device() == torch.device("cpu")
    machine(has_mps=True)
    assert pick_device("auto") == torch.device("mps")
    machine(n_cuda=1, has_mps=True)
    assert pick_device("auto") == torch.device("cuda")


def test_a_device_that_is_not_here_is_named(machine):
    machine(n_cuda=2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    for name in ("mps", "cuda:2"):
        with pytest.raises(ConfigError, match=rf"must be in this machine: got '{name}'.* Use 'auto' or 'cpu'"):
            pick_device(name)
    machine()
    with pytest.raises(ConfigError, match="got 'cuda'"):
        pick_device("cuda")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "auto:0", "CPU"])
def test_an_unknown_device_is_named_with_those_there_are(name):
    with pytest.raises(ConfigError, match=rf"one of auto, cpu, cuda, mps.*: got '{name}'"):
        pick_device(name)


def test_only_half_precision_is_widened() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        assert at_least_float32(torch.ones(2, dtype=dtype)).dtype == torch.float32
    for dtype in (torch.float32, torch.float64):
        tensor = torch.ones(2, dtype=dtype)
        assert at_least_float32(tensor) is tensor
