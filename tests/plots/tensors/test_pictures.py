import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots.tensors import pictures


def test_colours_are_as_they_are_and_channels_last():
    image = torch.tensor([[[1.0, 0.0]], [[0.5, 0.2]], [[0.0, 1.0]]])
    figure = pictures({"a <b>": image})
    assert figure.data[0].z.tolist() == [[[255, 128, 0], [0, 51, 255]]]
    assert figure.layout.annotations[0].text == "a &lt;b&gt;<br>(3, 1, 2)"


def test_grey_images_may_lack_the_channel_and_numbers_are_cut_off_at_the_ends():
    figure = pictures({"without": [[-1.0, 2.0]], "with": torch.tensor([[[0.0, 1.0]]]), "odd": [[float("nan")]]})
    assert figure.data[0].z.tolist() == figure.data[1].z.tolist() == [[[0, 0, 0], [255, 255, 255]]]
    assert figure.data[2].z.tolist() == [[[128, 128, 128]]]


def test_panels_go_on_in_the_next_row():
    figure = pictures({str(i): torch.rand(3, 4, 5) for i in range(5)}, n_columns=2, title="five")
    assert [trace.xaxis for trace in figure.data] == ["x", "x2", "x3", "x4", "x5"]
    one_row = pictures({str(i): torch.rand(3, 4, 5) for i in range(2)}, n_columns=2, title="two")
    assert figure.layout.height > 2 * one_row.layout.height
    assert figure.layout.width == one_row.layout.width


def test_what_is_no_image_is_refused():
    with pytest.raises(ShapeError, match="at least one image: got none"):
        pictures({})
    for shape in ((2, 3, 4), (4,), (1, 3, 4, 5), (3, 0, 2)):
        with pytest.raises(ShapeError, match="x must be an image"):
            pictures({"x": torch.zeros(shape)})
