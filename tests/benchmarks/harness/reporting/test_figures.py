"""The two plots."""

import math

import pytest
from benchmarks.harness.reporting.figures import draw_ratios, draw_roofline, find_outcome
from benchmarks.harness.reporting.merging import merge


def group_of(make_record, *rows, **changes):
    (group,) = merge([make_record(*rows, **changes)])
    return group


def traces(figure):
    return {trace.name: trace for trace in figure.data}


def values(figure):
    """What stands right of the plot, by row."""
    beside = [note for note in figure.layout.annotations if note.xref == "paper"]
    return {note.y: note.text for note in beside}


@pytest.fixture
def rows(make_row, make_bare_row):
    return [
        make_row(peer="a", ratio=(1.5, 1.4, 1.7), goal=1.2, measure="time", is_met=True),
        make_bare_row("skipped", peer="b", reason="x", goal=3.0, measure="time"),
        make_row(peer="c", ratio=(0.8, 0.7, 0.85), goal=4.0, measure="time", is_met=False),
        make_row(peer="d", ratio=(1.1, 1.0, 1.2), goal=20.0, measure="memory", is_met=False),
        make_row(peer="e", ratio=(9.0, 8.0, 10.0), environment="peers"),
    ]


@pytest.mark.parametrize(
    ("goal", "outcome"),
    [
        ({"goal": 1.0, "measure": "time", "is_met": True}, "goal met"),
        ({"goal": 1.0, "measure": "time", "is_met": False}, "goal missed"),
        ({"goal": 1.0, "measure": "time", "is_met": None}, "no goal on time"),
        ({"goal": 1.0, "measure": "memory", "is_met": True}, "no goal on time"),
        ({}, "no goal on time"),
    ],
)
def test_what_a_row_came_to(make_row, goal, outcome):
    assert find_outcome(make_row(**goal)) == outcome


def test_every_timed_row_has_its_mark_in_its_place(make_record, rows):
    drawn = traces(draw_ratios(group_of(make_record, *rows)))
    assert {name: list(zip(drawn[name].x, drawn[name].y, strict=True)) for name in drawn} == {
        "goal": [(1.2, 0), (4.0, 1)],
        "goal met": [(1.5, 0)],
        "goal missed": [(0.8, 1)],
        "no goal on time": [(1.1, 2), (9.0, 3)],
    }
    assert list(drawn["goal met"].error_x.array) == pytest.approx([0.2])
    assert list(drawn["goal met"].error_x.arrayminus) == pytest.approx([0.1])


def test_outcomes_differ_in_shape_not_only_in_colour(make_record, rows):
    drawn = traces(draw_ratios(group_of(make_record, *rows)))
    assert len({trace.marker.symbol for trace in drawn.values()}) == len(drawn) == 4


def test_the_first_row_is_on_top_and_named(make_record, rows):
    axis = draw_ratios(group_of(make_record, *rows)).layout.yaxis
    assert list(axis.ticktext) == [f"forward, batch: {peer}" for peer in ("a", "c", "d", "e †")]
    assert list(axis.tickvals) == [0, 1, 2, 3]
    assert list(axis.range) == [3.5, -0.5]


def test_names_say_the_dtype_where_there_are_several(make_record, make_row):
    rows = [make_row(path="<x>"), make_row(path="<x>", dtype="bfloat16")]
    axis = draw_ratios(group_of(make_record, *rows)).layout.yaxis
    assert axis.ticktext[1] == "&lt;x&gt;, batch, bfloat16: huggingface"


def test_values_stand_beside_the_marks_in_words(make_record, rows):
    group = group_of(make_record, *rows, is_noisy=True)
    assert values(draw_ratios(group)) == {0: "1.50* met", 1: "0.80* missed", 2: "1.10*", 3: "9.00*"}


def test_the_ratios_axis_is_logarithmic_and_has_one_every_range_and_every_goal(make_record, rows, make_row):
    figure = draw_ratios(group_of(make_record, *rows))
    axis = figure.layout.xaxis
    assert axis.type == "log"
    assert axis.range[0] < math.log10(0.7) < math.log10(10.0) < axis.range[1] < math.log10(15)
    (line,) = figure.layout.shapes
    assert (line.x0, line.x1) == (1, 1)
    fast = draw_ratios(
        group_of(make_record, make_row(ratio=(30.0, 20.0, 40.0), goal=90.0, measure="time", is_met=False))
    )
    assert fast.layout.xaxis.range[0] < 0
    assert math.log10(90) < fast.layout.xaxis.range[1] < 2.05
    slow = draw_ratios(group_of(make_record, make_row(ratio=(0.3, 0.2, 0.4))))
    assert slow.layout.xaxis.range[1] > 0


def test_a_narrow_axis_has_more_numbers(make_record, make_row):
    narrow = draw_ratios(group_of(make_record, make_row()))
    wide = draw_ratios(group_of(make_record, make_row(ratio=(12.0, 11.0, 13.0))))
    assert (narrow.layout.xaxis.dtick, wide.layout.xaxis.dtick) == ("D1", "D2")


def test_a_row_more_makes_the_figure_higher(make_record, make_row):
    one = draw_ratios(group_of(make_record, make_row()))
    two = draw_ratios(group_of(make_record, make_row(), make_row(peer="b")))
    assert two.layout.height - one.layout.height >= 20


def test_nothing_timed_is_no_figure(make_record, make_bare_row):
    group = group_of(make_record, make_bare_row("agrees"))
    assert draw_ratios(group) is None
    assert draw_roofline(group) is None


def test_a_bar_for_each_case_is_the_median_over_its_peers(make_record, make_row):
    rows = [
        make_row(peer="a", share=0.7, bound="flops"),
        make_row(peer="b", share=0.8, bound="flops"),
        make_row(peer="c", share=0.84, bound="flops"),
        make_row(case="none", peer="a"),
        make_row(case="one", peer="a", share=1.1, bound="bytes"),
    ]
    figure = draw_roofline(group_of(make_record, *rows))
    drawn = traces(figure)
    assert [(name, list(trace.x), list(trace.y)) for name, trace in drawn.items()] == [
        ("bounded by flops", [0.8], [0]),
        ("bounded by bytes", [1.1], [1]),
    ]
    assert list(figure.layout.yaxis.ticktext) == ["forward, batch", "forward, one"]
    assert values(figure) == {0: "80 % of flops", 1: "110 % of bytes"}
    patterns = {trace.marker.pattern.shape for trace in drawn.values()}
    assert len(patterns) == 2
    assert figure.layout.xaxis.range[1] >= 1.1
    assert figure.layout.shapes[0].x0 == 1


def test_a_small_share_is_seen_against_the_whole_limit(make_record, make_row):
    figure = draw_roofline(group_of(make_record, make_row(share=0.05, bound="bytes")))
    assert figure.layout.xaxis.range[0] == 0
    assert figure.layout.xaxis.range[1] >= 1
    assert list(traces(figure)) == ["bounded by bytes"]


def test_bars_say_the_dtype_where_there_are_several(make_record, make_row):
    rows = [make_row(share=0.5, bound="flops"), make_row(dtype="bfloat16", share=0.6, bound="flops")]
    figure = draw_roofline(group_of(make_record, *rows))
    assert list(figure.layout.yaxis.ticktext) == ["forward, batch, float32", "forward, batch, bfloat16"]
