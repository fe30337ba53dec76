import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots.tensors import cells


def test_each_tensor_is_a_panel_with_its_numbers():
    figure = cells({"a <b>": torch.arange(6).reshape(2, 3), "row": [1.5, -2.0], "one": torch.tensor(3.0)}, title="t")
    assert [panel.text for panel in figure.layout.annotations] == ["a &lt;b&gt;, (2, 3)", "row, (2,)", "one, ()"]
    assert [panel.z.tolist() for panel in figure.data] == [[[0, 1, 2], [3, 4, 5]], [[1.5, -2]], [[3]]]
    assert list(figure.data[1].text) == [["1.5", "-2"]]


def test_three_axes_are_a_panel_for_each_entry_of_the_first():
    figure = cells({"x": torch.arange(24).reshape(2, 3, 4)})
    assert [panel.text for panel in figure.layout.annotations] == ["x, (2, 3, 4)", "[1]"]
    assert figure.data[1].z.tolist() == torch.arange(12, 24).reshape(3, 4).tolist()


def test_all_panels_share_one_scale():
    positive, signed = cells({"a": [1.0], "b": [4.0]}), cells({"a": [1.0], "b": [-4.0]})
    assert [(panel.zmin, panel.zmax) for panel in positive.data] == [(0, 4)] * 2
    assert [(panel.zmin, panel.zmax) for panel in signed.data] == [(-4, 4)] * 2
    assert cells({"nothing": [0.0, float("nan")]}).data[0].zmax == 1


def test_booleans_are_numbers_and_large_tensors_have_no_text():
    assert cells({"mask": torch.tensor([True, False])}).data[0].z.tolist() == [[1, 0]]
    assert cells({"wide": torch.zeros(2, 17)}).data[0].text is None


def test_what_cannot_be_looked_at_is_refused():
    with pytest.raises(ShapeError, match="x must have at most three axes: got the shape"):
        cells({"x": torch.zeros(1, 1, 1, 2)})
    with pytest.raises(ShapeError, match="1 to 1000 cells: got 1001"):
        cells({"x": torch.zeros(1001)})
    with pytest.raises(ShapeError, match="1 to 1000 cells: got 0"):
        cells({"x": torch.zeros(0, 3)})
