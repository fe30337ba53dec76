"""Several records as one."""

import pytest
from benchmarks.harness.record import RecordError, write_record
from benchmarks.harness.reporting.merging import merge, read_groups


def names(group):
    return [(shown.row.environment, shown.row.peer, shown.row.status) for shown in group.rows]


def test_both_environments_of_a_machine_are_one_group(make_record, make_row):
    main = make_record(make_row())
    peers = make_record(
        make_row(environment="peers", peer="old"),
        options={"environment": "peers"},
        machine={"system": "Linux-7", "memory": 65},
    )
    (group,) = merge([main, peers])
    assert names(group) == [("main", "huggingface", "measured"), ("peers", "old", "measured")]
    assert group.runs == (main, peers)
    assert (group.machine, group.size) == (main.machine, "cpu")


@pytest.mark.parametrize("other", [{"cpu": "Another"}, {"gpu": "H200"}, {"n_threads": 1}, {"n_cores": 8}])
def test_another_machine_stays_apart(make_record, make_row, other):
    groups = merge([make_record(make_row()), make_record(make_row(), machine=other)])
    assert [len(group.rows) for group in groups] == [1, 1]


def test_another_size_stays_apart(make_record, make_row):
    groups = merge([make_record(make_row()), make_record(make_row(size="tiny"), options={"size": "tiny"})])
    assert [group.size for group in groups] == ["cpu", "tiny"]


def test_a_row_that_two_runs_have_is_the_later_ones(make_record, make_row):
    early = make_record(make_row(ratio=(1.1, 1.0, 1.2)), started="2026-01-01T00:00:00+00:00", is_noisy=True)
    late = make_record(make_row(ratio=(1.3, 1.2, 1.4)), started="2026-01-02T00:00:00+00:00")
    for order in ([early, late], [late, early]):
        (group,) = merge(order)
        (shown,) = group.rows
        assert (shown.row.ratio.median, shown.is_noisy) == (1.3, False)


def test_noise_stays_with_the_rows_of_its_run(make_record, make_row):
    noisy = make_record(make_row(peer="a"), is_noisy=True)
    quiet = make_record(make_row(peer="b"))
    (group,) = merge([noisy, quiet])
    assert [(shown.row.peer, shown.is_noisy) for shown in group.rows] == [("a", True), ("b", False)]


def test_rows_of_one_case_stand_together(make_record, make_row):
    main = make_record(make_row(peer="a"), make_row(case="one", peer="a"), make_row(dtype="bfloat16", peer="a"))
    peers = make_record(make_row(environment="peers", peer="b"))
    (group,) = merge([main, peers])
    assert [[shown.row.peer for shown in case] for case in group.cases] == [["a", "b"], ["a"], ["a"]]
    assert [shown.row.peer for shown in group.rows] == ["a", "b", "a", "a"]


def test_a_skip_gives_way_to_the_other_environments_run(make_record, make_row, make_bare_row):
    main = make_record(make_bare_row("skipped", peer="old", reason="needs 3"), make_row(peer="new"))
    peers = make_record(
        make_row(peer="old", environment="peers"),
        make_bare_row("skipped", peer="new", reason="needs 4", environment="peers"),
    )
    (group,) = merge([main, peers])
    assert names(group) == [("main", "new", "measured"), ("peers", "old", "measured")]


def test_a_failure_does_not_give_way(make_record, make_row, make_bare_row):
    main = make_record(make_bare_row("failed", reason="raised"))
    peers = make_record(make_row(environment="peers"))
    (group,) = merge([main, peers])
    assert names(group) == [("main", "huggingface", "failed"), ("peers", "huggingface", "measured")]


def test_a_skip_in_both_environments_is_told_once_for_each_reason(make_record, make_bare_row):
    def skips(environment, reason):
        rows = [make_bare_row("skipped", peer=peer, reason=reason, environment=environment) for peer in ("a", "b")]
        rows[1].reason = "both alike"
        return make_record(*rows)

    (group,) = merge([skips("main", "no CUDA"), skips("peers", "not installed")])
    assert [(shown.row.peer, shown.row.reason) for shown in group.rows] == [
        ("a", "no CUDA"),
        ("b", "both alike"),
        ("a", "not installed"),
    ]


def test_a_run_without_rows_is_still_shown(make_record):
    (group,) = merge([make_record(is_complete=False)])
    assert group.rows == ()
    assert len(group.runs) == 1


def test_a_row_that_failed_after_it_was_timed_has_no_ratio_to_show(make_record, make_row, make_bare_row):
    rows = [make_row(), make_row(peer="b", status="failed"), make_bare_row("agrees", peer="c")]
    (group,) = merge([make_record(*rows)])
    assert [shown.has_ratio for shown in group.rows] == [True, False, False]


def test_files_are_read(make_record, make_row, tmp_path):
    write_record(make_record(make_row()), tmp_path / "a.json")
    (group,) = read_groups([tmp_path / "a.json"])
    assert names(group) == [("main", "huggingface", "measured")]
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(RecordError, match=r"b\.json"):
        read_groups([tmp_path / "a.json", tmp_path / "b.json"])
