import threading
import time

import pytest
import torch
import torch.distributed as dist

from arena_lib.errors import ConfigError, DeadlockError, ShapeError
from arena_lib.fundamentals.distributed import run_simulated, simulated

BEFORE = {name: getattr(dist, name) for name in ("send", "recv", "isend", "irecv", "all_reduce")}


def test_messages_pass_and_are_counted():
    def pass_on(rank):
        message = torch.full((3,), float(rank), dtype=torch.float64)
        if rank > 0:
            dist.recv(message, src=rank - 1)
        if rank < 2:
            dist.send(message + 1, dst=rank + 1)
        return message[0].item(), dist.get_rank(), dist.get_world_size()

    run = run_simulated(pass_on, [(rank,) for rank in range(3)])
    assert run.results == [(0.0, 0, 3), (1.0, 1, 3), (2.0, 2, 3)]
    assert (run.bytes_sent(), run.bytes_received(), run.n_lost) == ([24, 24, 0], [0, 24, 24], 0)


def test_messages_between_two_ranks_keep_their_order_and_may_come_from_anyone():
    def talk(rank):
        if rank == 2:
            seen = []
            for _ in range(4):
                message = torch.empty(1)
                seen.append((dist.recv(message), message.item()))
            return seen
        for i in range(2):
            dist.send(torch.tensor([10.0 * rank + i]), 2)
        return None

    seen = run_simulated(talk, [(rank,) for rank in range(3)]).results[2]
    for rank in (0, 1):
        assert [value for src, value in seen if src == rank] == [10.0 * rank, 10.0 * rank + 1]


def test_a_receive_that_was_posted_early_takes_what_comes_later():
    def exchange(rank):
        incoming = torch.zeros(2)
        works = [dist.irecv(incoming, 1 - rank), dist.isend(torch.full((2,), float(rank)), 1 - rank)]
        for work in works:
            work.wait()
        assert all(work.is_completed() for work in works)
        return incoming[0].item()

    assert run_simulated(exchange, [(0,), (1,)]).results == [1.0, 0.0]


def test_all_that_send_first_wait_for_ever_and_are_told_so():
    def send_first(rank, world_size):
        tensor = torch.zeros(1)
        dist.send(tensor, (rank + 1) % world_size)
        dist.recv(tensor, (rank - 1) % world_size)

    with pytest.raises(DeadlockError, match="rank 0 waits until rank 1 receives; rank 1 waits until rank 2 receives"):
        run_simulated(send_first, [(rank, 3) for rank in range(3)])


def test_who_waits_for_one_that_has_ended_is_told_so():
    def forget(rank):
        if rank == 1:
            dist.recv(torch.zeros(1), 0)

    with pytest.raises(DeadlockError, match="rank 1 waits for a message from rank 0; ended: rank 0"):
        run_simulated(forget, [(0,), (1,)])


def test_an_error_on_one_rank_comes_before_the_deadlock_that_follows():
    def fail(rank):
        if rank == 0:
            raise KeyError("mine")
        dist.recv(torch.zeros(1), 0)

    with pytest.raises(KeyError, match="mine"):
        run_simulated(fail, [(0,), (1,)])


def test_what_cannot_be_sent_is_refused():
    def to(peer):
        return lambda rank: dist.send(torch.zeros(1), peer)

    with pytest.raises(ConfigError, match="from 0 to 0, or come from one: got 1"):
        run_simulated(to(1), [(0,)])
    with pytest.raises(ConfigError, match="got its own number"):
        run_simulated(to(0), [(0,)])
    with pytest.raises(ConfigError, match=r"got dist\.all_reduce"):
        run_simulated(lambda rank: dist.all_reduce(torch.zeros(1)), [(0,)])
    with pytest.raises(ShapeError, match=r"\(3,\) of torch\.float32 for \(2,\)"):
        run_simulated(lambda rank: dist.recv(torch.zeros(3), 0) if rank else dist.send(torch.zeros(2), 1), [(0,), (1,)])
    with pytest.raises(ConfigError, match="for none"):
        run_simulated(lambda: None, [])


def test_a_tensor_that_changes_before_it_is_sent_is_noticed():
    def hurry(rank):
        tensor = torch.zeros(1)
        if rank == 0:
            work = dist.isend(tensor, 1)
            tensor += 1
            work.wait()
        else:
            dist.recv(tensor, 0)

    with pytest.raises(ConfigError, match="rank 0 changed it between isend and wait"):
        run_simulated(hurry, [(0,), (1,)])


def test_messages_that_nobody_receives_are_counted_and_torchs_functions_come_back():
    def shout(rank):
        if rank == 0:
            dist.isend(torch.zeros(1), 1)

    assert run_simulated(shout, [(0,), (1,)]).n_lost == 1
    assert {name: getattr(dist, name) for name in BEFORE} == BEFORE


@pytest.mark.parametrize("n_late", [0, 1])
def test_a_message_that_does_not_fit_is_an_error_on_both_sides_whichever_comes_last(n_late):
    """Both ranks raise the same, so that what a run says doesn't depend on which rank came first."""
    raised = {}

    def exchange(rank):
        if rank == n_late:
            dist.irecv(torch.zeros(1), 2).is_completed()
        if rank == 2:
            return
        try:
            dist.send(torch.zeros(3), 1) if rank == 0 else dist.recv(torch.zeros(2), 0)
        except ShapeError as error:
            raised[rank] = str(error)
            raise

    with pytest.raises(
        ShapeError, match=r"rank 1 must receive into a tensor like the one that rank 0 sends: got \(2,\)"
    ):
        run_simulated(exchange, [(0,), (1,), (2,)])
    assert raised.keys() == {0, 1}
    assert raised[0] == raised[1]


def test_a_message_that_does_not_fit_is_an_error_though_nobody_waits_for_it():
    def exchange(rank):
        dist.isend(torch.zeros(3), 1) if rank == 0 else dist.irecv(torch.zeros(2), 0)

    with pytest.raises(ShapeError, match="must receive into a tensor like"):
        run_simulated(exchange, [(0,), (1,)])


def test_ranks_take_turns_so_that_global_random_numbers_are_the_same_each_time():
    def draw(rank):
        torch.manual_seed(rank)
        time.sleep(0.02)
        first = torch.rand(1).item()
        message = torch.zeros(1)
        dist.send(message, 1) if rank == 0 else dist.recv(message, 0)
        torch.manual_seed(10 + rank)
        time.sleep(0.02)
        return first, torch.rand(1).item()

    def alone(seed):
        return torch.rand(1, generator=torch.Generator().manual_seed(seed)).item()

    assert run_simulated(draw, [(0,), (1,)]).results == [(alone(0), alone(10)), (alone(1), alone(11))]


def test_one_that_asks_again_and_again_lets_the_others_run():
    def ask(rank):
        message = torch.zeros(1)
        if rank == 0:
            work = dist.irecv(message, 1)
            while not work.is_completed():
                pass
        else:
            dist.send(message + 1, 0)
        return message.item()

    assert run_simulated(ask, [(0,), (1,)]).results == [1.0, 0.0]


def test_a_rank_that_never_ends_is_told_so_after_one_time_limit(monkeypatch):
    monkeypatch.setattr(simulated, "TIME_LIMIT", 0.2)
    stop = threading.Event()
    start = time.monotonic()
    with pytest.raises(DeadlockError, match=r"still at work after 0\.2 seconds"):
        run_simulated(lambda rank: stop.wait(20), [(rank,) for rank in range(4)])
    stop.set()
    assert time.monotonic() - start < 10
