"""Which rows became slower."""

from dataclasses import replace

import pytest
from benchmarks.harness.record import Spread
from benchmarks.harness.reporting.verdicts import compare_records, fell, find_change, pair_rows

BEFORE = (1.5, 1.4, 1.6)
SLOWER = (1.1, 1.0, 1.2)
FASTER = (1.9, 1.8, 2.0)


@pytest.fixture
def kind_of(make_record):
    """The only verdict's kind, or None where there is no verdict."""

    def compare(before, after, old=None, new=None):
        rows = [[] if row is None else [row] for row in (before, after)]
        comparison = compare_records(make_record(*rows[0], **(old or {})), make_record(*rows[1], **(new or {})))
        return comparison.verdicts[0].kind if comparison.verdicts else None

    return compare


@pytest.fixture
def obstacle(make_record):
    """Why two rows are refused; None if they are compared."""

    def compare(before, after, old=None, new=None):
        comparison = compare_records(make_record(before, **(old or {})), make_record(after, **(new or {})))
        (verdict,) = comparison.verdicts
        assert (verdict.reason is None) == (verdict.kind != "refused")
        assert comparison.exit_code == (2 if verdict.reason else 0)
        return verdict.reason

    return compare


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (BEFORE, "same"),
        (SLOWER, "slower"),
        (FASTER, "faster"),
        ((1.3, 1.2, 1.45), "same"),  # fell by more than a tenth, but the ranges overlap
        ((1.3, 1.2, 1.4), "same"),  # they touch
        ((1.36, 1.35, 1.39), "same"),  # apart, but fell by less than a tenth
        ((1.34, 1.3, 1.39), "slower"),
        ((1.7, 1.55, 1.8), "same"),
        ((1.7, 1.6, 1.8), "same"),
        ((1.65, 1.61, 1.7), "same"),
        ((1.68, 1.61, 1.7), "faster"),
    ],
)
def test_only_ranges_apart_and_medians_a_tenth_apart_are_a_change(make_row, kind_of, after, expected):
    assert kind_of(make_row(ratio=BEFORE), make_row(ratio=after)) == expected


def test_a_fall_of_just_a_tenth_is_none():
    assert not fell(Spread(1.0, 1.0, 1.0), Spread(0.9, 0.9, 0.9))
    assert fell(Spread(1.0, 1.0, 1.0), Spread(0.899, 0.899, 0.899))


def test_a_slower_machine_is_no_regression(make_row, kind_of):
    twice = {"ours": Spread(0.006, 0.005, 0.007), "theirs": Spread(0.009, 0.008, 0.01)}
    assert kind_of(make_row(), make_row(**twice, cpu_ours=0.008, cpu_theirs=0.01)) == "same"


@pytest.mark.parametrize("noisy", [("old",), ("new",), ("old", "new")])
def test_in_a_noisy_run_cpu_time_must_agree(make_row, kind_of, noisy):
    runs = {name: {"is_noisy": True} for name in noisy}
    before = make_row(ratio=BEFORE, cpu_ours=0.004, cpu_theirs=0.004)
    for cpu_ours, expected in ((0.004, "in doubt"), (0.0044, "in doubt"), (0.0046, "slower")):
        assert kind_of(before, make_row(ratio=SLOWER, cpu_ours=cpu_ours, cpu_theirs=0.004), **runs) == expected
    unwitnessed = make_row(ratio=SLOWER, cpu_ours=None)
    assert kind_of(before, unwitnessed, **runs) == "slower"
    assert kind_of(before, make_row(ratio=FASTER, cpu_theirs=0.004), **runs) == "faster"


def test_in_a_quiet_run_times_are_enough(make_row, kind_of):
    assert kind_of(make_row(), make_row(ratio=SLOWER)) == "slower"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("measured", "failed", "fails"),
        ("agrees", "failed", "fails"),
        ("measured", "skipped", "lost"),
        ("measured", "agrees", None),
        ("measured", None, "lost"),
        ("agrees", None, "lost"),
        ("agrees", "agrees", None),
        ("skipped", "measured", "new"),
        ("failed", "agrees", "new"),
        (None, "measured", "new"),
        ("skipped", "failed", None),
        ("failed", "failed", None),
        ("skipped", None, None),
        (None, "failed", None),
    ],
)
def test_what_becomes_of_rows_that_ran_once(make_row, make_bare_row, kind_of, before, after, expected):
    def make(status):
        if status is None:
            return None
        return make_row() if status == "measured" else make_bare_row(status, reason="why")

    assert kind_of(make(before), make(after)) == expected


def test_the_reason_of_a_loss_is_told(make_record, make_row, make_bare_row):
    def reason(*rows, **changes):
        (verdict,) = compare_records(make_record(make_row()), make_record(*rows, **changes)).verdicts
        return verdict.kind, verdict.reason

    assert reason(make_bare_row("failed", reason="raised")) == ("fails", "raised")
    assert reason(make_bare_row("skipped", reason="not here")) == ("lost", "not here")
    assert reason() == ("lost", "the new run has no such row")
    assert reason(is_complete=False) == ("lost", "the new run was stopped before its end")
    assert reason(options={"names": ["other"]}) == ("left out", "the new run did not include this benchmark")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": "tiny"}, "size cpu, now tiny"),
        ({"dtype": "bfloat16"}, "dtype float32, now bfloat16"),
        ({"environment": "peers"}, "environment main, now peers"),
        ({"peer_version": "transformers 6.0"}, "peer transformers 5.0, now transformers 6.0"),
        ({"size": "tiny", "dtype": "bfloat16"}, "size cpu, now tiny; dtype float32, now bfloat16"),
        ({"peer_version": None}, None),
    ],
)
def test_rows_that_differ_are_refused_with_the_reason(make_row, obstacle, change, reason):
    assert obstacle(make_row(), make_row(**change)) == reason


def test_versions_that_only_the_old_run_lacks_are_no_obstacle(make_row, obstacle):
    assert obstacle(make_row(peer_version=None), make_row()) is None


def test_another_kind_of_device_is_refused(make_row, obstacle):
    gpu = {"machine": {"gpu": "H200"}}
    reason = "device cpu, now H200"
    assert obstacle(make_row(), make_row(device="cuda"), new=gpu) == reason
    assert obstacle(make_row(device="cuda"), make_row(), old=gpu) == "device H200, now cpu"
    other = {"machine": {"gpu": "A100"}}
    assert obstacle(make_row(device="cuda"), make_row(device="cuda"), old=gpu, new=other) == "device H200, now A100"
    assert obstacle(make_row(device="cuda"), make_row(device="cuda"), old=gpu, new=gpu) is None


def test_threads_matter_on_the_cpu_alone(make_row, obstacle):
    runs = {"old": {"machine": {"gpu": "H200"}}, "new": {"machine": {"gpu": "H200", "n_threads": 16}}}
    assert obstacle(make_row(), make_row(), **runs) == "threads 2, now 16"
    assert obstacle(make_row(device="cuda"), make_row(device="cuda"), **runs) is None


def test_another_processor_is_compared(make_row, obstacle):
    assert obstacle(make_row(), make_row(), new={"machine": {"cpu": "Other", "n_cores": 64}}) is None


def test_a_failure_under_other_terms_is_no_regression(make_row, make_bare_row, kind_of):
    threads = {"machine": {"n_threads": 1}}
    assert kind_of(make_row(), make_bare_row("failed", reason="x"), new=threads) == "refused"


def test_rows_are_paired_by_their_keys_whatever_their_order(make_row):
    old = [make_row(peer="a"), make_row(peer="b"), make_row(peer="a", dtype="bfloat16")]
    new = [make_row(peer="a", dtype="bfloat16"), make_row(peer="b"), make_row(peer="a")]
    assert list(pair_rows(old, new)) == [(old[0], new[2]), (old[1], new[1]), (old[2], new[0])]
    assert len(new) == 3


def test_a_key_goes_before_a_likeness(make_row):
    old = [make_row(size="tiny"), make_row()]
    new = [make_row(), make_row(size="gpu"), make_row(case="one_token"), make_row(peer="b"), make_row(path="x")]
    assert list(pair_rows(old, new)) == [
        (old[1], new[0]),
        (old[0], new[1]),
        (None, new[2]),
        (None, new[3]),
        (None, new[4]),
    ]
    assert list(pair_rows([make_row(case="one_token")], [make_row()])) == [
        (make_row(case="one_token"), None),
        (None, make_row()),
    ]


def test_one_regression_decides_the_exit_code(make_record, make_row, make_bare_row):
    def code(*pairs, **changes):
        old = make_record(*(replace(before, peer=str(i)) for i, (before, _) in enumerate(pairs)))
        new = make_record(*(replace(after, peer=str(i)) for i, (_, after) in enumerate(pairs)), **changes)
        return compare_records(old, new).exit_code

    row, slow = make_row(), make_row(ratio=SLOWER)
    fails, skipped = make_bare_row("failed", reason="x"), make_bare_row("skipped", reason="x")
    assert code((row, row), (row, slow), (row, make_row(ratio=FASTER))) == 1
    assert code((row, fails)) == 1
    assert code((row, row), (row, skipped)) == 0
    assert code((row, slow), is_noisy=True) == 0
    assert code((row, make_row(size="gpu")), (row, skipped), (skipped, row)) == 2
    assert code() == 2


def test_verdicts_are_given_by_kind_in_order(make_record, make_row):
    old = make_record(make_row(peer="a"), make_row(peer="b"), make_row(peer="c"))
    new = make_record(make_row(peer="a"), make_row(peer="b", ratio=SLOWER), make_row(peer="c"), make_row(peer="d"))
    comparison = compare_records(old, new)
    assert [verdict.row.peer for verdict in comparison.of("same", "slower")] == ["a", "b", "c"]
    assert [verdict.row.peer for verdict in comparison.of("new")] == ["d"]


def test_changes_are_now_over_then(make_record, make_row):
    rows = make_row(cpu_ours=0.004, cpu_theirs=0.006), make_row(ratio=SLOWER, cpu_ours=0.006, cpu_theirs=0.006)
    (verdict,) = compare_records(make_record(rows[0]), make_record(rows[1])).verdicts
    assert verdict.change == pytest.approx(1.1 / 1.5)
    assert verdict.cpu_change == pytest.approx(2 / 3)
    assert (verdict.old, verdict.new, verdict.row) == (rows[0], rows[1], rows[1])


def test_there_is_no_change_without_both(make_row):
    row = make_row()
    assert find_change(None, row, lambda row: 1.0) is None
    assert find_change(row, None, lambda row: 1.0) is None
    assert find_change(row, row, lambda row: None) is None
    assert find_change(row, row, lambda row: 0.0) is None
