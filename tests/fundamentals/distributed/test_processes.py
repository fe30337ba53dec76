"""Real processes with gloo: the same functions give the same as in a simulated world, and a deadlock ends in time."""

import atexit
import os

import pytest
import torch
import torch.distributed as dist

from arena_lib.errors import ConfigError, DeadlockError, ProcessError
from arena_lib.fundamentals.distributed import (
    DistTrainer,
    DistTrainingConfig,
    all_reduce,
    broadcast,
    reduce,
    ring_all_reduce,
    run_processes,
    run_simulated,
    send_right,
)
from arena_lib.fundamentals.optimizers.experiments import make_mlp, make_moons

WORLD_SIZE = 3


def everything(rank):
    """Each collective on tensors of its own, and a short training."""
    generator = torch.Generator().manual_seed(rank)
    tensors = [torch.randn(shape, generator=generator) for shape in ((2, 3), (4,), (5,), (7,), (2,), (3,))]
    broadcast(tensors[0], rank, WORLD_SIZE, 1)
    reduce(tensors[1], rank, WORLD_SIZE, 2, "mean")
    all_reduce(tensors[2], rank, WORLD_SIZE)
    ring_all_reduce(tensors[3], rank, WORLD_SIZE, "mean")
    ring_all_reduce(tensors[4], rank, WORLD_SIZE)  # fewer entries than ranks: one chunk is empty
    incoming = torch.zeros(3)
    send_right(tensors[5], incoming, rank, WORLD_SIZE)
    data = make_moons(60)
    trainer = DistTrainer(DistTrainingConfig(batch_size=12), rank, WORLD_SIZE, make_mlp(2, 5, 2, seed=rank), data, data)
    return tensors, incoming, trainer.train(), trainer.evaluate()


def test_real_processes_give_what_the_simulated_world_gives():
    arguments = [(rank,) for rank in range(WORLD_SIZE)]
    real = run_processes(everything, arguments, time_limit=240)
    simulated = run_simulated(everything, arguments).results
    for (tensors, incoming, losses, accuracy), (their_tensors, their_incoming, their_losses, their_accuracy) in zip(
        real, simulated, strict=True
    ):
        for a, b in zip((*tensors, incoming), (*their_tensors, their_incoming), strict=True):
            torch.testing.assert_close(a, b)
        assert losses == pytest.approx(their_losses, rel=1e-5)
        assert accuracy == their_accuracy


def test_a_deadlock_ends_in_time_and_says_who_waits():
    def send_first(rank):
        tensor = torch.zeros(4)
        dist.send(tensor, 1 - rank)
        dist.recv(tensor, 1 - rank)

    with pytest.raises(DeadlockError, match="ranks 0, 1 still at work"):
        run_processes(send_first, [(0,), (1,)], time_limit=25)


def test_an_error_is_shown_with_its_rank():
    def fail(rank):
        return {}["nothing"] if rank == 1 else rank

    with pytest.raises(ProcessError, match=r"(?s)on rank 1\..*KeyError: 'nothing'"):
        run_processes(fail, [(0,), (1,)], time_limit=120)


def test_no_ranks_and_no_time_are_refused():
    with pytest.raises(ConfigError, match="for none"):
        run_processes(everything, [])
    with pytest.raises(ConfigError, match="got 0"):
        run_processes(everything, [(0,)], time_limit=0)


def test_a_process_that_ends_badly_after_its_result_has_worked():
    """As gloo's threads do now and then, when Python takes them down."""

    def work_and_end_badly(number):
        atexit.register(os.abort)
        return 2 * number

    assert run_processes(work_and_end_badly, [(1,), (2,)]) == [2, 4]
