"""Two processes train as one that sees the batches of both; alone, nothing changes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.saes.training.toys import make_store, make_trainer
from tests.saes.training.worker import SETTINGS, make_relu
from torch import nn

from arena_lib.core.seeds import make_generator
from arena_lib.saes.training import distributed
from arena_lib.saes.training.store import Activations
from arena_lib.saes.training.trainer import SEED_STEP

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "tests.saes.training.worker"]
    runs = [
        subprocess.Popen([*command, str(rank), str(folder)], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert all((folder / f"{rank}.pt").exists() for rank in range(2)), errors
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)], folder


class Both:
    """The batches of both processes as one."""

    def __init__(self):
        self.stores = [make_store(), make_store()]
        self.generators = [make_generator(3 + SEED_STEP * rank) for rank in range(2)]
        self.hook_name, self.hook_name_out = self.stores[0].hook_name, ""
        self.d_in, self.d_out, self.scale, self.scale_out = self.stores[0].d_in, None, torch.ones(()), torch.ones(())

    def __call__(self, generator):
        parts = [store(own).acts for store, own in zip(self.stores, self.generators, strict=True)]
        return Activations(torch.cat(parts))

    def check_finite(self):
        pass


@pytest.mark.usefixtures("without_types")
def test_two_processes_train_as_one_on_both_batches(results):
    (first, second), _ = results
    alone = make_trainer(sae=make_relu(seed=0), store=Both(), **SETTINGS)
    alone.train()
    for name, tensor in alone.model.state_dict().items():
        torch.testing.assert_close(first["weights"][name], tensor, rtol=1e-3, atol=1e-5)
        assert torch.equal(first["weights"][name], second["weights"][name]), name
    assert torch.equal(first["n_idle"], alone._n_idle)
    assert first["is_distributed"]


def test_they_stop_together_and_go_on_exactly(results):
    (first, second), folder = results
    assert first["stopped_at"] == second["stopped_at"] == 5
    for name in first["weights"]:
        assert torch.equal(first["again"][name], second["again"][name])
    assert (folder / "run" / "metrics.csv").exists()


def test_checkpoints_of_different_moments_are_refused_by_both(results):
    for result in results[0]:
        assert (
            "all processes must go on from the same update: got checkpoints of the updates [10, 0]" in result["refused"]
        )


def test_they_share_one_scale_and_average(results):
    (first, second), _ = results
    assert torch.equal(first["scale"], second["scale"])
    assert first["gradients"].tolist() == second["gradients"].tolist() == [1.5, 5.0]


def test_alone_nothing_changes():
    layer = nn.Linear(2, 3)
    layer(torch.ones(1, 2)).sum().backward()
    before = layer.weight.grad.clone()
    distributed.average_gradients(layer.parameters())
    distributed.share(layer)
    assert torch.equal(layer.weight.grad, before)
    assert torch.equal(distributed.add_up(torch.ones(2)), torch.ones(2))
    assert not distributed.is_distributed()
    assert distributed.get_rank() == 0
    assert distributed.any_asks(True, torch.device("cpu"))
    with distributed.torchrun_group(torch.device("cpu")):
        assert not distributed.is_distributed()


def test_under_torchrun_each_process_has_a_gpu_of_its_own(monkeypatch):
    assert distributed.find_own_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert distributed.find_own_device("cuda") == "cuda:3"
    assert distributed.find_own_device("cuda:1") == "cuda:1"
    assert distributed.find_own_device("cpu") == "cpu"
