import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots import comparison

EXPECTED = torch.tensor([[1.0, -torch.inf], [2.0, 3.0], [0.5, torch.nan]])
ACTUAL = torch.tensor([[1.0, 0.25], [2.5, 3.0], [0.5, torch.nan]])


def test_the_three_panels():
    figure = comparison(EXPECTED, ACTUAL, axes=("seq_q", "seq_k"), title="Mask")
    assert [note.text for note in figure.layout.annotations] == ["expected", "actual", "actual - expected"]
    assert figure.data[0].z[1].tolist() == [2, 3]
    assert figure.data[1].z[1].tolist() == [2.5, 3]
    assert figure.data[2].z.tolist() == [[0, torch.inf], [0.5, 0], [0, 0]]
    assert figure.layout.xaxis.title.text == "seq_k"
    assert figure.layout.yaxis2.title.text == "seq_q"
    assert figure.layout.yaxis3.autorange == "reversed"


def test_every_cell_has_its_number_and_wrong_cells_a_cross():
    figure = comparison(EXPECTED, ACTUAL)
    assert figure.data[0].text.tolist() == [["1", "-inf"], ["2", "3"], ["0.5", "nan"]]
    assert figure.data[1].text.tolist() == [["1", "✗<br>0.25"], ["✗<br>2.5", "3"], ["0.5", "nan"]]
    assert figure.data[2].text.tolist() == [["0", "✗<br>inf"], ["✗<br>0.5", "0"], ["0", "0"]]


def test_what_is_wrong_can_be_handed_in():
    figure = comparison(EXPECTED, ACTUAL, wrong=[[0, 1], [0, 0], [0, 0]])
    assert sum("✗" in cell for row in figure.data[1].text for cell in row) == 1
    assert "✗" in figure.data[1].text[0][1]


def test_large_arrays_keep_the_crosses_and_drop_the_numbers():
    expected = torch.zeros(13, 4)
    actual = expected.clone()
    actual[7, 2] = 1
    text = comparison(expected, actual).data[1].text
    assert text[7][2] == "✗"
    assert text[0][0] == ""
    assert comparison(expected[:12], actual[:12]).data[1].text[0][0] == "0"


def test_expected_and_actual_share_a_scale_and_white_is_zero():
    figure = comparison([[1.0, -4.0]], [[6.0, -4.0]])
    assert [(trace.zmin, trace.zmax) for trace in figure.data] == [(-6, 6), (-6, 6), (-5, 5)]


def test_nothing_to_scale_by():
    assert comparison([[0.0]], [[0.0]]).data[2].zmax == 1


@pytest.mark.parametrize(
    ("expected", "actual"), [((2, 3), (3, 2)), ((2, 3), (2, 1)), ((3,), (3,)), ((2, 3, 4), (2, 3, 4))]
)
def test_other_shapes_are_refused(expected, actual):
    with pytest.raises(ShapeError):
        comparison(torch.zeros(expected), torch.zeros(actual))
