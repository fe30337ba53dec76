import numpy as np
import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.backprop.image_rows import image_rows


def test_pictures_keep_their_pixels_and_captions_their_text():
    images = np.random.default_rng(0).random((5, 2, 3))
    figure = image_rows(images, ["a", "b", "c", "d", "<e>"], n_columns=3)
    for trace, image in zip(figure.data, images, strict=True):
        np.testing.assert_array_equal(trace.z, image)
    assert [note.text for note in figure.layout.annotations] == ["a", "b", "c", "d", "&lt;e&gt;"]
    assert figure.layout.yaxis4.autorange == "reversed"


def test_long_captions_get_room():
    images = np.zeros((2, 3, 3))
    narrow, wide = (image_rows(images, ["a", "b" * n]).layout.width for n in (5, 30))
    assert narrow == image_rows(images).layout.width
    assert wide > 2 * 30 * 6


def test_signed_pictures_are_white_at_zero_each_by_its_own_scale():
    figure = image_rows([[[1.0, -4.0]], [[0.0, 0.0]]], is_signed=True)
    assert [(trace.zmin, trace.zmax) for trace in figure.data] == [(-4, 4), (-1, 1)]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="at least one picture"):
        image_rows(np.zeros((0, 2, 3)))
    with pytest.raises(ShapeError, match="got 1 for 2"):
        image_rows(np.zeros((2, 3, 4)), ["a"])
    with pytest.raises(ShapeError, match="n_images height width"):
        image_rows(np.zeros((3, 4)))
