"""How often runs are repeated, in which order, and what is off meanwhile."""

import gc
import weakref

import pytest
import torch
from benchmarks.harness.measuring.pairing import Pairs, Plan, time_one_thread, time_pairs, warm_up

MINIMUM = Plan(short_run=0.25, pair_seconds=0.0)
"""The budget is spent at once, so that only the least pairs remain."""


PATIENT = Plan(cpu_runs=3, cpu_seconds=1e9)
"""As many runs with one thread as it asks for."""


def nothing():
    """What a workload without anything to put back has."""


def spender(clock, seconds, name="run"):
    """A run that takes these seconds each time, or these in turn, the last for ever."""
    rest = list(seconds) if isinstance(seconds, list) else [seconds]

    def run():
        clock.log.append(name)
        clock.spend(rest.pop(0) if len(rest) > 1 else rest[0])

    return run


def test_the_plan_is_the_protocols():
    plan = Plan()
    assert (plan.short_run, plan.pairs_of_short, plan.pairs_of_slow, plan.agreement) == (0.050, 30, 10, 0.05)
    assert plan.most_pairs >= plan.pairs_of_short


@pytest.mark.parametrize(
    ("ours", "theirs", "n_pairs"),
    [(0.125, 0.125, 30), (0.25, 0.25, 10), (0.125, 0.5, 10), (0.5, 0.125, 10), (0.125, 0.25, 10)],
)
def test_short_runs_get_thirty_pairs_and_where_either_is_slow_ten(clock, ours, theirs, n_pairs):
    pairs = time_pairs(clock, spender(clock, ours), spender(clock, theirs), nothing, MINIMUM)
    assert pairs == Pairs([ours] * n_pairs, [theirs] * n_pairs)


@pytest.mark.parametrize(("pair_seconds", "n_pairs"), [(19.5, 26), (19.6, 27)])  # 26 pairs take 19.5 seconds
def test_pairs_go_on_while_there_is_time(clock, pair_seconds, n_pairs):
    plan = Plan(short_run=0.25, pair_seconds=pair_seconds, most_pairs=200)
    pairs = time_pairs(clock, spender(clock, 0.5), spender(clock, 0.25), nothing, plan)
    assert len(pairs.ours) == len(pairs.theirs) == n_pairs


def test_cheap_pairs_end_at_the_most(clock):
    plan = Plan(short_run=0.25, pair_seconds=1e9, most_pairs=41)
    assert len(time_pairs(clock, spender(clock, 0.125), spender(clock, 0.125), nothing, plan).ours) == 41


def test_runs_are_interleaved_and_prepared_outside_the_clock(clock):
    def prepare():
        clock.log.append("prepare")
        clock.spend(100.0)

    pairs = time_pairs(clock, spender(clock, 0.5, "ours"), spender(clock, 0.75, "theirs"), prepare, MINIMUM)
    one_pair = ["prepare", "|", "ours", "|", "prepare", "|", "theirs", "|"]
    assert clock.log[-len(one_pair) * 10 :] == one_pair * 10
    assert clock.log.count("prepare") == clock.log.count("ours") + clock.log.count("theirs")
    assert pairs == Pairs([0.5] * 10, [0.75] * 10)


def test_times_stay_in_the_order_of_the_pairs(clock):
    warm = [1.0] * 6
    pairs = time_pairs(
        clock,
        spender(clock, [*warm, *map(float, range(1, 11))]),
        spender(clock, [*warm, *map(float, range(11, 21))]),
        nothing,
        MINIMUM,
    )
    assert pairs == Pairs([float(i) for i in range(1, 11)], [float(i) for i in range(11, 21)])


@pytest.mark.parametrize(
    ("seconds", "n_runs", "last"),
    [
        ([1.0], 6, 1.0),
        ([4.0] * 3 + [2.0] * 3 + [1.0] * 6, 12, 1.0),
        ([4.0] * 3 + [5.0] * 3, 6, 5.0),  # a quarter apart, which is just near enough
        ([5.0] * 3 + [4.0] * 3, 6, 4.0),
        ([4.0] * 3 + [5.5] * 6, 9, 5.5),
        ([1.0, 9.0, 1.0, 1.0, 1.0, 9.0], 6, 1.0),  # medians, not means
    ],
)
def test_warming_up_ends_when_two_medians_agree(clock, seconds, n_runs, last):
    plan = Plan(agreement=0.25, block=3)
    assert warm_up(clock, spender(clock, seconds), nothing, plan) == last
    assert clock.log.count("run") == n_runs


def test_what_never_gets_steady_ends_at_the_cap(clock):
    seconds = [2.0**-i for i in range(99)]
    warm_up(clock, spender(clock, seconds), nothing, Plan(block=1, most_blocks=7))
    assert clock.log.count("run") == 7


def test_what_is_slow_and_not_steady_has_two_blocks_whatever_they_take(clock):
    seconds = [100.0, 100.0, 100.0, 200.0, 200.0, 200.0, 100.0]
    assert warm_up(clock, spender(clock, seconds), nothing, Plan(block=3, warm_up_seconds=900.0)) == 200.0
    assert clock.log.count("run") == 6


def test_the_garbage_collector_is_off_and_cycles_are_gone_before_the_next_run(clock):
    class Node:
        pass

    nodes = []

    def run():
        assert not gc.isenabled()
        assert all(node() is None for node in nodes), "the last run's cycle is still there"
        node = Node()
        node.itself = node
        nodes.append(weakref.ref(node))
        clock.spend(1.0)

    time_pairs(clock, run, run, nothing, MINIMUM)
    assert len(nodes) == 2 * (6 + 10)
    assert gc.isenabled()


def test_the_garbage_collector_is_on_again_after_an_error_and_stays_off_where_it_was(clock):
    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        time_pairs(clock, fail, fail, nothing, MINIMUM)
    assert gc.isenabled()
    gc.disable()
    try:
        time_pairs(clock, spender(clock, 1.0), spender(clock, 1.0), nothing, MINIMUM)
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.fixture
def two_threads():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


def test_one_thread_time_is_the_median_after_a_warm_up(clock, two_threads):
    seconds = iter([64.0, 1.0, 8.0, 4.0])
    calls = []

    def run():
        assert torch.get_num_threads() == 1
        assert not gc.isenabled()
        clock.spend(512.0, cpu_seconds=next(seconds))

    assert time_one_thread(clock, run, lambda: calls.append(clock.spend(0.0, 1000.0)), PATIENT) == 4.0
    assert len(calls) == 4
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("cpu_seconds", "n_runs"), [(0.0, 2), (6.0, 2), (6.5, 3), (9.5, 4), (1e9, 4)])
def test_slow_runs_with_one_thread_are_fewer_but_one_is_timed(clock, cpu_seconds, n_runs):
    calls = []
    run = spender(clock, 3.0)
    time_one_thread(clock, run, lambda: calls.append(1), Plan(cpu_runs=3, cpu_seconds=cpu_seconds))
    assert len(calls) == n_runs


def test_the_threads_are_back_after_an_error(clock, two_threads):
    with pytest.raises(ZeroDivisionError):
        time_one_thread(clock, lambda: 1 // 0, nothing, Plan())
    assert torch.get_num_threads() == 2


def test_where_the_clock_has_no_processor_time_there_is_none(clock, monkeypatch):
    monkeypatch.setattr(clock, "time_cpu", lambda run: None)
    assert time_one_thread(clock, nothing, nothing, Plan()) is None
