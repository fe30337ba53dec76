"""What a table says in sum."""

from benchmarks.harness.reporting.merging import merge
from benchmarks.harness.reporting.summing import describe_facts, find_footnotes, find_reasons, summarise


def group_of(make_record, *rows, **changes):
    (group,) = merge([make_record(*rows, **changes)])
    return group


def test_the_sum_counts_losses_as_plainly_as_wins(make_record, make_row, make_bare_row):
    rows = [
        make_row(peer="a", ratio=(1.3, 1.2, 1.4), goal=1.0, is_met=True),
        make_row(peer="b", ratio=(1.1, 1.0, 1.2), goal=1.05, is_met=False),
        make_row(peer="c", ratio=(0.9, 0.8, 1.0), goal=1.0, is_met=False),
        make_row(peer="d", ratio=(0.5, 0.4, 0.6), goal=1.0, is_met=False),
        make_bare_row("skipped", peer="e", goal=2.0, reason="x"),
        make_bare_row("failed", peer="f", goal=1.0, reason="x"),
    ]
    assert summarise(group_of(make_record, *rows)) == (
        "6 rows: ours is faster in 1 of 4 timed rows, slower in 1, level in 2; 1 skipped; 1 failed; "
        "goals: 1 met, 3 missed, 2 not measured."
    )


def test_the_sum_of_a_run_that_times_nothing(make_record, make_bare_row):
    group = group_of(make_record, make_bare_row("agrees"), make_bare_row("agrees", peer="b"))
    assert summarise(group) == "2 rows: 2 agree and were not timed."
    assert summarise(group_of(make_record)) == "No row was finished."


def test_facts_are_of_ours_whichever_row_has_them(make_record, make_row, make_bare_row):
    rows = [make_bare_row("skipped", reason="x"), make_row(peer="b", compile_ours=12.34, launches=45, syncs=0)]
    (case,) = group_of(make_record, *rows).cases
    assert describe_facts(case) == ["first run, which compiles: 12.3 s", "45 launches", "0 waits for the device"]
    (case,) = group_of(make_record, make_row()).cases
    assert describe_facts(case) == []


def test_peers_with_one_reason_are_told_together(make_record, make_row, make_bare_row):
    rows = [
        make_bare_row("skipped", peer="a", reason="no CUDA"),
        make_bare_row("failed", peer="b", reason="no CUDA"),
        make_bare_row("skipped", peer="c", reason="no CUDA"),
        make_row(peer="d", reason="no memory: x"),
        make_bare_row("agrees", peer="e", reason="no memory: x"),
        make_row(peer="f"),
    ]
    (case,) = group_of(make_record, *rows).cases
    assert find_reasons(case) == [
        ("skipped", "a, c", "no CUDA"),
        ("failed", "b", "no CUDA"),
        ("note", "d, e", "no memory: x"),
    ]


def test_a_mark_is_explained_where_it_is_used(make_record, make_row, make_bare_row):
    def marks(*rows, **changes):
        return [note[0] for note in find_footnotes(group_of(make_record, *rows, **changes).rows)]

    assert marks(make_row()) == []
    assert marks(make_row(), is_noisy=True) == ["*"]
    assert marks(make_bare_row("skipped", reason="x"), is_noisy=True) == []
    assert marks(make_row(environment="peers"), is_noisy=True) == ["*", "†"]
