import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots.convolutions.memory import NOT_PICKED, PER_LINE, memory


def texts(panel):
    return [list(row) for row in panel.text]


def test_memory_and_view_show_their_numbers():
    x = torch.arange(10, 16)
    above, below = memory(x, x.as_strided((2, 2), (3, 1)), title="t").data
    assert texts(above) == [["10", "11", "12", "13", "14", "15"]]
    assert texts(below) == [["10", "11"], ["13", "14"]]


def test_a_number_keeps_its_colour_and_what_is_not_picked_is_grey():
    x = torch.arange(10, 16)
    above, below = memory(x, x.as_strided((2, 2), (3, 1))).data
    assert [above.z[0][place] for place in (0, 1, 3, 4)] == [z for row in below.z for z in row]
    assert above.z[0][2] == above.z[0][5] == 0.0
    assert above.colorscale[0] == (0.0, NOT_PICKED)
    assert len(set(above.z[0])) == 5


def test_a_slice_shows_all_of_the_memory_that_it_is_cut_out_of():
    whole = torch.arange(12).reshape(3, 4)
    part = whole[1:, 1::2]
    figure = memory(part, part)
    assert len(figure.data[0].text[0]) == 12
    assert texts(figure.data[1]) == [["5", "7"], ["9", "11"]]
    assert figure.layout.annotations[1].text == "view: size (2, 2), stride (4, 2), offset 5"


def test_a_long_memory_goes_on_in_the_next_line():
    x = torch.arange(PER_LINE + 3)
    above = memory(x, x[:1]).data[0]
    assert [len(row) for row in above.text] == [PER_LINE] * 2
    assert above.text[1][2] == str(PER_LINE + 2)
    assert above.text[1][3] == ""
    assert above.z[1][3] is None


def test_blocks_have_gaps_between_them():
    x = torch.arange(24)
    four = memory(x, x.as_strided((2, 2, 1, 2), (12, 6, 6, 1))).data[1]
    assert texts(four) == [["0", "1", "", "6", "7"], [""] * 5, ["12", "13", "", "18", "19"]]
    three = memory(x, x.as_strided((2, 1, 2), (12, 6, 1))).data[1]
    assert texts(three) == [["0", "1", "", "12", "13"]]


def test_what_cannot_be_shown_is_refused():
    x, long = torch.arange(6), torch.zeros(241)
    with pytest.raises(ShapeError, match="must share the memory"):
        memory(x, x.clone())
    with pytest.raises(ShapeError, match="up to four axes"):
        memory(x, x.reshape(1, 1, 1, 2, 3))
    with pytest.raises(ShapeError, match=r"1 to 240 cells.*memory of 241"):
        memory(long, long[:1])
    with pytest.raises(ShapeError, match="1 to 240 cells"):
        memory(x, x[:0])
