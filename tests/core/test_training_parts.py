"""What a trainer of another kind of model adds: batches of its own, several numbers from a loss, tensors, late decay."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from arena_lib.core.checkpoints import load_checkpoint
from arena_lib.core.metrics import read_metrics
from arena_lib.core.optimization import TrainingConfig, compute_lr
from arena_lib.core.training import Trainer
from arena_lib.errors import CheckpointError

toys = runpy.run_path(str(Path(__file__).with_name("training_toys.py")))
StopAt, Killed, kill, assert_same_weights = (toys[n] for n in ("StopAt", "Killed", "kill", "assert_same_weights"))


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([0.5, -2.0, 1.0]))


@dataclass
class Points:
    x: torch.Tensor
    y: torch.Tensor

    def to(self, device):
        return Points(self.x.to(device), self.y.to(device))


class Drifting:
    """Points that drift: a source whose memory is a tensor and a number."""

    def __init__(self):
        self.place, self.n = torch.zeros(2), 0

    def __call__(self, generator):
        self.place = self.place + torch.rand(2, generator=generator)
        self.n += 1
        x = torch.randn(4, 3, generator=generator) * self.place[0]
        return Points(x, x.sum(dim=1) + self.n)

    def state_dict(self):
        return {"place": self.place, "n": self.n}

    def load_state_dict(self, state):
        self.place, self.n = state["place"], state["n"]


def compute_parts(model, batch):
    error = (batch.x @ model.slope - batch.y).square().mean()
    size = model.slope.square().sum()
    return {"loss": error + 0.1 * size, "error": error, "size": size}


class Counting(Trainer):
    """Notes what is called, halves the gradient, rounds the weights, and keeps a count in its checkpoints."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.calls, self.total = [], torch.zeros(3)

    def before_update(self):
        self.calls.append(("before", self.step))
        self.model.slope.grad.mul_(0.5)

    def after_update(self):
        self.calls.append(("after", self.step))
        self.total = self.total + self.model.slope.detach()
        with torch.no_grad():
            self.model.slope.clamp_(max=1.0)

    def measure(self):
        return {"largest": float(self.model.slope.detach().max())}

    def extra_state(self):
        return {"total": self.total}

    def load_extra_state(self, tensors):
        self.total = tensors["total"]


def make_counting(folder=None, batches=None, **changes):
    fields = {"n_steps": 20, "lr": 0.1, "log_every": 3, "checkpoint_every": 5, "weight_decay": 0.0, **changes}
    config = TrainingConfig(**fields)
    return Counting(Line(), config, batches or Drifting(), folder=folder, compute_loss=compute_parts)


def test_every_number_that_a_loss_gives_is_logged_as_a_mean(tmp_path):
    seen = []

    def watch(model, batch):
        seen.append({name: float(value.detach()) for name, value in compute_parts(model, batch).items()})
        return compute_parts(model, batch)

    trainer = make_counting(tmp_path)
    trainer.compute_loss = watch
    trainer.train()
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row["step"] for row in rows] == [3, 6, 9, 12, 15, 18, 20]
    for row, start in zip(rows, range(0, 20, 3), strict=True):
        part = seen[start : row["step"]]
        for name in ("loss", "error", "size"):
            assert row[name] == pytest.approx(sum(numbers[name] for numbers in part) / len(part), rel=1e-5)
        assert row["largest"] <= 1.0


def test_a_subclass_acts_around_each_update():
    trainer = make_counting(n_steps=2)
    trainer.train()
    assert trainer.calls == [("before", 0), ("after", 1), ("before", 1), ("after", 2)]
    assert trainer.model.slope.max() <= 1.0


def test_the_gradient_is_changed_before_it_is_used():
    trainer = make_counting(grad_clip=None)
    batch = Drifting()(torch.Generator().manual_seed(0))
    compute_parts(trainer.model, batch)["loss"].backward()
    whole = trainer.model.slope.grad.clone()
    trainer.training_step(batch)
    assert torch.equal(trainer.model.slope.grad, whole / 2)


def test_floating_point_tensors_are_batches_too():
    config = TrainingConfig(n_steps=1, grad_clip=None)
    trainer = Trainer(Line(), config, lambda generator: None, compute_loss=lambda model, x: (x @ model.slope).mean())
    trainer.training_step(torch.tensor([[1.0, 2.0, 3.0]]))
    assert torch.equal(trainer.model.slope.grad, torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("stop", [7, 10, 12])
def test_a_resumed_run_has_the_tensors_of_its_batches_and_its_own(tmp_path, stop):
    whole = make_counting()
    whole.train()
    with pytest.raises(Killed):
        make_counting(tmp_path, StopAt(Drifting(), stop, kill)).train()
    again = make_counting(tmp_path)
    again.train()
    assert_same_weights(whole.model.state_dict(), again.model.state_dict())
    assert torch.equal(whole.total, again.total)
    tensors, state = load_checkpoint(tmp_path)
    assert torch.equal(tensors["batches.place"], whole.batches.place)
    assert state["batches"] == {"n": 20}


def test_sums_of_a_row_survive_a_stop(tmp_path):
    expected = make_counting(tmp_path / "whole").train().metrics
    with pytest.raises(Killed):
        make_counting(
            tmp_path / "cut", StopAt(Drifting(), 12, kill)
        ).train()  # after the checkpoint of step 10, mid-row
    assert make_counting(tmp_path / "cut").train().metrics == expected
    rows = [read_metrics(tmp_path / name / "metrics.csv") for name in ("whole", "cut")]
    assert rows[0] == rows[1]


def test_a_run_ends_when_a_subclass_says_so(tmp_path):
    class Stubborn(Counting):
        def should_stop(self, is_asked_to):
            return is_asked_to and self.step >= 4

    config = TrainingConfig(n_steps=20)
    trainer = Stubborn(Line(), config, Drifting(), folder=tmp_path, compute_loss=compute_parts)
    assert trainer.train(max_seconds=0).step == 4


def test_late_decay_is_steady_and_then_a_straight_line():
    config = TrainingConfig(
        n_steps=20, lr=1.0, warmup=2, schedule="late_decay", decay_share=0.25, final_lr_fraction=0.0
    )
    rates = [compute_lr(step, config) for step in range(20)]
    assert rates == pytest.approx([0.5, 1.0] + [1.0] * 13 + [1.0, 0.8, 0.6, 0.4, 0.2])
    config = TrainingConfig(n_steps=10, lr=2.0, schedule="late_decay", decay_share=0.5, final_lr_fraction=0.5)
    assert compute_lr(9, config) == pytest.approx(2.0 * (0.5 + 0.5 * 0.2))


def test_a_run_with_a_late_decay_cannot_be_made_longer(tmp_path):
    make_counting(tmp_path, schedule="late_decay").train()
    with pytest.raises(CheckpointError, match="n_steps is 20 there and 30 here"):
        make_counting(tmp_path, schedule="late_decay", n_steps=30).train()
