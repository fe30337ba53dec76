"""Panels in rows."""

from arena_lib.plots.superposition.panels import make_panels, make_square


def test_panels_wrap_and_leave_rows_below():
    figure, places = make_panels(["a", "b", "c"], columns=2, n_below=1)
    assert places == [(1, 1), (1, 2), (3, 1)]
    assert [annotation.text for annotation in figure.layout.annotations] == ["a", "b", "c"]
    assert len(list(figure.select_xaxes())) == 8


def test_names_are_shown_as_they_are():
    figure, _ = make_panels(["a <b>"])
    assert figure.layout.annotations[0].text == "a &lt;b&gt;"


def test_square_panels_have_one_scale_each():
    figure, _ = make_panels(["a", "b"])
    make_square(figure)
    assert [axis.scaleanchor for axis in figure.select_yaxes()] == ["x", "x2"]
