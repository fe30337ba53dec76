"""What becomes of a row: measured, agrees, skipped or failed, and why."""

from contextlib import contextmanager
from importlib import metadata

import pytest
import torch
from benchmarks.harness.declaring import Goal, Place, Skip
from benchmarks.harness.measuring.launches import Counts, HostSync
from benchmarks.harness.measuring.memory import Peak
from benchmarks.harness.measuring.pairing import Plan
from benchmarks.harness.record import Spread
from benchmarks.harness.rows import Terms, describe_error, is_out_of_memory, measure_case


def raiser(error):
    def run(*_):
        raise error

    return run


def test_a_measured_row_by_hand(toys, measure):
    workload = toys.workload(
        toys.run(peak=Peak(300)), peers={"rival": toys.rival(peak=Peak(900))}, flops=50.0, bytes=5.0, units=10
    )
    goal = Goal("only", "rival", 2.0)
    row = measure(toys.benchmark(workload, goals=(goal,), limits={"only": "flops"}))["rival"]
    assert row.key == ("toy", "only", "rival", "cpu", "float32", "cpu", "main")
    assert (row.status, row.reason, row.n_pairs) == ("measured", None, 4)
    assert row.ours == Spread(0.25, 0.25, 0.25)
    assert row.theirs == Spread(0.5, 0.5, 0.5)
    assert row.ratio == Spread(2.0, 2.0, 2.0)
    assert (row.cpu_ours, row.cpu_theirs) == (0.5, 2.0)
    assert (row.memory_ours, row.memory_theirs) == (300, 900)
    assert (row.difference, row.compile_ours) == (0.125, None)
    assert (row.launches, row.syncs) == (None, None)
    assert (row.rate, row.unit) == (40.0, "numbers")
    assert (row.share, row.bound) == (50.0 / 0.25 / 1000.0, "flops")
    assert (row.goal, row.measure, row.is_met) == (2.0, "time", True)


@pytest.mark.parametrize(("at_least", "met"), [(1.75, True), (1.8, False)])
def test_a_goal_is_met_at_the_worse_end_of_the_spread(toys, measure, at_least, met):
    """Most pairs are at 2.0; the tenth percentile of six is half way between 1.5 and 2.0."""
    times = iter([0.5] * 6 + [0.375] + [0.5] * 99)  # after one run compared, one for memory and six to warm up

    def set_up():
        run = toys.run("rival", seconds=0.0)
        n_runs = iter(range(99))
        run.before = lambda: toys.clock.spend(next(times) if next(n_runs) >= 2 else 0.0)
        return run

    benchmark = toys.benchmark(toys.workload(peers={"rival": set_up}), goals=(Goal("only", "rival", at_least),))
    plan = Plan(short_run=0.25, pairs_of_slow=6, pair_seconds=0.0)
    row = measure(benchmark, plan=plan)["rival"]
    assert row.ratio == Spread(median=2.0, low=1.75, high=2.0)
    assert row.is_met is met


@pytest.mark.parametrize("size", ["cpu", "tiny"])
def test_a_wrong_implementation_fails_and_is_never_timed(toys, measure, size):
    peers = {"wrong": toys.rival("wrong", result=1.5), "right": toys.rival("right")}
    rows = measure(toys.benchmark(toys.workload(peers=peers), goals=(Goal("only", "wrong", 0.0),)), size=size)
    wrong = rows["wrong"]
    assert (wrong.status, wrong.reason) == ("failed", "disagrees: 1.0 is not 1.5")
    assert (wrong.ratio, wrong.n_pairs, wrong.difference, wrong.is_met) == (None, 0, None, None)
    assert toys.clock.log.count("wrong") == 1
    assert rows["right"].status == ("agrees" if size == "tiny" else "measured")


def test_ours_is_not_timed_either_where_nobody_agrees(toys, measure):
    measure(toys.benchmark(toys.workload(toys.run(result=9.0))))
    assert not toys.clock.was_used


@pytest.mark.parametrize("difference", [float("nan"), float("inf")])
def test_a_difference_that_is_no_number_is_a_disagreement(toys, measure, difference):
    row = measure(toys.benchmark(toys.workload(agree=lambda ours, theirs: difference)))["rival"]
    assert (row.status, row.reason) == ("failed", f"disagrees: the difference is {difference}")
    assert not toys.clock.was_used


def test_a_check_that_raises_fails_the_row(toys, measure):
    row = measure(toys.benchmark(toys.workload(agree=lambda ours, theirs: ours.shape)))["rival"]
    assert row.status == "failed"
    assert row.reason.startswith("the agreement check: AttributeError: ")


def test_results_are_compared_ours_first(toys, measure):
    seen = []
    measure(toys.benchmark(toys.workload(agree=lambda ours, theirs: seen.append((ours, theirs)) or 0.0)), size="tiny")
    assert seen == [(1.0, 1.125)]


def test_every_peer_is_compared_with_the_very_first_result_of_ours(toys, measure):
    """A step of training has another result each time."""
    ours = toys.run(result=0.0)
    ours.before = lambda: setattr(ours, "result", ours.result + 1)
    peers = {name: toys.rival(name, result=1.0) for name in ("one", "other")}
    rows = measure(toys.benchmark(toys.workload(ours, peers=peers)))
    assert [row.status for row in rows.values()] == ["measured", "measured"]


def test_at_tiny_nothing_is_timed_but_the_facts_are_there(toys, measure):
    workload = toys.workload(toys.run(peak=Peak(7)), ours_compiles=True)
    row = measure(toys.benchmark(workload), size="tiny", measure_calls=lambda run: Counts(3, 1))["rival"]
    assert (row.status, row.difference) == ("agrees", 0.125)
    assert (row.memory_ours, row.memory_theirs, row.launches, row.syncs) == (7, 100, 3, 1)
    assert (row.ratio, row.ours, row.cpu_ours, row.compile_ours, row.rate) == (None,) * 5
    assert not toys.clock.was_used


def test_before_every_run_what_it_changes_is_put_back(toys, measure):
    workload = toys.workload(prepare=lambda: toys.clock.log.append("prepare"), must_not_sync=True)
    measure(toys.benchmark(workload), size="tiny", measure_calls=lambda run: run() and Counts(0, 0))
    ours, theirs = ["prepare", "ours"], ["prepare", "rival"]
    memory_of_ours, memory_of_theirs = ["prepare", "peak", "ours"], ["prepare", "peak", "rival"]
    assert toys.clock.log == ours * 3 + memory_of_ours + theirs + memory_of_theirs


def test_timed_runs_are_prepared_too(toys, measure):
    measure(toys.benchmark(toys.workload(prepare=lambda: toys.clock.log.append("prepare"))))
    log = [entry for entry in toys.clock.log if entry not in ("|", "peak")]
    assert log[::2] == ["prepare"] * (len(log) // 2)
    assert "prepare" not in log[1::2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Skip("needs Triton"), "needs Triton"),
        (ModuleNotFoundError("No module named 'rival'"), "rival: ModuleNotFoundError: No module named 'rival'"),
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_a_peer_that_can_not_be_set_up_is_skipped(toys, measure, error, reason, is_late):
    set_up = toys.rival(before=raiser(error)) if is_late else raiser(error)
    rows = measure(toys.benchmark(toys.workload(peers={"rival": set_up, "next": toys.rival("next")})))
    assert (rows["rival"].status, rows["rival"].reason) == ("skipped", reason)
    assert rows["next"].status == "measured"


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("no-such-package", "needs no-such-package, which is not installed"),
        ("torch<1", f"needs torch<1: {metadata.version('torch')} is installed"),
    ],
)
def test_a_peer_whose_package_is_missing_is_not_even_set_up(toys, measure, requirement, reason):
    workload = toys.workload(peers={"rival": lambda: pytest.fail("it was set up")})
    row = measure(toys.benchmark(workload, peer_packages={"rival": requirement}))["rival"]
    assert (row.status, row.reason, row.peer_version) == ("skipped", reason, None)


def test_a_peer_whose_package_is_here_runs_and_is_named_with_its_version(toys, measure):
    row = measure(toys.benchmark(peer_packages={"rival": "torch>1"}))["rival"]
    assert (row.status, row.peer_version) == ("measured", f"torch {metadata.version('torch')}")


def test_a_baseline_of_our_own_has_no_version(toys, measure):
    assert measure(toys.benchmark())["rival"].peer_version is None


@pytest.mark.parametrize(
    ("package", "pins", "status"),
    [
        ("torch>=99", None, "skipped"),
        ("torch>=99", {"torch": "99.1"}, "failed"),
        ("torch>=99", {"torch": "2.0"}, "skipped"),
        ("torch>=99", {}, "skipped"),
        ("torch>=1", {"torch": "2.0"}, "failed"),  # here, but it skips
        (None, {}, "failed"),  # a baseline of our own needs nothing
        (None, None, "skipped"),
    ],
)
def test_where_it_is_strict_a_skipped_peer_that_should_be_here_fails(toys, measure, package, pins, status):
    workload = toys.workload(peers={"rival": raiser(Skip("not now"))})
    benchmark = toys.benchmark(workload, peer_packages={"rival": package} if package else {})
    row = measure(benchmark, pins=pins)["rival"]
    assert row.status == status
    assert row.reason.startswith("should run in this environment: ") is (status == "failed")


def test_a_peer_that_fails_has_its_own_reason_where_it_is_strict(toys, measure):
    row = measure(toys.benchmark(toys.workload(peers={"rival": raiser(ValueError("bad"))})), pins={})["rival"]
    assert (row.status, row.reason) == ("failed", "rival: ValueError: bad")


def test_a_case_that_this_machine_lacks_something_for_is_skipped_even_where_it_is_strict(toys, measure):
    benchmark = toys.benchmark(make=raiser(Skip("needs 80 GB")), peers=("one", "other"))
    rows = measure(benchmark, pins={})
    assert {peer: (row.status, row.reason) for peer, row in rows.items()} == {
        "one": ("skipped", "needs 80 GB"),
        "other": ("skipped", "needs 80 GB"),
    }


@pytest.mark.parametrize("is_late", [False, True])
def test_a_peer_that_raises_fails_and_the_next_one_is_measured(toys, measure, is_late):
    error = ValueError("bad heads\nand a page more")
    set_up = toys.rival(before=raiser(error)) if is_late else raiser(error)
    rows = measure(toys.benchmark(toys.workload(peers={"rival": set_up, "next": toys.rival("next")})))
    assert (rows["rival"].status, rows["rival"].reason) == ("failed", "rival: ValueError: bad heads")
    assert rows["next"].status == "measured"


@pytest.mark.parametrize(
    ("n_good", "reason"), [(1, "rival: ValueError: worn out"), (5, "timing: ValueError: worn out")]
)
def test_a_peer_that_raises_later_fails_too(toys, measure, n_good, reason):
    count = iter(range(99))

    def wear_out():
        if next(count) >= n_good:
            raise ValueError("worn out")

    benchmark = toys.benchmark(
        toys.workload(peers={"rival": toys.rival(before=wear_out)}), goals=(Goal("only", "rival", 1.0),)
    )
    row = measure(benchmark)["rival"]
    assert (row.status, row.reason) == ("failed", reason)
    assert (row.ratio, row.goal, row.is_met) == (None, 1.0, None)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    RuntimeError("CUDA error: out of memory"),
    MemoryError("no room"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_fails_the_row_and_not_the_run(toys, measure, error):
    peers = {"rival": toys.rival(before=raiser(error)), "next": toys.rival("next")}
    rows = measure(toys.benchmark(toys.workload(peers=peers)))
    assert (rows["rival"].status, rows["rival"].reason) == ("failed", f"out of memory in rival: {error}")
    assert rows["next"].status == "measured"


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory of words")])
def test_other_errors_are_not_taken_for_memory(error):
    assert not is_out_of_memory(error)


def test_a_long_message_is_cut_and_one_without_words_keeps_its_type():
    assert len(describe_error("rival", ValueError("x" * 9999))) < 350
    assert describe_error("rival", ValueError()) == "rival: ValueError: "


@pytest.mark.parametrize("error", [ValueError("broken"), ImportError("broken"), AssertionError("broken")])
@pytest.mark.parametrize("is_late", [False, True])
def test_where_ours_raises_every_row_of_the_case_fails(toys, measure, error, is_late):
    peers = {"one": toys.rival("one"), "other": toys.rival("other")}
    benchmark = toys.benchmark(toys.workload(toys.run(before=raiser(error)), peers=peers))
    if not is_late:
        benchmark = toys.benchmark(make=raiser(error), peers=("one", "other"))
    rows = measure(benchmark)
    reason = f"ours: {type(error).__name__}: broken"
    assert [(row.status, row.reason) for row in rows.values()] == [("failed", reason)] * 2
    assert not {"one", "other"} & set(toys.clock.log)


def test_another_environment_measures_what_the_main_one_cannot(toys, measure):
    peers = {name: toys.rival(name) for name in ("ours-too", "new", "old")}
    packages = {"new": "torch>=2", "old": "torch<2"}
    benchmark = toys.benchmark(toys.workload(peers=peers), peer_packages=packages | {"old": "numpy>=1"})
    assert set(measure(benchmark, main_pins={"torch": "2.13.0"})) == {"old"}
    built = []
    idle = toys.benchmark(make=lambda place: built.append(place), peers=("ours-too", "new"), peer_packages=packages)
    assert measure(idle, main_pins={"torch": "2.13.0"}) == {}
    assert built == []


def test_only_the_peers_of_the_case_have_rows(toys, measure):
    benchmark = toys.benchmark(peers=("another", "rival"))
    assert set(measure(benchmark)) == {"rival"}


def test_a_peer_that_the_benchmark_does_not_name_fails_the_case(toys, measure):
    row = measure(toys.benchmark(toys.workload(peers={"rival": toys.rival(), "stranger": None}), peers=("rival",)))[
        "rival"
    ]
    assert (row.status, "stranger are not" in row.reason) == ("failed", True)


@pytest.mark.parametrize("needs_grad", [True, False])
def test_runs_have_autograd_where_they_need_it_and_inference_mode_elsewhere(toys, measure, needs_grad):
    inside, outside = [], []

    def look(where):
        where.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))

    def set_up():
        look(outside)
        return toys.run("rival", before=lambda: look(inside))

    def make(place):
        look(outside)
        return toys.workload(
            toys.run(before=lambda: look(inside)),
            peers={"rival": set_up},
            agree=lambda ours, theirs: look(inside) or 0.0,
            needs_grad=needs_grad,
        )

    assert measure(toys.benchmark(make=make, peers=("rival",)))["rival"].status == "measured"
    assert set(inside) == {(needs_grad, not needs_grad)}
    assert outside == [(True, False)] * 2


@pytest.mark.parametrize(("compiles", "seconds"), [(True, 64.25), (False, None)])
def test_the_first_run_stands_apart_where_it_compiles(toys, measure, compiles, seconds):
    waits = iter([64.0] + [0.0] * 99)
    ours = toys.run(before=lambda: toys.clock.spend(next(waits)))
    row = measure(toys.benchmark(toys.workload(ours, ours_compiles=compiles)))["rival"]
    assert (row.status, row.compile_ours) == ("measured", seconds)
    assert row.ours.median == 0.25


@pytest.mark.parametrize("must_not_sync", [True, False])
def test_launches_and_waits_are_of_ours_and_a_forbidden_wait_fails_the_case(toys, measure, must_not_sync):
    profiled = []

    def count(run):
        profiled.append(run)
        return Counts(launches=12, syncs=2)

    workload = toys.workload(must_not_sync=must_not_sync)
    row = measure(toys.benchmark(workload), measure_calls=count)["rival"]
    assert profiled == [workload.ours]
    if must_not_sync:
        assert row.status == "failed"
        assert row.reason == "ours: HostSync: a run must not wait for the device: it does 2 times. Profile it."
    else:
        assert (row.status, row.launches, row.syncs) == ("measured", 12, 2)


@pytest.mark.parametrize(("must_not_sync", "forbidden"), [(True, ["in", "ours", "out"]), (False, [])])
def test_waiting_is_forbidden_around_one_run_of_ours(toys, measure, must_not_sync, forbidden):
    @contextmanager
    def forbid():
        log = toys.clock.log
        start = len(log)
        log.append("in")
        yield
        log.append("out")
        seen.extend(log[start:])

    seen = []
    workload = toys.workload(must_not_sync=must_not_sync)
    row = measure(toys.benchmark(workload), measure_calls=lambda run: Counts(1, 0), forbid_syncs=forbid)["rival"]
    assert (row.status, seen) == ("measured", forbidden)


def test_what_torch_forbids_fails_the_case(toys, measure):
    @contextmanager
    def forbid():
        yield
        raise HostSync("it waits")

    workload = toys.workload(must_not_sync=True)
    row = measure(toys.benchmark(workload), measure_calls=lambda run: Counts(1, 0), forbid_syncs=forbid)["rival"]
    assert (row.status, row.reason) == ("failed", "ours: HostSync: it waits")


def test_without_a_device_to_wait_for_nothing_is_forbidden(toys, measure):
    workload = toys.workload(must_not_sync=True)
    row = measure(toys.benchmark(workload), forbid_syncs=lambda: pytest.fail("there is no device"))["rival"]
    assert row.status == "measured"


@pytest.mark.parametrize("side", ["ours", "rival"])
def test_memory_that_can_not_be_had_has_its_reason(toys, measure, side):
    peaks = {"ours": Peak(5), "rival": Peak(6)} | {side: Peak(None, "no profiler")}
    workload = toys.workload(toys.run(peak=peaks["ours"]), peers={"rival": toys.rival(peak=peaks["rival"])})
    row = measure(toys.benchmark(workload))["rival"]
    assert (row.status, row.reason) == ("measured", "no memory: no profiler")
    assert (row.memory_ours, row.memory_theirs) == (peaks["ours"].n_bytes, peaks["rival"].n_bytes)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_is_not_an_error_of_a_peer(toys, measure, stop):
    with pytest.raises(stop):
        measure(toys.benchmark(toys.workload(peers={"rival": raiser(stop())})))


def test_rows_come_as_they_are_finished(toys):
    peers = {"first": toys.rival("first"), "second": raiser(KeyboardInterrupt())}
    place = Place(torch.device("cpu"), torch.float32, "tiny", "only")
    rows = measure_case(toys.benchmark(toys.workload(peers=peers)), place, Terms("main", None), toys.tools())
    assert next(rows).peer == "first"
    with pytest.raises(KeyboardInterrupt):
        next(rows)
