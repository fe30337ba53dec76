import einops
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.puzzles import pictures

sizes = st.integers(1, 5)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes)
def test_batches_are_joined_as_torch_joins_them(batch, channel, height, width):
    images = torch.rand(batch, channel, height, width)
    assert torch.equal(pictures.side_by_side(images), torch.cat(list(images), dim=-1))
    assert torch.equal(pictures.stack_down(images), torch.cat(list(images), dim=-2))
    torch.testing.assert_close(pictures.to_grey(images), images.mean(dim=1))
    assert torch.equal(pictures.lay_over(images), images.amin(dim=0))


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes)
def test_a_grid_is_rows_of_images_below_one_another(n_rows, n_columns, height, width):
    images = torch.rand(n_rows * n_columns, 3, height, width)
    rows = [pictures.side_by_side(row) for row in images.split(n_columns)]
    assert torch.equal(pictures.arrange_in_grid(images, n_rows), torch.cat(rows, dim=-2))


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes)
def test_one_image_is_turned_taken_apart_resized_and_woven(channel, height, width, factor):
    image, other = torch.rand(2, channel, height, width)
    assert torch.equal(pictures.turn_right(image), torch.rot90(image, -1, (1, 2)))
    assert torch.equal(pictures.show_channels(image), torch.cat(list(image), dim=-1))
    woven = pictures.weave(image, other)
    assert torch.equal(woven[..., ::2], image)
    assert torch.equal(woven[..., 1::2], other)
    large = pictures.enlarge(image, factor)
    assert torch.equal(large, F.interpolate(image[None], scale_factor=factor)[0])
    torch.testing.assert_close(pictures.shrink(large, factor), image)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes)
def test_shrinking_is_average_pooling(height, width, factor):
    image = torch.rand(3, factor * height, factor * width)
    torch.testing.assert_close(pictures.shrink(image, factor), F.avg_pool2d(image, factor))


def test_four_quarter_turns_bring_the_image_back():
    image = torch.rand(3, 4, 5)
    turned = image
    for _ in range(4):
        turned = pictures.turn_right(turned)
    assert torch.equal(turned, image)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(einops.EinopsError, match="divide"):
        pictures.arrange_in_grid(torch.rand(5, 3, 2, 2), 2)
    with pytest.raises(einops.EinopsError, match="divide"):
        pictures.shrink(torch.rand(3, 5, 4), 2)
