import html
import re

import numpy as np
import pytest
import torch

from arena_lib.checking.comparison.comparing import compare
from arena_lib.checking.reports.html import MAX_CELLS, render_html, slice_of
from arena_lib.checking.reports.messages import compose
from arena_lib.checking.results import Check, Diagnosis, Result

E = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
FUTURE = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
MASKED = E.masked_fill(FUTURE, -torch.inf)
ATTENTION = "batch n_heads seq_q seq_k"


def failed(actual, expected, axes="", **found):
    mismatch = compare(actual, expected, axes=axes)
    return Result(exercise="1.1/causal_mask", status="failed", mismatch=mismatch, **found)


def drawn(actual, expected, axes=""):
    return slice_of(compare(actual, expected, axes=axes), expected, actual)


def changed(tensor, index, value):
    copy = tensor.clone()
    copy[index] = value
    return copy


def tables_of(page):
    """Each heat map as rows of the words in its cells."""
    found = re.findall(r'<table style="border-collapse:separate.*?</table>', page)
    return [
        [
            [html.unescape(cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row)]
            for row in re.findall(r"<tr>.*?</tr>", t)
        ]
        for t in found
    ]


def test_the_facts_of_the_message_are_there():
    result = failed(E, MASKED, ATTENTION, diagnosis=Diagnosis(mistake="hides nothing", why="a < b & c"))
    page = html.unescape(render_html(result, expected=MASKED, actual=E))
    for label, text in compose(result).facts:
        assert label in page
        assert text in page
    assert "arena hint 1.1/causal_mask" in page
    assert "✗ 1.1/causal_mask does not pass yet" in page


def test_text_is_escaped():
    checks = (Check(name="<script>alert(1)</script>", passed=False),)
    page = render_html(Result(exercise="1.1/<b>", status="failed", checks=checks))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "1.1/<b>" not in page


def test_heat_maps_show_numbers_and_mark_wrong_entries_without_colour():
    page = render_html(failed(E, MASKED, ATTENTION), expected=MASKED, actual=E)
    expected, actual, difference = (table[1:] for table in tables_of(page))
    assert expected[0][1] == "-inf"
    assert actual[0][1] == f"✗ {E[0, 0, 0, 1].item():.3g}"
    assert actual[1][0] == f"{E[0, 0, 1, 0].item():.3g}"
    assert difference[0][1] == "✗ inf"
    assert difference[1][0] == "0"
    assert sum(cell.startswith("✗") for row in actual for cell in row) == 10
    assert not any(cell.startswith("✗") for row in expected for cell in row)
    assert page.count("border:2px solid") == 20
    assert "seq_q ↓ seq_k →" in page
    assert "✗ marks the 10 wrong of 25 drawn" in page


def test_the_slice_with_the_first_wrong_entry_is_drawn():
    actual = changed(E, (1, 2, 3, 0), 9.0)
    part = drawn(actual, E, ATTENTION)
    assert part.title == "batch = 1, head 2, seq_q 0 to 4 of 5, seq_k 0 to 4 of 5"
    assert part.axes == ("seq_q", "seq_k")
    assert np.array_equal(part.actual, actual[1, 2].numpy())
    assert np.array_equal(part.expected, E[1, 2].numpy())
    assert np.argwhere(part.wrong).tolist() == [[3, 0]]


@pytest.mark.parametrize(
    ("row", "column", "first"),
    [(0, 0, (0, 0)), (20, 15, (14, 9)), (39, 29, (28, 18)), (6, 6, (0, 0)), (7, 7, (1, 1))],
)
def test_a_large_array_shows_the_window_around_the_first_wrong_entry(row, column, first):
    big = torch.arange(1200.0).reshape(40, 30)
    part = drawn(changed(big, (row, column), -1.0), big, "seq d_model")
    assert part.expected.shape == (MAX_CELLS, MAX_CELLS)
    assert part.first == first
    assert part.expected[0, 0] == big[first].item()
    assert part.actual[row - first[0], column - first[1]] == -1
    assert f"seq {first[0]} to {first[0] + 11} of 40" in part.title


def test_row_and_column_numbers_are_those_of_the_array():
    big = torch.arange(1200.0).reshape(40, 30)
    page = render_html(
        failed(changed(big, (39, 29), -1.0), big, "seq d_model"), expected=big, actual=changed(big, (39, 29), -1.0)
    )
    headings = re.findall(r"<th.*?>(.*?)</th>", page)
    assert headings[:14] == ["seq ↓ d_model →", *map(str, range(18, 30)), "28"]


def test_a_vector_is_one_row():
    expected = torch.tensor([1.0, 2.0, 3.0])
    part = drawn(torch.tensor([1.0, 2.0, 4.0]), expected, "seq")
    assert part.actual.tolist() == [[1, 2, 4]]
    assert part.axes == ("", "seq")
    assert part.title == "seq 0 to 2 of 3"
    page = render_html(failed(torch.tensor([1.0, 2.0, 4.0]), expected, "seq"), expected=expected, actual=expected + 1)
    assert "seq →" in page


def test_axes_without_names_are_numbered():
    assert drawn(torch.zeros(2, 3), torch.ones(2, 3)).title == "axis 0 0 to 1 of 2, axis 1 0 to 2 of 3"


def test_the_differing_tensor_is_found_in_containers():
    expected = {"a": torch.zeros(2, 2), "b": [torch.ones(3, 3), torch.ones(2, 5)]}
    actual = {"a": torch.zeros(2, 2), "b": (torch.ones(3, 3), changed(torch.ones(2, 5), (1, 4), 7.0))}
    part = drawn(actual, expected)
    assert part.actual.shape == (2, 5)
    assert part.actual[1, 4] == 7
    assert part.expected[1, 4] == 1


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (torch.zeros(3, 2), torch.zeros(2, 3)),
        (None, torch.zeros(2, 3)),
        (torch.zeros(2, 3).double(), torch.zeros(2, 3)),
        (torch.tensor(1.0), torch.tensor(2.0)),
        (1, 2),
        ([1, 2], [1, 3]),
        ("a", "b"),
    ],
)
def test_nothing_is_drawn_where_there_are_no_two_axes(actual, expected):
    assert drawn(actual, expected) is None
    assert tables_of(render_html(failed(actual, expected), expected=expected, actual=actual)) == []


def test_values_that_were_not_handed_over_are_not_drawn():
    page = render_html(failed(E, MASKED, ATTENTION))
    assert tables_of(page) == []
    assert "1.1/causal_mask does not pass yet" in page


def test_a_huge_tensor_is_not_drawn(monkeypatch):
    monkeypatch.setattr("arena_lib.checking.reports.html.MAX_DRAWN", 100)
    assert drawn(E, MASKED, ATTENTION) is None


def test_the_darkest_cells_have_white_numbers():
    page = render_html(
        failed(torch.tensor([[5.0, 0.0, -5.0]]), torch.tensor([[4.0, 0.0, -4.0]])),
        expected=torch.tensor([[4.0, 0.0, -4.0]]),
        actual=torch.tensor([[5.0, 0.0, -5.0]]),
    )
    cells = re.findall(r"color:(#\w+);background:(#\w+)[^>]*>(?:✗ )?([-\d.]+)<", page)
    colours = {number: (ink, paper) for ink, paper, number in cells[3:6]}
    assert colours["0"] == ("#000", "#ffffff")
    assert colours["5"] == ("#000", "#e66101")
    assert colours["-5"] == ("#fff", "#2166ac")


@pytest.mark.parametrize(
    ("status", "border"),
    [("passed", "#1a7f37"), ("not_started", "#9a6700"), ("failed", "#b3261e"), ("error", "#b3261e")],
)
def test_each_verdict_has_its_border_and_its_mark(status, border):
    page = render_html(Result(exercise="1.1/f", status=status))
    assert f"4px solid {border}" in page
    assert compose(Result(exercise="1.1/f", status=status)).mark() in page


def test_wrong_entries_are_framed_in_black_and_in_white_so_that_any_background_shows_it():
    page = render_html(failed(E, MASKED, ATTENTION), expected=MASKED, actual=E)
    cells = re.findall(r"<td style=\"([^\"]*)\">(✗)?", page)
    framed = {bool(cross) for style, cross in cells if "border:2px solid #000;outline:1px solid #fff" in style}
    assert framed == {True}


def test_there_is_no_script_and_nothing_from_elsewhere():
    page = render_html(failed(E, MASKED, ATTENTION), expected=MASKED, actual=E)
    assert not re.search(r"<script|https?:|src=|href=", page)
